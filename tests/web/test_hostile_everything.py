"""Names, descriptions, logs, archives and databases of an attacker on every page, in a real browser.

A home is filled with texts that try to become markup, a script, a colour of a terminal or another direction of writing.
Then each page that is asked for by GET is opened: nothing of those texts may be anything but text, and no page may ask
another host for anything.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, Request
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from backstay.catalogue import DestinationOptions, NamedDestination, schema
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.journal import note
from backstay.jobs.recipients import Wishes, add_recipient
from backstay.jobs.schedules import add_schedule
from backstay.jobs.storage import copy_backup
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role, create_user
from backstay.steps import finished
from backstay.web.pages import ROUTES
from support.backups import take
from support.repositories import add_sites
from support.tasks import ended
from web.browser import PageServer, open_page, page_server

MARKUP = (
    "\"'><script>window.ran=1</script><img src=//elsewhere.invalid/x onerror=window.ran=1>"
    "<svg onload=window.ran=1>javascript:window.ran=1"
)
UNSEEN = "\u202e\u2066\x1b[31m\x00\u200e"
HOSTILE = MARKUP + UNSEEN.replace("\x00", "")
FILE = MARKUP.replace("/", "|")[:200] + "\u202e\x1b"
_BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\x1b]")
_TEXTS = {
    "profiles": ["description"],
    "backups": ["description", "comment", "error"],
    "warnings": ["message"],
    "tokens": ["name"],
    "copies": ["error"],
    "runs": ["message"],
    "alarms": ["subject", "message", "advice"],
    "recipients": ["name"],
    "deliveries": ["error"],
    "sessions": ["agent", "address"],
    "passkeys": ["name"],
    "journal": ["who", "address", "action", "subject"],
    "tasks": ["title", "started_by", "message"],
}
_FOUND_OUT = """() => ({
  ran: window.ran ?? null,
  scripts: [...document.scripts].filter(one => !one.src.startsWith(location.origin + "/static/")).length,
  events: [...document.querySelectorAll("*")].filter(
    one => [...one.attributes].some(a => a.name.startsWith("on") || a.name === "style")).map(one => one.outerHTML),
  links: [...document.querySelectorAll("[href], [src], [action], [formaction]")].filter(one =>
    !["href", "src", "action", "formaction"].every(name => {
      const value = one.getAttribute(name);
      if (value === null) return true;
      const at = new URL(value, location.href);
      return at.origin === location.origin;
    })).map(one => one.outerHTML),
  frames: document.querySelectorAll("iframe, object, embed, base").length,
  html: document.documentElement.outerHTML,
})"""
_NOT_OPENED = ("/static/", "/events", "/welcome/")
_DOWNLOADS = ("/download", "/package", "/picture", "/parts/{part:int}")


def _fill(home: Path, folder: Path) -> None:
    """Take a backup of a hostile site, and lay what else there is of hostile texts beside it."""
    site = folder / "site"
    (site / "sub").mkdir(parents=True)
    for name in (FILE, "page.html", "sub/picture.svg"):
        (site / name).write_text(f"<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran=1'>{HOSTILE}</svg>")
    with open(bytes(site) + b"/raw-\xff\xfe", "wb") as file:  # noqa: PTH123 - a path of any bytes
        file.write(b"\x00\xff" * 300)
    database = folder / "x.sqlite"
    connection = sqlite3.connect(database)
    table = MARKUP.replace('"', "") + "\u202e"
    connection.execute(f'CREATE TABLE "{table}" (x TEXT DEFAULT {_sql(HOSTILE)})')
    connection.execute("CREATE TABLE plain (x TEXT)")
    connection.commit()
    connection.close()
    now = datetime.now(UTC)
    with open_installation(home) as installation:
        backup = take(installation, site, f"sqlite:///{database}")
        log = installation.home.log(backup.tag or "", backup.backupid or "")
        with log.open("a") as written:
            written.write(f"{HOSTILE}\n" * 20)
        (folder / "elsewhere").mkdir()
        wanted = NamedDestination(0, "elsewhere", f"folder://{folder / 'elsewhere'}", {}, now, DestinationOptions())
        installation.catalogue.destinations.create(wanted)
        finished(copy_backup(installation, backup.id, "elsewhere"), lambda _: None)
        add_schedule(installation, backup.profile_id, at="0 3 * * *", now=now)
        add_recipient(installation, "someone", Wishes(url="webhook+https://receiver.invalid/hook"), now)
        installation.catalogue.tokens.create("a-token", ["read"], now)
        create_user(installation, "mallory", Role.VIEWER, "a long enough password")
        note(installation, HOSTILE, "page", HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, HOSTILE)
        ended(installation, begin_task(installation, "verify", HOSTILE, {}, started_by=HOSTILE, backup_id=backup.id))
        add_sites(installation)
        take(installation, site, backstay__repository="sites")
        _spoil(installation, backup.id, backup.profile_id, now)


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _spoil(installation: Installation, backup: int, profile: int, now: datetime) -> None:
    """Write hostile texts over what the commands would not have taken."""
    engine = installation.catalogue._engine.execution_options(writes=True)
    with engine.begin() as connection:
        connection.execute(insert(schema.warnings).values(backup_id=backup, number=1, message=HOSTILE))
        connection.execute(
            insert(schema.alarms).values(
                kind="failed",
                subject=HOSTILE,
                profile_id=profile,
                backup_id=backup,
                since=now,
                opened=now,
                message=HOSTILE,
                advice=HOSTILE,
                details={},
                untold="",
            )
        )
        connection.execute(update(schema.users).where(schema.users.c.name == "mallory").values(name=HOSTILE))
    for table, columns in _TEXTS.items():
        for column in columns:
            target = schema.metadata.tables[table]
            length = getattr(target.c[column].type, "length", None)
            try:
                with engine.begin() as connection:
                    connection.execute(update(target).values({column: HOSTILE[:length]}))
            except IntegrityError:
                # Several rows, whose names must differ: one of them is enough.
                continue


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Serve the home."""
    folder = tmp_path_factory.mktemp("hostile")
    _fill(folder / "home", folder)
    with page_server(folder / "home") as server:
        yield server


