"""Schedules, storages, recipients, tokens and the server's own settings, through the pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from backstay.catalogue import DestinationOptions
from backstay.jobs.installation import Installation, api_secret, open_installation
from backstay.jobs.recipients import Wishes, add_recipient
from backstay.jobs.schedules import add_schedule
from backstay.jobs.storage import add_destination
from backstay.jobs.tasks import KINDS
from backstay.jobs.users import Role
from web.browser import DESKTOP, TELEPHONE, PageServer, confirm_password, faults, open_page
from web.driving import PASSWORD, Visitor

NOW = datetime(2026, 11, 26, tzinfo=UTC)
AGAIN = {"confirmed_with": PASSWORD}


@pytest.fixture
def admin(visitor: Visitor) -> Visitor:
    return visitor.signed_in(Role.ADMINISTRATOR)


def secret_of(text: str) -> str:
    """Return what a page shows once."""
    found = re.search(r'<pre class="shown-once"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert found, text
    return unescape(found[1])


def fill(installation: Installation, folder: Path) -> None:
    """Make one of everything, with secrets in them."""
    add_schedule(installation, 1, at="17 3 * * *", now=NOW, time_zone="Europe/Berlin")
    folder.mkdir(exist_ok=True)
    add_destination(installation, "nas", f"folder://{folder}", {}, DestinationOptions())
    keys = {"access_key_id": "AKGeheim1", "secret_access_key": "Geheim222"}
    add_destination(installation, "s3", "s3://bucket/x?endpoint=https://s3.example.com", keys, DestinationOptions())
    add_recipient(installation, "ops", Wishes(url="webhook+https://ops.example.com/Geheim333"), NOW)


def test_a_schedule_is_previewed_added_changed_run_paused_and_removed(admin: Visitor) -> None:
    fields = {"profile": "1", "what": "backup", "at": "30 4 * * MON", "time_zone": "Europe/Berlin", "spread": "0"}
    preview = admin.post("/schedules/new", {**fields, "preview": "1"}, form_at="/schedules/new").text
    assert preview.split("The next ten runs")[1].count("<li>") == 10
    assert admin.installation.catalogue.schedules.all() == []
    wrong = admin.post("/schedules/new", {**fields, "at": "<b>61 * * * *"}, form_at="/schedules/new")
    assert wrong.status_code == 400
    assert "<b>61" not in wrong.text
    assert (
        "no time zone" in admin.post("/schedules/new", {**fields, "time_zone": "Mars"}, form_at="/schedules/new").text
    )
    assert "Schedule 1 is added." in admin.post("/schedules/new", dict(fields), form_at="/schedules/new").text
    page = "/schedules/1"
    changed = admin.post(page, {**fields, "at": "0 5 * * *", "spread": "30m", "catch_up": "1"}, form_at=page)
    assert "Schedule 1 is saved." in changed.text
    one = admin.installation.catalogue.schedules.get(1)
    assert (one.at, one.spread, one.catch_up) == ("0 5 * * *", 1800, True)
    assert "Schedule 1 is paused." in admin.post("/schedules/1/pause").text
    assert "Schedule 1 goes on." in admin.post("/schedules/1/resume").text
    assert "It starts" in admin.post("/schedules/1/run").text
    assert "waiting" in admin.get("/schedules").text
    assert "Schedule 1 is removed" in admin.post("/schedules/1/remove", {"sure": "yes", **AGAIN}).text
    assert admin.installation.catalogue.schedules.all() == []


def test_the_preview_for_scripts_says_when_or_why_not(admin: Visitor) -> None:
    asked = "/schedules/preview?profile=1&at=0+3+*+*+*&time_zone=Asia/Tokyo&spread=0"
    found = admin.get(asked).json()
    assert len(found["runs"]) == 10
    assert found["runs"][0].endswith(" 03:00 JST")
    assert "no span" in admin.get(asked.replace("spread=0", "spread=x")).json()["problem"]


def test_schedules_are_shown_by_profile(admin: Visitor) -> None:
    fill(admin.installation, admin.installation.home.path / "nas")
    assert "17 3 * * *" in admin.get("/schedules?profile=1").text
    assert "17 3 * * *" not in admin.get("/schedules?profile=2").text
    assert admin.get("/schedules?profile=x&page=y").status_code == 200


def test_storages_are_added_by_fields_changed_and_removed(admin: Visitor, tmp_path: Path) -> None:
    (tmp_path / "na s").mkdir()
    new = {"kind": "folder", "name": "nas", "path": str(tmp_path / "na s"), "parts_at_once": "2", "lock_days": "0"}
    assert "The storage nas is added" in admin.post("/storage/new", dict(new), form_at="/storage/new?kind=folder").text
    s3: dict[str, Any] = {**new, "kind": "s3", "name": "off", "host": "bucket", "path": "x"}
    s3 |= {"option.endpoint": "https://s3.example.com", "option.region": "eu"}
    lacking = admin.post("/storage/new", dict(s3), form_at="/storage/new?kind=s3")
    assert lacking.status_code == 400
    assert "access key id" in lacking.text.lower()
    assert 'value="bucket"' in lacking.text
    s3 |= {
        "secret.access_key_id": "AKGeheim1",
        "secret.secret_access_key": "Geheim222",
        "secret.session_token": "Geheim3",
    }
    added = admin.post("/storage/new", dict(s3), form_at="/storage/new?kind=s3").text
    assert "The storage off is added" in added
    assert "Geheim" not in added
    stored = admin.installation.catalogue.destinations.get("off")
    assert stored.url == "s3://bucket/x?endpoint=https://s3.example.com&region=eu"
    # What was left empty stays, what is ticked goes.
    edited = {key: value for key, value in s3.items() if not key.startswith("secret.")}
    edited |= {"path": "y", "secret.secret_access_key": "Geheim4", "remove.session_token": "1", "bandwidth": "2MiB"}
    assert "is saved" in admin.post("/storage/off", edited, form_at="/storage/off").text
    stored = admin.installation.catalogue.destinations.get("off")
    assert stored.secrets == {"access_key_id": "AKGeheim1", "secret_access_key": "Geheim4"}
    assert (stored.options.bandwidth, stored.url.partition("?")[0]) == (2 << 20, "s3://bucket/y")
    assert "Tick that" in admin.post("/storage/off/remove", dict(AGAIN)).text
    assert "is removed" in admin.post("/storage/off/remove", {"sure": "yes"}).text
    assert [one.name for one in admin.installation.catalogue.destinations.all()] == ["nas"]


def test_a_storage_is_tested_and_searched_by_tasks(admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(admin.installation, admin.installation.home.path / "nas")
    begun: list[tuple[str, Any]] = []

    class Begun:
        id = 1

    def begin(_installation: object, kind: str, _title: str, given: Any, **_more: object) -> Begun:
        begun.append((kind, given))
        return Begun()

    monkeypatch.setattr("backstay.web.pages.settings.storage.begin_task", begin)
    admin.client.follow_redirects = False
    token = {"from_here": admin.token()}
    assert admin.client.post("/storage/nas/test", data=token).headers["location"] == "/tasks/1"
    admin.client.post("/storage/nas/import", data=token)
    assert begun == [("test storage", {"name": "nas"}), ("import storage", {"name": "nas", "password": ""})]
    assert {kind for kind, _given in begun} <= KINDS.keys()


def test_recipients_are_added_changed_tested_and_removed(admin: Visitor) -> None:
    new: dict[str, Any] = {"name": "ops", "url": "webhook+http://127.0.0.1:1/Geheim333", "digest": "none"}
    once = secret_of(admin.post("/notifications/new", dict(new), form_at="/notifications/new").text)
    stored = admin.installation.catalogue.recipients.get("ops")
    assert stored.secret == once
    shown = admin.get("/notifications/ops").text + admin.get("/notifications").text
    assert "Geheim333" not in shown
    assert once not in shown
    edit: dict[str, Any] = {"events": ["failed", "late"], "profiles": "1", "digest": "daily", "digest_at": "07:30"}
    assert "is saved" in admin.post("/notifications/ops", edit, form_at="/notifications/ops").text
    edited = admin.installation.catalogue.recipients.get("ops")
    assert (edited.url, edited.secret, edited.events) == (stored.url, once, ("failed", "late"))
    assert (edited.options.profiles, edited.options.digest, edited.options.digest_at) == ((1,), "daily", "07:30")
    wrong = admin.post("/notifications/ops", {**edit, "digest_at": "25:00"}, form_at="/notifications/ops")
    assert "is no time of day" in unescape(wrong.text)
    tested = admin.post("/notifications/ops/test").text
    assert "The test did not arrive" in tested
    assert "Geheim333" not in tested
    assert "is removed" in admin.post("/notifications/ops/remove", {"sure": "yes", **AGAIN}).text


def test_a_token_and_the_secret_word_are_shown_once_after_the_password(admin: Visitor) -> None:
    fields: dict[str, Any] = {"name": "ci", "scope": ["read", "backup"], "expires": "90d"}
    made = admin.post("/settings/tokens", {**fields, **AGAIN}, form_at="/settings").text
    token = secret_of(made)
    page = admin.get("/settings").text
    assert token not in page
    assert "backup, read" in page
    taken = admin.post("/settings/tokens", fields, form_at="/settings")
    assert "There is a token named ci already" in taken.text
    assert "is no time" in unescape(admin.post("/settings/tokens", {"name": "x", "expires": "soon"}).text)
    word = api_secret(admin.installation)
    assert word not in page
    assert secret_of(admin.post("/settings/secret").text) == word
    new = secret_of(admin.post("/settings/secret/rotate").text)
    assert new != word
    assert api_secret(admin.installation) == new
    assert "is revoked" in admin.post("/settings/tokens/revoke", {"name": "ci"}).text
    assert admin.installation.catalogue.tokens.all() == []


def test_settings_of_the_server_say_where_they_come_from_and_no_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(exist_ok=True)
    (home / "backstay.toml").write_text('[server]\nport = 8000\nimport_key = "R2VoZWlt"\n')
    monkeypatch.setenv("BACKSTAY_JOBS__NICENESS", "7")
    with open_installation(home) as installation, Visitor(installation) as visitor:
        page = visitor.signed_in(Role.ADMINISTRATOR).get("/settings").text
    rows = dict(re.findall(r"<strong>([\w.]+)</strong>.*?<td>.*?</td>\s*<td>(.*?)</td>", page, re.DOTALL))
    assert "file" in rows["server.port"]
    assert "environment" in rows["jobs.niceness"]
    assert rows["server.host"] == "default"
    assert "R2VoZWlt" not in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_change_anything_sees_no_forms_and_no_secrets(visitor: Visitor, role: Role) -> None:
    fill(visitor.installation, visitor.installation.home.path / "nas")
    visitor.signed_in(role)
    for path in ("/schedules", "/schedules/1", "/storage", "/storage/s3", "/notifications", "/notifications/ops"):
        page = visitor.get(path)
        assert page.status_code == 200
        assert "Geheim" not in page.text
        actions = set(re.findall(r'<form[^>]*action="([^"]+)"', page.text)) - {"/sign-out"}
        allowed = {"/schedules/1/run", "/storage/s3/test", "/notifications/ops/test"}
        assert actions <= (allowed if role is Role.OPERATOR else set()), path
        assert '<form method="post" class' not in page.text
    assert visitor.get("/settings").status_code == 403


@pytest.fixture(scope="module")
def filled(served: PageServer) -> PageServer:
    """Serve a home in which there is one of everything."""
    with open_installation(served.home) as installation:
        fill(installation, served.home.parent / "nas")
    return served


@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE], ids=["desktop", "telephone"])
def test_the_pages_have_no_serious_fault(browser: Browser, filled: PageServer, size: dict[str, int]) -> None:
    paths = (
        "/schedules", "/schedules/1", "/storage", "/storage/new?kind=sftp", "/storage/s3", "/notifications",
        "/notifications/ops", "/settings",
    )  # fmt: skip
    with open_page(browser, filled, Role.ADMINISTRATOR, size=size) as page:
        for path in paths:
            page.goto(path)
            assert faults(page) == [], path


@pytest.mark.parametrize("scripts", [True, False])
def test_a_schedule_is_saved_in_a_browser_after_its_runs_were_seen(
    browser: Browser, filled: PageServer, *, scripts: bool
) -> None:
    with open_page(browser, filled, Role.ADMINISTRATOR, scripts=scripts) as page:
        page.goto("/schedules/new")
        runs = page.locator("#runs li")
        first = runs.first.inner_text()
        page.get_by_label("At", exact=True).fill("0 12 1 * *")
        if not scripts:
            page.get_by_role("button", name="Preview the runs").click()
        page.wait_for_function("first => document.querySelector('#runs li').textContent !== first", arg=first)
        assert runs.count() == 10
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("is added.").wait_for()
        page.get_by_text("Remove the schedule").first.click()
        page.get_by_label("It may go").check()
        page.get_by_role("button", name="Remove the schedule").click()
        confirm_password(page)
        page.get_by_text("is removed").wait_for()
