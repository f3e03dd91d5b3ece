"""Two backups compared: files by content, tables by rows, and what cannot be compared is said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backstay.errors import NotFoundError, UsageError
from backstay.jobs.comparing import TableChange, compare_backups
from backstay.jobs.installation import Installation
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from backstay.steps import finished
from support.backups import make_database, make_files, take
from support.tasks import ended
from web.driving import Visitor


def test_added_changed_and_removed_paths_and_tables_are_found(installation: Installation, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site", 5)
    database = make_database(tmp_path / "data.db", rows=100)
    (site / "a.txt").write_text("first")
    (site / "gone\udcff.txt").write_text("gone")
    first = take(installation, site, database)
    (site / "a.txt").write_text("other")
    (site / "gone\udcff.txt").unlink()
    (site / "a").mkdir()
    (site / "a" / "<b>.txt").write_text("new")
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection, connection:
        table = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()[0]
        connection.execute(f'DELETE FROM "{table}" WHERE rowid IN (SELECT rowid FROM "{table}" LIMIT 3)')
        connection.execute("CREATE TABLE fresh (n INTEGER)")
        connection.execute("INSERT INTO fresh VALUES (1)")
    second = take(installation, site, database)
    found = finished(compare_backups(installation, first.id, second.id))
    assert found.added.paths == ["a", "a/<b>.txt"]
    assert (found.changed.paths, found.changed.bytes) == (["a.txt"], 5)
    assert found.removed.paths == ["gone\udcff.txt"]
    assert found.unchanged >= 5
    assert {(one.before, one.after) for one in found.tables} == {(100, 97), (None, 1)}
    assert any(one.name.endswith("/fresh") for one in found.tables)
    same = finished(compare_backups(installation, second.id, second.id))
    assert (same.added.count, same.changed.count, same.removed.count, same.tables) == (0, 0, 0, [])
    assert TableChange("x", 1, 2) not in same.tables
    assert not list(installation.home.jobs.glob("compare-*"))


def test_what_is_no_whole_archive_is_not_compared(installation: Installation, tmp_path: Path) -> None:
    backup = take(installation, make_files(tmp_path / "site", 2))
    with pytest.raises(NotFoundError):
        finished(compare_backups(installation, backup.id, 999))
    installation.catalogue.backups.update(backup.id, status="fail")
    with pytest.raises(UsageError, match="no complete archive"):
        finished(compare_backups(installation, backup.id, backup.id))


def test_a_comparison_is_shown_on_the_page_with_hostile_names_as_text(
    installation: Installation, tmp_path: Path
) -> None:
    site = make_files(tmp_path / "site", 3)
    first = take(installation, site)
    (site / "<script>alert(1)<\u202e").write_text("x")
    second = take(installation, site)
    task = begin_task(installation, "compare", "Compare", {"with": first.id}, started_by="anna", backup_id=second.id)
    assert ended(installation, task).state == "done"
    with Visitor(installation) as visitor:
        page = visitor.signed_in(Role.VIEWER).get(f"/backups/compare?a={first.id}&b={second.id}").text
        assert "1 path added" in page
        assert "&lt;script&gt;alert(1)&lt;\\u202e" in page
        assert "Show what changed" in visitor.get(f"/tasks/{task.id}").text
