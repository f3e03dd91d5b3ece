"""The pages of sites: found, shown and reported; what their servers say is never trusted."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser

from backstay.catalogue import Connection, Group, JournalSearch, NamedDestination, NewSite, Profile, Site
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.users import Role
from backstay.web.pages.sites.listing import ROWS
from web.browser import TELEPHONE, PageServer, faults, open_page
from web.driving import Visitor

NOW = datetime.now(UTC)
HOSTILE = "</td><script>alert(1)</script>\u202eevil\x1b[31m"
SECRET = "the-secret-of-the-server"


def make(installation: Installation, name: str, *, group: str = "", **values: Any) -> Site:
    given: dict[str, Any] = {"kind": "remote", "host": "203.0.113.7", "address": "https://shop.example"} | values
    site = Site(0, name, profile_id=0, created=NOW - timedelta(days=20), group=group, **given)
    return installation.catalogue.sites.create(NewSite(site, Connection(SECRET, {}), Profile(0, name)))


def take(installation: Installation, site: Site, *, hours: float = 1, error: str = "") -> int:
    """Make the record of a backup of a site that ended so many hours ago."""
    ended = NOW - timedelta(hours=hours)
    backups = installation.catalogue.backups
    number = backups.create(profile_id=site.profile_id, backupstart=ended - timedelta(minutes=5), type="full").id
    status = "fail" if error else "complete"
    backups.update(number, status=status, backupend=ended, total_size=5 << 20, error=error, filesexist=not error)
    return number


@pytest.fixture
def viewer(visitor: Visitor) -> Visitor:
    return visitor.signed_in(Role.VIEWER)


def rows(text: str) -> int:
    return text.partition("<tbody>")[2].count("<tr>")


def test_where_there_is_no_site_the_pages_say_what_one_is(viewer: Visitor) -> None:
    assert "No site yet" in viewer.get("/sites").text
    assert "To do first" not in viewer.get("/").text
    assert "There is no site" in viewer.get("/sites/report").text
    assert viewer.get("/sites/5").status_code == 404
    assert viewer.get("/groups/5/report").status_code == 404


def test_sites_are_found_by_name_group_tag_and_state_a_page_at_a_time(viewer: Visitor) -> None:
    installation = viewer.installation
    installation.catalogue.groups.create(Group(0, "clients & friends", NOW))
    for number in range(ROWS + 3):
        make(installation, f"site {number:03}")
    shop = make(installation, "shop", group="clients & friends", tags=("joomla",))
    take(installation, shop)
    assert rows(viewer.get("/sites").text) == ROWS
    assert rows(viewer.get("/sites?page=2").text) == 4
    assert rows(viewer.get("/sites?page=99").text) == 4
    for query in ("q=SHOP", "group=clients+%26+friends", "tag=joomla", "state=good", "sort=last&q=shop"):
        text = viewer.get(f"/sites?{query}").text
        assert rows(text) == 1, query
        assert f'href="/sites/{shop.id}"' in text
        assert "5.0 MiB" in text
    assert "No site is like that." in viewer.get("/sites?state=running").text
    assert viewer.get("/sites?page=-1&state=x&sort=y&q=%00").status_code == 200


def test_a_site_is_shown_with_what_is_wrong_and_what_to_do(viewer: Visitor) -> None:
    installation = viewer.installation
    found = {
        "product": "Akeeba Backup for Joomla",
        "version": "9.8.1",
        "level": 3,
        "profiles": [[1, "Default"]],
        "newest": {"id": 12, "start": "2026-11-26 03:00", "state": "complete", "size": 5},
        "may_download": False,
    }
    site = make(installation, "shop", found=found, failures=3, notes="Call Anna.", problem="It answered with a page.")
    take(installation, site, hours=30)
    take(installation, site, hours=2, error="The disk of the site is full.")
    text = viewer.get(f"/sites/{site.id}").text
    assert "Akeeba Backup for Joomla" in text
    assert "the secret may not download" in text
    assert "The disk of the site is full." in text
    assert "It answered with a page." in text
    assert "3 backups failed, one after the other." in text
    assert "Call Anna." in text
    assert SECRET not in text
    first = viewer.get("/").text
    assert "To do first" in first
    assert "shop does not answer: The disk of the site is full." in first
    assert f'href="/sites/{site.id}">The site' in first
    assert rows(viewer.get("/sites?state=silent").text) == 1


@pytest.mark.parametrize(
    "found",
    [
        {"product": HOSTILE, "profiles": [[1, HOSTILE]], "newest": {"id": HOSTILE, "start": HOSTILE}},
        {"product": ["a"], "version": None, "level": "x", "profiles": "none", "newest": [], "may_download": "yes"},
    ],
)
def test_nothing_that_a_server_says_or_a_person_typed_is_markup(viewer: Visitor, found: dict[str, Any]) -> None:
    installation = viewer.installation
    installation.catalogue.groups.create(Group(0, HOSTILE, NOW))
    hostile = {"tags": (HOSTILE,), "notes": HOSTILE, "problem": HOSTILE, "address": HOSTILE, "host": HOSTILE}
    site = make(installation, HOSTILE, group=HOSTILE, found=found, **hostile)
    take(installation, site, error=HOSTILE)
    for path in ("/", "/sites", f"/sites/{site.id}", "/sites/report", "/groups/1/report"):
        answer = viewer.get(path)
        assert answer.status_code == 200, path
        for piece in ("<script>alert", "\u202e", "\x1b"):
            assert piece not in answer.text, path


def test_a_report_tells_of_a_month_and_can_be_printed(viewer: Visitor) -> None:
    installation = viewer.installation
    installation.catalogue.groups.create(Group(0, "clients", NOW))
    site, other = make(installation, "shop", group="clients"), make(installation, "blog")
    take(installation, site, hours=0)
    take(installation, other, hours=0, error="No room.")
    text = viewer.get(f"/groups/1/report?month={NOW:%Y-%m}").text
    assert "1 backup complete, none failed; each site has at least one." in text
    assert rows(text) == 1
    assert "style=" not in text
    everything = viewer.get("/sites/report").text
    assert "1 backup complete, 1 failed; 1 of 2 sites have at least one." in everything
    assert "@media print" in viewer.client.get("/static/style.css").text
    for wrong in ("2026-13", "x", "2999-01"):
        assert viewer.get(f"/groups/1/report?month={wrong}").status_code == 400


@pytest.fixture
def operator(visitor: Visitor) -> Visitor:
    return visitor.signed_in(Role.OPERATOR)


@pytest.fixture
def administrator(visitor: Visitor) -> Visitor:
    return visitor.signed_in(Role.ADMINISTRATOR)


def act(visitor: Visitor, action: str, *numbers: int, back: str = "/sites?q=s&page=1") -> httpx2.Response:
    fields = {"action": action, "site": [str(one) for one in numbers], "back": back}
    return visitor.post("/sites/act", fields, form_at="/sites")


def test_what_is_ticked_is_backed_up_paused_and_resumed(operator: Visitor) -> None:
    installation = operator.installation
    first, second, other = (make(installation, name) for name in ("first", "second", "other"))
    answer = act(operator, "back-up", first.id, second.id)
    assert "2 backups asked for" in answer.text
    assert answer.url.path == "/sites"
    assert answer.url.params["q"] == "s"
    runs = installation.catalogue.remote_runs
    assert runs.open_of(first.id) is not None
    assert runs.open_of(other.id) is None
    answer = act(operator, "back-up", first.id, other.id)
    assert "1 backup asked for" in answer.text
    assert "first: " in answer.text
    assert "2 sites paused" in act(operator, "pause", first.id, other.id).text
    assert installation.catalogue.sites.get("first").paused
    assert "1 site resumed" in act(operator, "resume", first.id, back=f"/sites/{first.id}").text
    assert [one.action for one in installation.catalogue.journal.newest(JournalSearch(), limit=4)][:4] == [
        "sites resumed",
        "sites paused",
        "backups begun",
        "backups begun",
    ]
    assert act(operator, "pause").status_code == 400
    assert act(operator, "dance", first.id).status_code == 400
    for evil in ("https://evil.example/", "//evil.example", "/sites/../evil", "/sites?q=\r\nx: y"):
        assert act(operator, "pause", first.id, back=evil).url.path == "/sites"


def test_a_server_is_tested_and_what_it_lacks_is_told(operator: Visitor) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        site = make(operator.installation, "shop", address=f"http://127.0.0.1:{closed.getsockname()[1]}")
        answer = act(operator, "test", site.id, back=f"/sites/{site.id}")
    assert answer.url.path == f"/sites/{site.id}"
    assert "shop: " in answer.text
    assert operator.installation.catalogue.sites.get("shop").problem
    assert "Its last call" in answer.text or "What to do" in answer.text


def test_a_site_is_added_changed_and_removed(administrator: Visitor) -> None:
    installation = administrator.installation
    installation.catalogue.destinations.create(NamedDestination(0, "nas", "file:/nowhere", {}, NOW))
    fields = {
        "address": "https://shop.example",
        "secret": SECRET,
        "name": "shop",
        "group": "clients",
        "tags": "joomla, shop",
        "notes": "Call Anna.",
        "storage": ["nas"],
        "keep": "14",
        "keep_there": "",
        "profile": "2",
        "at": "17 3 * * *",
        "spread": "1h",
        "untested": "1",
    }
    wrong = administrator.post("/sites/new", fields | {"keep": "many"}, form_at="/sites/new")
    assert wrong.status_code == 400
    assert "is a number, or left empty" in wrong.text
    assert "Call Anna." in wrong.text
    assert SECRET not in wrong.text
    answer = administrator.post("/sites/new", fields, form_at="/sites/new")
    site = installation.catalogue.sites.get("shop")
    assert answer.url.path == f"/sites/{site.id}"
    assert (site.group, site.tags) == ("clients", ("joomla", "shop"))
    connection = installation.catalogue.sites.connection(site.id)
    assert (connection.secret, connection.profile, connection.keep_there) == (SECRET, 2, None)
    profile = installation.catalogue.profiles.get(site.profile_id)
    assert profile.configuration["backstay.storage.destinations"] == "nas"
    assert [one.at for one in installation.catalogue.schedules.all(profile_id=site.profile_id)] == ["17 3 * * *"]
    form = f"/sites/{site.id}/edit"
    text = administrator.get(form).text
    assert SECRET not in text
    assert 'value="14"' in text
    edited = fields | {"name": "store", "tags": "shop", "secret": "", "keep": "", "keep_there": "3", "insecure": "1"}
    assert "The site store is saved." in administrator.post(form, edited, form_at=form).text
    site = installation.catalogue.sites.get("store")
    assert site.tags == ("shop",)
    connection = installation.catalogue.sites.connection(site.id)
    assert (connection.secret, connection.keep_there, connection.verify_tls) == (SECRET, 3, False)
    assert administrator.post(f"/sites/{site.id}/remove", {}, form_at=form).status_code == 400
    gone = administrator.post(f"/sites/{site.id}/remove", {"sure": "yes"}, form_at=form)
    assert "The site store is removed" in gone.text
    assert installation.catalogue.sites.all() == []


def test_the_pages_of_sites_in_a_browser(browser: Browser, served: PageServer) -> None:
    with open_installation(served.home) as installation:
        site = make(installation, "browsed", tags=("shop",), problem="It answered with a page.")
        take(installation, site, error="No room.")
    with open_page(browser, served, Role.ADMINISTRATOR, size=TELEPHONE) as page:
        page.goto("/sites?q=browsed")
        page.get_by_label("Choose browsed").check()
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("1 site paused").wait_for()
        for path in ("/sites", f"/sites/{site.id}", f"/sites/{site.id}/edit", "/sites/new", "/sites/report", "/"):
            page.goto(path)
            assert faults(page) == [], path
