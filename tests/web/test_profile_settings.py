"""The settings of a profile, making and removing profiles, through the pages."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from backstay.jobs.installation import Installation
from backstay.jobs.profiles import create_profile, edit_profile, export_profile
from backstay.jobs.users import Role
from web.browser import TELEPHONE, PageServer, confirm_password, faults, open_page
from web.driving import PASSWORD, Visitor

SECRET = "mysql://user:Geheim123@localhost/shop"
HOSTILE = '<script>alert(1)</script>"\u202egnp.exe'


@pytest.fixture
def admin(visitor: Visitor) -> Visitor:
    return visitor.signed_in(Role.ADMINISTRATOR)


def form_of(visitor: Visitor, path: str) -> dict[str, object]:
    """Return the fields of a page's form of settings, as a browser would send them where nobody touched them."""
    text = visitor.get(path).text
    form = re.search(r'<form method="post"[^>]*class="settings">(.*?)</form>', text, re.DOTALL)
    assert form, text
    fields: dict[str, object] = {}
    for tag in re.findall(r"<input[^>]*>", form[1]):
        name = re.search(r'name="([^"]+)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name and not ('type="checkbox"' in tag and " checked" not in tag):
            fields[name[1]] = unescape(value[1]) if value else "on"
    for name_, content in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>', form[1], re.DOTALL):
        fields[name_] = unescape(content).replace("\n", "\r\n")
    for name_, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form[1], re.DOTALL):
        fields[name_] = re.findall(r"<option selected>([^<]*)", options)[0]
    return fields


def save(visitor: Visitor, number: int, fields: dict[str, object]) -> str:
    answer = visitor.client.post(f"/profiles/{number}/settings", data=fields)
    return str(answer.status_code) + unescape(answer.text)


def test_a_form_that_nobody_touched_changes_nothing(admin: Visitor, tmp_path: Path) -> None:
    """Hostile values, unknown keys, values like the default and secrets come through unharmed."""
    values = {
        "akeeba.platform.newroot": str(tmp_path),
        "backstay.site.database": SECRET,
        "akeeba.basic.archive_name": HOSTILE,
        "backstay.scan.exclude": "\n*.bak\n\u202ex\n",
        "engine.archiver.common.part_size": "0",
        "core.filters.errorlogs.enabled": "false",
        "engine.postproc.s3.secretkey": "not-ours",
    }
    made = create_profile(admin.installation, name=HOSTILE, values=values)
    path = f"/profiles/{made.id}/settings"
    page = admin.get(path).text
    assert "<script>alert" not in page
    assert "Geheim123" not in page
    assert "not-ours" not in page
    assert "\u202e" not in page
    assert save(admin, made.id, form_of(admin, path) | {"name": "Shop"}).startswith("200")
    assert admin.installation.catalogue.profiles.get(made.id).configuration == made.configuration


def test_settings_are_changed_reset_and_refused_at_their_field(admin: Visitor) -> None:
    fields = form_of(admin, "/profiles/1/settings")
    changed = fields | {
        "s.compression": "small",
        "s.store_above": "17",
        "s.archive_password": "Geheim456",
        "name": "Shop",
    }
    assert "The profile is saved." in save(admin, 1, changed)
    profile = admin.installation.catalogue.profiles.get(1)
    assert profile.description == "Shop"
    assert profile.configuration == {
        "backstay.archiver.compression": "small",
        "backstay.archiver.store_above": "17",
        "engine.archiver.jps.key": "Geheim456",
    }
    page = admin.get("/profiles/1/settings").text
    assert "Geheim456" not in page
    assert "Back to the default" in page
    fields = form_of(admin, "/profiles/1/settings")
    wrong = save(admin, 1, fields | {"s.count": "many", "s.compression": "tiny", "s.root": "/not/there", "name": " "})
    assert wrong.startswith("400")
    assert "'many' is not a whole number" in wrong
    assert "/not/there is not there" in wrong
    assert "A profile needs a name." in wrong
    assert 'value="many"' in wrong
    assert admin.installation.catalogue.profiles.get(1).configuration == profile.configuration
    reset = {"reset.compression": "1", "remove.archive_password": "1"}
    assert "The profile is saved." in save(admin, 1, fields | reset | {"s.store_above": str(32 << 20)})
    assert admin.installation.catalogue.profiles.get(1).configuration == {}


