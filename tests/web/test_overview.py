"""The overview: states, search, order, pages, alarms; in a browser it follows what changes by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from backstay.catalogue import Finding, Profile
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import create_profile
from backstay.jobs.schedules import add_schedule, pause_schedule
from backstay.jobs.users import Role
from backstay.web.pages.overview import ROWS
from web.browser import TELEPHONE, PageServer, faults, open_page
from web.driving import Visitor

HOSTILE = "</td><script>alert(1)</script>\u202eevil\x1b[31m"


def make_profile(installation: Installation, name: str) -> int:
    return installation.catalogue.profiles.create(Profile(0, name, {"akeeba.platform.newroot": "/srv/site"})).id


def take(installation: Installation, profile_id: int, *, size: int = 1000, error: str = "", ago: int = 60) -> int:
    """Make the record of a backup that ended so many seconds ago."""
    begun = datetime.now(UTC) - timedelta(seconds=ago)
    backups = installation.catalogue.backups
    number = backups.create(profile_id=profile_id, backupstart=begun, type="full").id
    status = "fail" if error else "complete"
    ended = begun + timedelta(seconds=10)
    backups.update(number, status=status, backupend=ended, total_size=size, error=error, filesexist=not error)
    return number


def find(profile_id: int, kind: str = "suspicious") -> Finding:
    return Finding(kind, f"profile:{profile_id}", "It is odd.", "Look at it.", datetime.now(UTC), profile_id)


def row(text: str, name: str) -> str:
    """Return the HTML of the row of a profile."""
    return next(one for one in text.split("<tr>")[1:] if f">{name}<" in one or f"<bdi>{name}</bdi>" in one)


@pytest.mark.parametrize("state", ["failed", "never", "warning", "paused", "no site", "good", "waiting"])
def test_a_profile_has_its_state_in_a_word(visitor: Visitor, state: str) -> None:
    installation = visitor.installation
    number = create_profile(installation, name="shop", values={}).id if state == "no site" else make_profile(
        installation, "shop"
    )  # fmt: skip
    if state in ("failed", "warning", "paused", "good"):
        take(installation, number, ago=3600)
    if state == "failed":
        take(installation, number, error="The disk is full.")
    elif state == "warning":
        installation.catalogue.alarms.reconcile([find(number)], datetime.now(UTC))
    elif state == "paused":
        made = add_schedule(installation, number, at="0 3 * * *", now=datetime.now(UTC), time_zone="UTC")
        pause_schedule(installation, made.id)
    elif state == "waiting":
        installation.catalogue.backups.create(profile_id=number, backupstart=datetime.now(UTC), type="full")
    visitor.signed_in(Role.VIEWER)
    assert f">{state}</span>" in row(visitor.get("/").text, "shop")
    assert "shop" in visitor.get(f"/overview?state={state}").text
    other = "good" if state != "good" else "failed"
    assert "No profile is like that." in visitor.get(f"/overview?state={other}").text


def test_what_has_changed_is_shown_at_once(visitor: Visitor) -> None:
    """What is kept in memory is read anew when the catalogue has changed, whoever changed it."""
    visitor.signed_in(Role.VIEWER)
    number = make_profile(visitor.installation, "shop")
    assert ">never</span>" in row(visitor.get("/").text, "shop")
    with open_installation(visitor.installation.home.path) as other:
        take(other, number, size=5 << 20)
    text = row(visitor.get("/").text, "shop")
    assert ">good</span>" in text
    assert "5.0 MiB" in text
    assert "here" in text


def test_profiles_are_searched_sorted_and_paged(visitor: Visitor) -> None:
    for number in range(ROWS + 5):
        take(visitor.installation, make_profile(visitor.installation, f"site {number:03}"), size=number + 1)
    visitor.signed_in(Role.VIEWER)
    text = visitor.get("/overview?sort=size").text
    assert text.index("site 054") < text.index("site 053")
    assert "site 002" not in text
    assert "site 002" in visitor.get("/overview?sort=size&page=2").text
    assert "site 002" in visitor.get("/overview?sort=size&page=99").text
    found = visitor.get("/overview?q=SITE+01").text
    assert found.count("<tr>") == 11
    assert "No profile is like that." in visitor.get("/overview?q=nothing&state=never").text
    assert visitor.get("/overview?page=-1&state=x&sort=y&q=%00").status_code == 200


def test_an_alarm_is_acknowledged_by_an_operator(visitor: Visitor) -> None:
    number = make_profile(visitor.installation, "shop")
    take(visitor.installation, number)
    visitor.installation.catalogue.alarms.reconcile([find(number)], datetime.now(UTC))
    alarm = visitor.installation.catalogue.alarms.of()[0]
    visitor.signed_in(Role.VIEWER)
    assert "Acknowledge alarm" not in visitor.get("/").text
    assert visitor.post(f"/alarms/{alarm.id}/acknowledge").status_code == 403
    visitor.signed_in(Role.OPERATOR)
    assert "1 open alarm" in visitor.get("/").text
    answer = visitor.post(f"/alarms/{alarm.id}/acknowledge", {"back": "https://evil.example/"})
    assert answer.url.path == "/alarms"
    assert "It is odd." not in visitor.get("/").text
    assert "It is odd." in visitor.get("/alarms?state=acknowledged").text
    assert ">good</span>" in row(visitor.get("/").text, "shop")
    assert visitor.post("/alarms/999/acknowledge").status_code == 404


def test_hostile_names_are_shown_as_what_they_are(visitor: Visitor) -> None:
    number = make_profile(visitor.installation, HOSTILE)
    take(visitor.installation, number, error=HOSTILE)
    odd = Finding("failed", HOSTILE, HOSTILE, HOSTILE, datetime.now(UTC), number)
    visitor.installation.catalogue.alarms.reconcile([odd], datetime.now(UTC))
    visitor.signed_in(Role.OPERATOR)
    for path in ("/", "/alarms", f"/profiles/{number}", "/profiles", f"/overview?q={'%3Cscript%3E'}"):
        text = visitor.get(path).text
        assert "<script>alert" not in text, path
        assert "\u202e" not in text, path
        assert "\x1b" not in text, path
    assert "&lt;script&gt;alert(1)" in visitor.get("/").text


@pytest.mark.parametrize("size", [None, TELEPHONE])
def test_the_overview_in_a_browser_follows_what_changes(
    browser: Browser, served: PageServer, size: dict[str, int] | None
) -> None:
    name = "on a telephone" if size else "on a desk"
    with open_installation(served.home) as installation:
        number = make_profile(installation, name)
        with open_page(browser, served, Role.OPERATOR, **({"size": size} if size else {})) as page:  # type: ignore[arg-type]
            page.goto(f"/overview?q={name}")
            # The stream says once how things are; what changes after that is fetched.
            page.locator("html[data-live]").wait_for(state="attached")
            line = page.locator("#live-list tr", has_text=name)
            expect(line.get_by_text("never")).to_be_visible()
            assert faults(page) == []
            take(installation, number, size=7 << 20)
            expect(line.get_by_text("good", exact=True)).to_be_visible(timeout=30_000)
            expect(line.get_by_text("7.0 MiB")).to_be_visible()
            assert faults(page) == []
            if size:
                page.locator("summary", has_text="Menu").click()
                expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Overview")).to_be_visible()


def test_search_and_acknowledging_work_without_scripts(browser: Browser, served: PageServer) -> None:
    with open_installation(served.home) as installation:
        number = make_profile(installation, "plain")
        installation.catalogue.alarms.reconcile([find(number)], datetime.now(UTC))
    with open_page(browser, served, Role.OPERATOR, size=TELEPHONE, scripts=False) as page:
        page.get_by_role("searchbox").fill("plain")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#live-list tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Acknowledge alarm").first.click()
        page.get_by_text("is acknowledged: it stays").wait_for()
