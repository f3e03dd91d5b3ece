"""The list of profiles, and the page of one: how it stands, its history, what it needs next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from backstay.catalogue import Profile
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.schedules import add_schedule
from backstay.jobs.users import Role
from web.browser import DESKTOP, TELEPHONE, PageServer, faults, open_page
from web.driving import Visitor


def make_profile(installation: Installation, **values: str) -> int:
    values = {"akeeba.platform.newroot": "/srv/shop", **values}
    return installation.catalogue.profiles.create(Profile(0, "shop", values)).id


def take(installation: Installation, profile_id: int, *, days: float = 0, error: str = "") -> int:
    """Make the record of a backup that ended so many days ago."""
    begun = datetime.now(UTC) - timedelta(days=days, minutes=5)
    number = installation.catalogue.backups.create(profile_id=profile_id, backupstart=begun, type="full").id
    status, ended = "fail" if error else "complete", begun + timedelta(minutes=3)
    installation.catalogue.backups.update(number, status=status, backupend=ended, total_size=4096, error=error)
    return number


def test_a_profile_says_what_it_needs_next(visitor: Visitor) -> None:
    installation = visitor.installation
    number = make_profile(installation)
    visitor.signed_in(Role.VIEWER)
    page = f"/profiles/{number}"
    text = visitor.get(page).text
    assert "Take its first backup." in text
    assert "Add a schedule" in text
    assert "/backups/new" not in text
    take(installation, number)
    add_schedule(installation, number, at="0 3 * * *", now=datetime.now(UTC), time_zone="UTC")
    text = visitor.get(page).text
    assert "Take its first backup." not in text
    assert "Add a schedule" not in text
    assert "it lies on this machine only" in text
    assert "Drill a backup" in text
    proof = {"drill": {"verdict": "passed", "at": datetime.now(UTC).isoformat()}}
    installation.catalogue.backups.update(take(installation, number), proof=proof)
    assert "Drill a backup" not in visitor.get(page).text
    take(installation, number, error="The disk is full.")
    assert "Mend what stopped the last backup" in visitor.get(page).text


def test_a_profile_shows_its_history(visitor: Visitor) -> None:
    number = make_profile(visitor.installation)
    numbers = [take(visitor.installation, number, days=days) for days in (3, 2)]
    take(visitor.installation, number, days=1, error="The disk is full.")
    visitor.signed_in(Role.VIEWER)
    text = visitor.get(f"/profiles/{number}").text
    assert "in the last half year: 2 of the 3 on which one ended" in text
    assert f"Backup {numbers[0]}: 4.0 KiB" in text
    assert "3 minutes, failed" in text
    assert "style=" not in text


def test_a_profile_without_a_site_and_one_that_is_not_there(visitor: Visitor) -> None:
    visitor.signed_in(Role.VIEWER)
    assert "Name the folder of its site" in visitor.get("/profiles/1").text
    assert visitor.get("/profiles/99").status_code == 404
    assert "/profiles/new" not in visitor.get("/profiles").text
    visitor.signed_in(Role.ADMINISTRATOR)
    assert "/profiles/new" in visitor.get("/profiles?q=default").text


@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE])
def test_the_pages_of_profiles_in_a_browser(browser: Browser, served: PageServer, size: dict[str, int]) -> None:
    with open_installation(served.home) as installation:
        number = make_profile(installation)
        for days in range(40, 0, -1):
            take(installation, number, days=days, error="" if days % 7 else "The disk is full.")
    with open_page(browser, served, Role.VIEWER, size=size) as page:
        page.goto("/profiles?q=shop")
        assert faults(page) == []
        page.get_by_role("link", name="shop").last.click()
        page.get_by_role("heading", name="What it needs next").wait_for()
        assert faults(page) == []
