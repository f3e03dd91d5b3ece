"""Backups in a real browser: taken and watched live, and with scripts off; accessible at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.users import Role
from support.backups import make_files, take
from web.browser import DESKTOP, TELEPHONE, PageServer, faults, open_page

PATIENCE_MILLISECONDS = 60_000


@pytest.mark.parametrize("scripts", [True, False])
def test_a_backup_is_begun_and_watched_to_its_end(
    browser: Browser, served: PageServer, tmp_path: Path, *, scripts: bool
) -> None:
    with open_installation(served.home) as installation:
        profile = profile_of_site(installation, make_files(tmp_path / "site", 20), "none")
    with open_page(browser, served, Role.OPERATOR, scripts=scripts) as page:
        page.goto(f"/backups/new?profile={profile.id}")
        page.get_by_label("Comment").fill("<b>by hand</b>")
        page.get_by_role("button", name="Back up now").click()
        proof = page.get_by_role("heading", name="Parts")
        expect(proof).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        expect(page.get_by_label("Comment")).to_have_value("<b>by hand</b>")


@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE])
def test_pages_of_backups_are_accessible(
    browser: Browser, served: PageServer, tmp_path: Path, size: dict[str, int]
) -> None:
    with open_installation(served.home) as installation:
        backup = take(installation, make_files(tmp_path / "site", 5))
        installation.catalogue.backups.add_warnings(backup.id, 1, ["<script>alert(1)</script>\u202e" * 5])
        installation.catalogue.backups.update(backup.id, comment="x" * 500)
    here = f"/backups/{backup.id}"
    with open_page(browser, served, Role.ADMINISTRATOR, size=size) as page:
        for path in ("/backups", here, f"{here}/log", f"{here}/delete", "/backups/new", "/backups/compare", "/tasks"):
            page.goto(path)
            assert faults(page) == [], path