def test_the_second_of_two_who_save_is_told_and_loses_nothing(admin: Visitor) -> None:
    edit_profile(admin.installation, 1, values={"akeeba.quota.count_quota": "5"})
    mine = form_of(admin, "/profiles/1/settings") | {"s.compression": "small", "s.count": "7"}
    theirs = {"backstay.archiver.compression": "fast", "backstay.drill": "1"}
    edit_profile(admin.installation, 1, values=theirs)
    told = save(admin, 1, mine)
    assert told.startswith("409")
    assert "Somebody else saved this profile" in told
    assert "Saved by somebody else meanwhile: fast" in told
    assert admin.installation.catalogue.profiles.get(1).settings().compression == "fast"
    # What the answer shows is what is sent again: mine where I changed it, theirs everywhere else.
    visitor = Answered(admin, told)
    again = form_of(visitor, "")  # type: ignore[arg-type]  # has what is used
    assert (again["s.compression"], again["s.count"], again["s.drill"]) == ("small", "7", "1")
    assert "The profile is saved." in save(admin, 1, again)
    found = admin.installation.catalogue.profiles.get(1).settings()
    assert (found.compression, found.count, found.drill) == ("small", 7, True)


class Answered:
    """A page that was answered already."""

    def __init__(self, visitor: Visitor, text: str) -> None:
        self.text, self.visitor = text, visitor

    def get(self, path: str) -> Answered:
        del path
        return self


def test_a_search_shows_the_settings_with_these_words_and_saves_no_others(admin: Visitor) -> None:
    edit_profile(admin.installation, 1, values={"backstay.drill": "1"})
    fields = form_of(admin, "/profiles/1/settings?q=format+archive")
    assert "s.archive_format" in fields
    assert "s.drill" not in fields
    assert "The profile is saved." in save(admin, 1, fields | {"s.archive_format": "zip"})
    settings = admin.installation.catalogue.profiles.get(1).settings()
    assert (settings.archive_format, settings.drill) == ("zip", True)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_change_settings_reads_them_without_secrets_and_forms(visitor: Visitor, role: Role) -> None:
    edit_profile(
        visitor.installation, 1, values={"backstay.site.database": SECRET, "backstay.archiver.compression": "small"}
    )
    page = visitor.signed_in(role).get("/profiles/1/settings").text
    assert "small" in page
    assert "not the default" in page
    assert "Geheim123" not in page
    assert 'action="/profiles/' not in page
    assert 'name="s.' not in page


def test_a_profile_is_made_of_what_is_found_in_a_folder(admin: Visitor, tmp_path: Path) -> None:
    root = tmp_path / "shop"
    root.mkdir()
    (root / "wp-config.php").write_text(
        "<?php define('DB_NAME', 'wp'); define('DB_USER', 'u'); define('DB_PASSWORD', 'Geheim789');"
        "define('DB_HOST', 'localhost'); $table_prefix = 'wp_';"
    )
    (root / "wp-includes").mkdir()
    (root / "wp-includes" / "version.php").write_text("<?php $wp_version = '6.5';")
    assert "not there" in admin.get(f"/profiles/new?path={tmp_path}/none").text
    found = admin.get(f"/profiles/new?path={root}").text
    assert "WordPress 6.5" in found
    assert "wp-config.php" in found
    assert "Geheim789" not in found
    wrong = admin.post("/profiles/new", {"path": str(root), "name": "Shop", "database": "url"}, form_at="/profiles/new")
    assert "Give the URL of the database" in wrong.text
    made = admin.post("/profiles/new", {"path": str(root), "name": "Shop", "database": "none"}, form_at="/profiles/new")
    assert "Profile 2 is made." in made.text
    assert admin.installation.catalogue.profiles.get(2).settings().root == str(root)
    assert "backs up this folder already" in admin.get(f"/profiles/new?path={root}").text


