"""Bringing a site back from the page: what is asked, the plan that is shown, and what may not be done."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from backstay.catalogue import Backup
from backstay.demo.compare import compare_trees
from backstay.jobs.profiles import create_profile
from backstay.jobs.restore import pending_restores
from backstay.jobs.tasks import find_task
from backstay.jobs.users import Role
from server.driving import driven
from support.backups import make_files, take
from web.driving import PASSWORD, Visitor

ARCHIVES = Path(__file__).resolve().parents[1] / "fixtures" / "reference-archives"
PATIENCE_SECONDS = 60.0


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site of files."""
    return make_files(tmp_path / "site")


@pytest.fixture
def backup(visitor: Visitor, site: Path) -> Backup:
    """A backup of it; an administrator is signed in."""
    visitor.signed_in(Role.ADMINISTRATOR)
    return take(visitor.installation, site)


@pytest.fixture
def changed(site: Path, backup: Backup, tmp_path: Path) -> Path:
    """A copy of the site as it is after the backup was taken."""
    del backup
    (site / "added.txt").write_text("since")
    (site / "folder 1/file-1.txt").write_text("changed")
    shutil.rmtree(site / "folder 3")
    subprocess.run(["cp", "-a", site, tmp_path / "changed"], check=True)
    return tmp_path / "changed"


def planned(visitor: Visitor, form_at: str, **fields: object) -> tuple[str, str]:
    """Fill the form in; return the address of the plan and its page."""
    answer = visitor.post(form_at, {"what": "all", "place": "own", "strategy": "whole", **fields}, form_at=form_at)
    assert answer.status_code == 200, text_of(answer.text)
    return answer.url.path, answer.text


def begun(visitor: Visitor, plan: str, name: str = "site", *, page: str = "") -> int:
    """Begin what was planned; return the number of the task."""
    seen = re.search(r'name="seen" value="([^"]*)"', page or visitor.get(plan).text)
    assert seen
    fields = {"seen": html.unescape(seen[1]), "name": name, "confirmed_with": PASSWORD}
    answer = visitor.post(f"{plan}/begin", fields, form_at=plan)
    assert answer.url.path.startswith("/tasks/"), text_of(answer.text)
    return int(answer.url.path.rpartition("/")[2])


def ended(visitor: Visitor, number: int) -> str:
    """Wait for the end of a task; return its page."""
    until = time.monotonic() + PATIENCE_SECONDS
    while find_task(visitor.installation, number).state == "running":
        assert time.monotonic() < until
        time.sleep(0.05)
    return visitor.get(f"/tasks/{number}").text


def work(visitor: Visitor, name: str, what: str) -> str:
    """Resume, undo or confirm a restore; return the page of the task at its end."""
    answer = visitor.post(f"/restores/{name}/{what}", {"confirmed_with": PASSWORD}, form_at=f"/restores/{name}")
    return ended(visitor, int(answer.url.path.rpartition("/")[2]))


