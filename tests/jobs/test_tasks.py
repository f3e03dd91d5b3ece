"""Tasks: how each ends, what becomes of one whose process dies, and that none outstays its welcome or its secrets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Backup
from backstay.errors import DiskFullError, NotFoundError, UsageError
from backstay.jobs import lock, tasks
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import get_backup
from backstay.jobs.tasks import begin_task, find_task, list_tasks, stop_task, task_progress
from support.backups import make_files, make_files_and_noise, take
from support.disks import fill, small_disk
from support.tasks import begin_copy, begin_verify, ended, slow_storage, under_way


@pytest.fixture
def backup(installation: Installation, tmp_path: Path) -> Backup:
    """A small backup."""
    return take(installation, make_files(tmp_path / "site", 5))


@pytest.fixture
def noisy(installation: Installation, tmp_path: Path) -> Backup:
    """A backup that takes long to be sent slowly."""
    slow_storage(installation, tmp_path / "slow")
    return take(installation, make_files_and_noise(tmp_path / "noisy"))


def test_a_backup_is_verified_and_drilled_in_the_background(installation: Installation, backup: Backup) -> None:
    verified = ended(installation, begin_verify(installation, backup))
    assert (verified.state, "is good" in verified.message, verified.result["ok"]) == ("done", True, True)
    drilled = ended(
        installation, begin_task(installation, "drill", "Drill", {}, started_by="anna", backup_id=backup.id)
    )
    assert (drilled.state, drilled.result["verdict"]) == ("done", "passed")
    assert list((installation.home.path / "drills").iterdir()) == []
    proof = get_backup(installation, backup.id).proof
    assert proof["drill"]["verdict"] == "passed"
    assert [task.id for task in list_tasks(installation, backup_id=backup.id)] == [drilled.id, verified.id]


def test_what_is_found_wrong_is_how_the_task_ended(installation: Installation, backup: Backup) -> None:
    path = Path(backup.absolute_path)
    path.write_bytes(path.read_bytes()[:-10])
    failed = ended(installation, begin_verify(installation, backup))
    assert (failed.state, "damaged" in failed.message or "cut" in failed.message) == ("failed", True)


def test_the_arguments_of_a_task_are_encrypted_and_gone_at_its_end(
    installation: Installation, noisy: Backup, tmp_path: Path
) -> None:
    task = begin_copy(installation, noisy)
    under_way(installation, task)
    assert installation.catalogue.tasks.arguments(task.id)["password"] == "a secret of the task"
    stop_task(installation, task.id)
    assert ended(installation, task).state == "stopped"
    assert installation.catalogue.tasks.arguments(task.id) == {}
    for path in installation.home.path.rglob("*"):
        assert not path.is_file() or b"a secret of the task" not in path.read_bytes(), path


def test_a_stopped_task_says_so_and_what_it_did_can_be_begun_again(installation: Installation, noisy: Backup) -> None:
    task = begin_copy(installation, noisy)
    under_way(installation, task)
    progress = task_progress(installation, task.id)
    assert progress is not None
    assert (progress.stage, progress.total > 0) == ("Sending", True)
    stopped = stop_task(installation, task.id, patience=60)
    assert (stopped.state, stopped.message) == ("stopped", "It was stopped before its end.")
    assert stop_task(installation, task.id).ended == stopped.ended
    again = begin_copy(installation, noisy)
    assert again.id != task.id
    stop_task(installation, again.id, patience=60)


def test_a_task_that_is_stopped_before_it_begins_does_nothing(installation: Installation, backup: Backup) -> None:
    task = begin_verify(installation, backup)
    stop_task(installation, task.id)
    assert ended(installation, task).state in ("stopped", "done")


def test_a_task_whose_process_was_killed_has_failed_and_keeps_no_secret(
    installation: Installation, noisy: Backup
) -> None:
    task = begin_copy(installation, noisy)
    under_way(installation, task)
    number = lock.process_number(installation.home.task(task.id))
    assert number is not None
    os.kill(number, signal.SIGKILL)
    dead = ended(installation, task)
    assert (dead.state, dead.message) == ("failed", "Its process died: see the system's log.")
    assert installation.catalogue.tasks.arguments(task.id) == {}
    assert installation.catalogue.tasks.get(task.id).state == "failed"


def test_a_task_whose_process_was_never_started_has_failed_after_a_minute(
    installation: Installation, backup: Backup
) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=2)
    old = installation.catalogue.tasks.create("verify", "Old", {}, long_ago, started_by="anna")
    new = installation.catalogue.tasks.create("verify", "New", {}, datetime.now(UTC), started_by="anna")
    assert find_task(installation, old.id).state == "failed"
    assert find_task(installation, new.id).state == "running"


def test_the_same_twice_is_one_task_and_different_ones_run_side_by_side(
    installation: Installation, noisy: Backup, backup: Backup
) -> None:
    task = begin_copy(installation, noisy)
    assert begin_copy(installation, noisy).id == task.id
    other = ended(installation, begin_verify(installation, backup))
    assert other.state == "done"
    assert [one.id for one in list_tasks(installation, state="running")] == [task.id]
    stop_task(installation, task.id, patience=60)


def test_no_more_tasks_run_than_may(
    installation: Installation, noisy: Backup, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MOST_AT_ONCE", 1)
    task = begin_copy(installation, noisy)
    with pytest.raises(UsageError, match="1 tasks run already"):
        begin_verify(installation, backup)
    stop_task(installation, task.id, patience=60)
    assert ended(installation, begin_verify(installation, backup)).state == "done"


def test_a_task_outlives_the_process_that_began_it(installation: Installation, noisy: Backup) -> None:
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from backstay.jobs.installation import open_installation\n"
        "from backstay.jobs.tasks import begin_task\n"
        "installation = open_installation(Path(sys.argv[1]))\n"
        "begin_task(installation, 'copy', 'Copy', {'storage': 'slow'}, started_by='anna', backup_id=int(sys.argv[2]))\n"
        "os.killpg(os.getpgid(0), signal.SIGTERM)\n"
    )
    command = [sys.executable, "-c", program, str(installation.home.path), str(noisy.id)]
    done = subprocess.run(command, start_new_session=True, check=False)
    assert done.returncode == -signal.SIGTERM
    task = list_tasks(installation)[0]
    under_way(installation, task)
    assert stop_task(installation, task.id, patience=60).state == "stopped"


def test_old_tasks_are_forgotten_with_their_folders(installation: Installation, backup: Backup) -> None:
    old = ended(installation, begin_verify(installation, backup))
    with installation.catalogue.tasks._writer.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET ended = '2020-01-01 00:00:00.000000'")
    new = ended(installation, begin_verify(installation, backup))
    assert [task.id for task in list_tasks(installation)] == [new.id]
    assert not installation.home.task(old.id).exists()
    with pytest.raises(NotFoundError):
        find_task(installation, old.id)


def test_on_a_full_disk_no_task_begins_and_one_that_ends_is_noted_when_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk, open_installation(disk / "home") as installation:
        backup = take(installation, make_files(tmp_path / "site", 5))
        slow_storage(installation, tmp_path / "slow")
        noisy = take(installation, make_files_and_noise(tmp_path / "noisy"))
        task = begin_copy(installation, noisy)
        under_way(installation, task)
        filler = fill(disk)
        with pytest.raises(DiskFullError):
            begin_verify(installation, backup)
        stop_task(installation, task.id)
        filler.unlink()
        assert ended(installation, task).state == "stopped"
        assert [one.state for one in list_tasks(installation) if one.id != task.id] in ([], ["failed"])
