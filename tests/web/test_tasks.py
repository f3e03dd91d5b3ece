"""Tasks on the page: listed, watched, stopped by who may."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from support.backups import make_files, make_files_and_noise, take
from support.tasks import begin_copy, ended, slow_storage, under_way
from web.driving import Visitor

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def test_a_task_is_watched_and_stopped(visitor: Visitor, tmp_path: Path) -> None:
    installation = visitor.installation
    slow_storage(installation, tmp_path / "slow")
    task = begin_copy(installation, take(installation, make_files_and_noise(tmp_path / "site")))
    under_way(installation, task)
    page = visitor.signed_in(Role.VIEWER).get(f"/tasks/{task.id}").text
    assert "Sending" in page
    assert '<meta http-equiv="refresh"' in page
    assert "/stop" not in page
    assert visitor.post(f"/tasks/{task.id}/stop").status_code == 403
    page = visitor.signed_in(Role.OPERATOR).post(f"/tasks/{task.id}/stop", form_at=f"/tasks/{task.id}").text
    assert "The task was asked to stop." in page
    assert ended(installation, task).state == "stopped"
    page = visitor.get(f"/tasks/{task.id}").text
    assert "It was stopped before its end." in page
    assert "refresh" not in page
    assert visitor.get("/tasks/999").status_code == 404


@pytest.mark.parametrize("page", ["", "?page=0", "?page=x", "?page=99999999999999999999", "?page=²"])
def test_tasks_are_listed_and_their_titles_are_never_markup(visitor: Visitor, tmp_path: Path, page: str) -> None:
    installation = visitor.installation
    backup = take(installation, make_files(tmp_path / "site", 3))
    task = begin_task(installation, "verify", HOSTILE, {}, started_by=HOSTILE, backup_id=backup.id)
    ended(installation, task)
    for path in (f"/tasks{page}", f"/tasks/{task.id}"):
        text = visitor.signed_in(Role.VIEWER).get(path).text
        assert f'/tasks/{task.id}"' in text or "is good" in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x1b[31m" in text
        assert "<script>alert" not in text
        assert "\x1b" not in text