def text_of(page: str) -> str:
    """Return what a page says."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_a_site_is_brought_back_and_taken_back(visitor: Visitor, site: Path, backup: Backup, changed: Path) -> None:
    plan, page = planned(visitor, f"/backups/{backup.id}/restore")
    said = text_of(page)
    assert f"The restore replaces all that is in {site}." in said
    assert "1 file of the folder is not in the backup and would be set aside" in said
    assert re.search(r"Come anew [56] .*Replace others 1 .*Set aside 1 .*added.txt", said)
    assert compare_trees(changed, site).differences == []
    number = begun(visitor, plan, page=page)
    (pending,) = pending_restores(visitor.installation)
    link = f"/restores/{pending.name}"
    assert link in ended(visitor, number)
    assert not (site / "added.txt").exists()
    assert (site / "folder 3").is_dir()
    assert "What came back" in visitor.get(link).text
    assert str(site) in visitor.get("/restores").text
    assert visitor.get(plan).status_code == 404
    assert "is taken back" in work(visitor, pending.name, "undo")
    assert compare_trees(changed, site).differences == []
    assert "This restore is over" in visitor.get(link).text


def test_one_folder_comes_back_and_is_confirmed(visitor: Visitor, site: Path, backup: Backup, changed: Path) -> None:
    fields = {"what": "some-files", "picked": "folder%203", "paths": "folder 1/file-1.*"}
    plan, page = planned(visitor, f"/backups/{backup.id}/restore?path=folder%203", **fields)
    assert "would be set aside" not in page
    ended(visitor, begun(visitor, plan, page=page))
    assert "line 1 of" in (site / "folder 1/file-1.txt").read_text()
    assert (site / "folder 3").is_dir()
    assert (site / "added.txt").exists()
    (pending,) = pending_restores(visitor.installation)
    assert "is confirmed" in work(visitor, pending.name, "confirm")
    assert pending_restores(visitor.installation) == []
    assert changed.is_dir()


def test_a_plan_that_has_changed_is_shown_again_and_the_name_must_be_right(
    visitor: Visitor, site: Path, backup: Backup
) -> None:
    plan, page = planned(visitor, f"/backups/{backup.id}/restore")
    seen = html.unescape(re.findall(r'name="seen" value="([^"]*)"', page)[0])
    for name in ("", "sit", "SITE"):
        fields = {"seen": seen, "name": name, "confirmed_with": PASSWORD}
        answer = visitor.post(f"{plan}/begin", fields, form_at=plan)
        assert (answer.status_code, "not the site" in text_of(answer.text)) == (400, True)
    for number in range(40):
        (site / f"new-{number}.txt").write_text("since")
    answer = visitor.post(f"{plan}/begin", {"seen": seen, "name": "site"}, form_at=plan)
    assert "has changed since this plan was shown" in text_of(answer.text)
    assert "new-1.txt" in answer.text
    assert pending_restores(visitor.installation) == []


def test_the_plan_is_only_for_who_made_it(visitor: Visitor, backup: Backup) -> None:
    plan, _page = planned(visitor, f"/backups/{backup.id}/restore")
    visitor.signed_in(Role.OPERATOR)
    assert visitor.get(plan).status_code == 403
    assert visitor.post(f"{plan}/begin", {"name": "site"}).status_code == 403
    assert visitor.get(f"/backups/{backup.id}/restore").status_code == 403


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(visitor: Visitor, backup: Backup) -> None:
    form = f"/backups/{backup.id}/restore"
    fields = {"what": "some-files", "place": "other", "target": "relative", "address": "nonsense", "keep_days": "x"}
    answer = visitor.post(form, fields, form_at=form)
    said = text_of(answer.text)
    assert answer.status_code == 400
    for sentence in (
        "Give the whole path of the folder",
        "takes a whole address",
        "Give a number of days",
        "Choose a file or a folder",
    ):
        assert sentence in said
    assert 'value="relative"' in answer.text
    assert 'value="nonsense"' in answer.text


def test_an_archive_of_another_program_is_brought_back_by_its_path(visitor: Visitor, tmp_path: Path) -> None:
    visitor.signed_in(Role.ADMINISTRATOR)
    missing = visitor.post("/restores/archive", {"path": "/nowhere.jpa"}, form_at="/restores/archive")
    assert (missing.status_code, "There is no archive /nowhere.jpa" in text_of(missing.text)) == (400, True)
    wrong = {"path": str(ARCHIVES / "tiny.jps"), "password": "wrong"}
    assert "assword" in text_of(visitor.post("/restores/archive", wrong, form_at="/restores/archive").text)
    right = wrong | {"password": "correct horse battery staple"}
    answer = visitor.post("/restores/archive", right, form_at="/restores/archive")
    assert "correct horse" not in answer.text
    target = tmp_path / "copy"
    plan, page = planned(visitor, answer.url.path, what="files", place="other", target=str(target))
    assert "Nothing that is there is replaced." in text_of(page)
    ended(visitor, begun(visitor, plan, "copy", page=page))
    assert (target / "index.php").exists()
    assert pending_restores(visitor.installation) == []
    assert list((visitor.installation.home.path / "drafts").iterdir()) == []


def test_a_drill_is_begun_and_reported(visitor: Visitor, backup: Backup) -> None:
    visitor.signed_in(Role.OPERATOR)
    form = f"/backups/{backup.id}/drill"
    refused = visitor.post(form, {"database": "ftp://x/y"}, form_at=form)
    assert "A database URL begins with" in text_of(refused.text)
    answer = visitor.post(form, {}, form_at=form)
    ended(visitor, int(answer.url.path.rpartition("/")[2]))
    assert "passed" in text_of(visitor.get(form).text)


def test_a_site_is_moved_here_from_another_server(visitor: Visitor, site: Path, tmp_path: Path) -> None:
    target = tmp_path / "here"
    visitor.signed_in(Role.ADMINISTRATOR)
    with driven(tmp_path / "server-home") as server:
        values = {"akeeba.platform.newroot": str(site), "backstay.site.database": "none"}
        profile = create_profile(server.installation, name="the site", values=values)
        wrong = visitor.post("/migrate", {"url": server.url, "secret": "wrong"}, form_at="/migrate")
        assert wrong.status_code == 400
        asked = visitor.post("/migrate", {"url": server.url, "secret": server.secret}, form_at="/migrate")
        assert "the site" in text_of(asked.text)
        assert server.secret not in asked.text
        form = re.search(r'action="(/migrate/[\w-]{22})"', asked.text)
        assert form
        chosen = visitor.post(form[1], {"what": f"profile:{profile.id}"}, form_at="/migrate")
        plan, page = planned(visitor, chosen.url.path, what="files", place="other", target=str(target))
        assert "its files are not known before it is fetched" in text_of(page)
        ended(visitor, begun(visitor, plan, "here", page=page))
    assert compare_trees(site, target).differences == []
