"""The pages of sites: found, shown and reported; what their servers say is never trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backstay.catalogue import Connection, Group, NewSite, Profile, Site
from backstay.jobs.installation import Installation
from backstay.jobs.users import Role
from backstay.web.pages.sites.listing import ROWS
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