def test_profiles_are_copied_exported_imported_and_deleted(admin: Visitor) -> None:
    edit_profile(admin.installation, 1, name="Shop", values={"backstay.site.database": SECRET})
    assert "Profile 2 is a copy" in admin.post("/profiles/1/copy", {"name": "Two"}).text
    assert admin.installation.catalogue.profiles.get(2).configuration["backstay.site.database"] == SECRET
    exported = admin.post("/profiles/2/export", {"confirmed_with": PASSWORD})
    assert exported.json() == export_profile(admin.installation, 2)
    assert "attachment" in exported.headers["content-disposition"]
    files = {"file": ("profile.json", exported.content, "application/json")}
    token = {"from_here": admin.token("/profiles/import")}
    imported = admin.client.post("/profiles/import", data=token, files=files)
    assert "Profile 3 is imported." in imported.text
    assert admin.installation.catalogue.profiles.get(3).configuration["backstay.site.database"] == SECRET
    refused = admin.client.post("/profiles/import", data=token, files={"file": ("x", b"\xff[1]", "text/plain")})
    assert "not an exported profile" in refused.text
    assert "Tick that" in admin.post("/profiles/3/delete").text
    assert "Profile 3 is deleted" in admin.post("/profiles/3/delete", {"sure": "yes"}).text
    assert [number for number, _name in admin.installation.catalogue.profiles.names()] == [1, 2]


@pytest.mark.parametrize(
    ("size", "scripts"),
    [
        (None, True),
        (TELEPHONE, False),
        pytest.param(None, False, marks=pytest.mark.slow),
        pytest.param(TELEPHONE, True, marks=pytest.mark.slow),
    ],
)
def test_settings_are_saved_in_a_browser(
    browser: Browser, served: PageServer, size: dict[str, int] | None, *, scripts: bool
) -> None:
    options = {"size": size} if size else {}
    with open_page(browser, served, Role.ADMINISTRATOR, scripts=scripts, **options) as page:
        page.goto("/profiles/1/settings")
        if scripts:
            assert faults(page) == []
            page.get_by_label("Search in the settings").fill("dereference")
            assert page.locator(".setting:visible").count() == 1
            page.get_by_label("Search in the settings").fill("")
        page.get_by_label("Attempts", exact=True).fill("9")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("The profile is saved.").wait_for()
        assert page.get_by_label("Attempts", exact=True).input_value() == "9"
        page.locator("#attempts").get_by_label("Back to the default").check()
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("The profile is saved.").wait_for()
        assert page.get_by_label("Attempts", exact=True).input_value() == "5"


def test_a_profile_is_exported_in_a_browser_after_the_password(browser: Browser, served: PageServer) -> None:
    with open_page(browser, served, Role.ADMINISTRATOR) as page:
        page.goto("/profiles/new")
        assert faults(page) == []
        page.goto("/profiles/import")
        assert faults(page) == []
        page.goto("/profiles/1/settings")
        with page.expect_download() as download:
            exported(page)
        assert json.loads(download.value.path().read_text())["description"] == "Default Backup Profile"


def exported(page: Page) -> None:
    page.get_by_role("button", name="Export", exact=True).click()
    confirm_password(page)


def test_two_changes_of_a_profile_at_once_both_count(installation: Installation) -> None:
    found = installation.catalogue.profiles.get(1)
    edit_profile(installation, 1, values={"backstay.drill": "1"})
    assert installation.catalogue.profiles.get(1).revision != found.revision