def _addresses() -> list[str]:
    """Return an address of each page, with hostile queries, too."""
    found = []
    names = [FILE, "page.html", "sub/picture.svg", "raw-\udcff\udcfe"]
    for route in ROUTES:
        if route.verb != "GET" or route.path.startswith(_NOT_OPENED) or route.path.endswith(_DOWNLOADS):
            continue
        path = re.sub(r"\{\w+:int\}", "2" if route.path.startswith("/profiles") else "1", route.path)
        path = re.sub(r"\{\w+(:path)?\}", quote(HOSTILE[:60], safe=""), path)
        found += [path, f"{path}?{_query(HOSTILE)}"]
        if "/files" in path:
            found += [f"{path}?path={quote(quote(name, errors='surrogateescape'))}" for name in names]
    table = quote(quote(MARKUP.replace('"', "") + "\u202e"))
    in_repository = ["/repositories/sites", "/backups/2", "/backups/2/files"]
    return [
        *found,
        *in_repository,
        f"/backups/1/tables/definition?dump=site.sql&kind=table&name={table}",
        "/nowhere",
    ]


def _query(text: str) -> str:
    fields = [
        "search",
        "q",
        "path",
        "page",
        "sort",
        "state",
        "next",
        "storage",
        "who",
        "action",
        "profile",
        "name",
        "dump",
        "kind",
        "word",
    ]
    return "&".join(f"{field}={quote(text)}" for field in fields)


def _check(page: Page, address: str) -> None:
    found = page.evaluate(_FOUND_OUT)
    assert found["ran"] is None, address
    assert found["scripts"] == 0, address
    assert found["events"] == [], address
    assert found["links"] == [], address
    assert found["frames"] == 0, address
    raw = _BIDI.search(found["html"])
    around = found["html"][max(0, raw.start() - 100) : raw.start() + 20] if raw else ""
    assert raw is None, f"{address}: {around!r}"


def test_hostile_texts_are_text_on_every_page(browser: Browser, hostile: PageServer) -> None:
    asked: list[str] = []

    def noticed(request: Request) -> None:
        if not request.url.startswith((hostile.url, "data:")):
            asked.append(request.url)

    addresses = _addresses()
    with open_page(browser, hostile, Role.ADMINISTRATOR) as page:
        page.on("request", noticed)
        page.on("dialog", lambda dialog: asked.append(f"a dialog: {dialog.message}"))
        shown = 0
        for address in addresses:
            answer = page.goto(address, wait_until="domcontentloaded")
            assert answer is not None
            assert answer.status < 500, f"{address}: {page.inner_text('main')[:300]}"
            shown += answer.status == 200
            _check(page, address)
    assert asked == []
    assert shown > len(addresses) // 4


def test_the_filled_home_is_hostile_indeed(browser: Browser, hostile: PageServer) -> None:
    with open_page(browser, hostile, Role.ADMINISTRATOR) as page:
        for address in ("/", "/journal", "/tasks", "/backups/1/files", "/backups/1/tables"):
            page.goto(address)
            assert "<script>window.ran=1<" in page.inner_text("main"), address
            assert "\\u202e" in page.inner_text("main"), address


def test_what_is_downloaded_is_no_page(browser: Browser, hostile: PageServer) -> None:
    with open_page(browser, hostile, Role.OPERATOR) as page:
        for name in (FILE, "page.html", "sub/picture.svg"):
            path = quote(quote(name))
            answer = page.request.get(f"/backups/1/files/download?path={path}")
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["content-disposition"].startswith("attachment;")
            assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
            assert page.request.get(f"/backups/1/files/picture?path={path}").status == 400


def test_json_of_commands_is_whole_with_hostile_names(hostile: PageServer) -> None:
    found = json.loads(hostile.backstay("browse", "1", "--json"))
    assert any("<script>" in one["path"] for one in found)
    assert any("<script>" in one["name"] for one in json.loads(hostile.backstay("browse", "1", "--tables", "--json")))
    assert not _BIDI.search(hostile.backstay("browse", "1"))
    assert not _BIDI.search(hostile.backstay("browse", "1", "--tables"))
