"""Repositories on the page: what they take, their backups, and their check and prune as tasks."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from backstay.jobs.installation import open_installation
from backstay.jobs.records import delete_backup
from backstay.jobs.tasks import find_task
from backstay.jobs.users import Role
from support.backups import make_files, take
from support.repositories import add_sites, damage, into_repository
from support.tasks import ended
from web.browser import DESKTOP, TELEPHONE, PageServer, faults, open_page
from web.driving import Visitor


def task_of(visitor: Visitor, path: str, **fields: str) -> str:
    """Begin a task, wait for its end, and return what it says."""
    page = visitor.post(path, fields, form_at="/repositories/sites")
    assert page.status_code == 200, page.text
    number = int(re.search(r"/tasks/(\d+)", str(page.url))[1])  # type: ignore[index]
    return ended(visitor.installation, find_task(visitor.installation, number)).message


def test_a_repository_is_shown_counted_checked_and_pruned(visitor: Visitor, tmp_path: Path) -> None:
    installation = visitor.installation
    site = make_files(tmp_path / "site", 5, 2000)
    noise = random.Random(1).randbytes(200_000)
    add_sites(installation, passphrase="a passphrase")
    visitor.signed_in(Role.ADMINISTRATOR)
    assert "never" in visitor.get("/storage").text
    assert "No backup of this server" in visitor.get("/repositories/sites").text
    first = into_repository(installation, take(installation, site))
    (site / "noise.bin").write_bytes(noise)
    second = into_repository(installation, take(installation, site))
    page = visitor.get("/repositories/sites").text
    assert f'href="/backups/{first.id}"' in page
    assert "It was not counted yet" in page
    assert task_of(visitor, "/repositories/sites/count").startswith("2 backups of ")
    page = visitor.get("/repositories/sites").text
    assert "not counted" not in page
    assert " to 1" in page
    assert 'href="/repositories/sites"' in visitor.get("/storage").text
    assert "is good: 2 backups" in task_of(visitor, "/repositories/sites/check", share="1")
    delete_backup(installation, second.id)
    assert "Packs deleted" in task_of(visitor, "/repositories/sites/prune")
    assert f"/backups/{second.id}" not in visitor.get("/repositories/sites").text
    assert "known already: 1" in task_of(visitor, "/repositories/sites/adopt")
    assert visitor.post("/repositories/sites/check", {"share": "2"}, form_at="/repositories/sites").status_code == 400
    assert visitor.get("/repositories/others").status_code == 404


def test_damage_is_what_the_task_fails_with(visitor: Visitor, tmp_path: Path) -> None:
    installation = visitor.installation
    site = make_files(tmp_path / "site", 3)
    noise = random.Random(1).randbytes(20_000)
    (site / "noise.bin").write_bytes(noise)
    add_sites(installation)
    into_repository(installation, take(installation, site))
    damage(installation, noise)
    said = task_of(visitor.signed_in(Role.OPERATOR), "/repositories/sites/check", share="1")
    assert "noise.bin is damaged" in said


def test_a_backup_in_it_is_downloaded_and_looked_into(visitor: Visitor, tmp_path: Path) -> None:
    installation = visitor.installation
    site = make_files(tmp_path / "site", 3)
    (site / "hello.txt").write_text("hello from the repository")
    add_sites(installation)
    backup = into_repository(installation, take(installation, site))
    visitor.signed_in(Role.OPERATOR)
    page = visitor.get(f"/backups/{backup.id}").text
    assert 'href="/repositories/sites"' in page
    part = visitor.get(f"/backups/{backup.id}/parts/1")
    assert (part.status_code, len(part.content)) == (200, backup.total_size)
    assert "hello.txt" in visitor.get(f"/backups/{backup.id}/files").text
    assert "hello from the repository" in visitor.get(f"/backups/{backup.id}/files/file?path=hello.txt").text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_prune_sees_no_button_for_it(visitor: Visitor, role: Role) -> None:
    add_sites(visitor.installation)
    page = visitor.signed_in(role).get("/repositories/sites").text
    assert "/prune" not in page
    assert ("/check" in page) == (role is Role.OPERATOR)


@pytest.mark.parametrize("size", [DESKTOP, TELEPHONE], ids=["desktop", "telephone"])
def test_the_pages_have_no_serious_fault(
    browser: Browser, served: PageServer, tmp_path: Path, size: dict[str, int]
) -> None:
    with open_installation(served.home) as installation:
        if not installation.catalogue.repositories.all():
            add_sites(installation)
        into_repository(installation, take(installation, make_files(tmp_path / "site", 3)))
    with open_page(browser, served, Role.ADMINISTRATOR, size=size) as page:
        for path in ("/storage", "/repositories/sites"):
            page.goto(path)
            assert faults(page) == [], path
