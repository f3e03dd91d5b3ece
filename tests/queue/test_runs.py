"""Runs of schedules: one backup each, whatever happens between two steps."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Run
from backstay.errors import BackupRunningError
from backstay.jobs.alarms import check
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import delete_backup, get_backup
from backstay.jobs.schedules import add_schedule, run_now
from backstay.queue import runs
from support.backups import begin, finish, kill, make_files, make_files_and_noise, take

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site."""
    return make_files(tmp_path / "site", count=5)


def scheduled(installation: Installation, site: Path, at: str = "0 3 * * *") -> int:
    """Add a schedule for a site that counts from before its last due time; return its number."""
    profile = profile_of_site(installation, site, "none")
    return add_schedule(installation, profile.id, at=at, time_zone="UTC", now=NOW - timedelta(hours=1)).id


def due(installation: Installation) -> Run:
    """Return the one run that is due."""
    ((number, run),) = [(item["id"], item) for item in runs.due(installation, NOW)]
    assert run["due"] == "2026-05-04T03:00:00+00:00"
    return ended(installation, number)


def ended(installation: Installation, number: int) -> Run:
    run = installation.catalogue.runs.get(number)
    assert run is not None
    return run


def follow(installation: Installation, run_id: int) -> Run:
    runs.finish(installation, run_id, now=lambda: NOW, wait=lambda _seconds: time.sleep(0.05))
    return ended(installation, run_id)


def test_a_due_run_takes_one_backup_however_often_its_steps_are_repeated(
    installation: Installation, site: Path
) -> None:
    scheduled(installation, site)
    run = due(installation)
    assert [item["id"] for item in runs.due(installation, NOW)] == [run.id]  # until somebody begins it
    assert all(runs.begin(installation, run.id, NOW) for _ in range(3))
    backup_id = ended(installation, run.id).backup_id
    assert backup_id is not None
    for _ in range(2):
        run = follow(installation, run.id)
        assert (run.state, run.message) == ("done", f"Backup {backup_id} is complete.")
    assert runs.due(installation, NOW) == []
    assert [backup.id for backup in installation.catalogue.backups.newest()] == [backup_id]


def test_a_run_of_proofs_says_what_it_proved_and_leaves_none_unfinished_when_its_process_ends(
    installation: Installation, site: Path
) -> None:
    backup = take(installation, site)
    schedule = add_schedule(installation, backup.profile_id, at="@daily", now=NOW, what="verify")
    run = run_now(installation, schedule.id, datetime.now(UTC))
    assert runs.begin(installation, run.id, NOW)

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.finish(installation, run.id, now=lambda: NOW, wait=stop)
    assert "verifications" not in get_backup(installation, backup.id).proof
    run = follow(installation, run.id)
    assert (run.state, run.message) == ("done", "1 of 1 were read and compared, and are good.")
    Path(backup.absolute_path).unlink()
    run = follow(installation, run_now(installation, schedule.id, datetime.now(UTC)).id)
    assert run.state == "failed"
    assert f"Backup {backup.id}: " in run.message


def test_a_run_waits_while_another_backup_of_its_profile_runs(installation: Installation, tmp_path: Path) -> None:
    site = make_files_and_noise(tmp_path / "site")
    schedule = scheduled(installation, site)
    other = begin(installation, site)
    run = run_now(installation, schedule, NOW)
    if not runs.begin(installation, run.id, NOW):  # unless the other ended that fast
        assert ended(installation, run.id).state == "waiting"
    finish(installation, other)
    assert runs.begin(installation, run.id, NOW)
    assert follow(installation, run.id).state == "done"


def test_a_record_that_a_run_has_cannot_be_made_a_second_time(installation: Installation, site: Path) -> None:
    schedule = scheduled(installation, site)
    run = run_now(installation, schedule, NOW)
    profile = profile_of_site(installation, site, "none").id
    values = {"profile_id": profile, "backupstart": NOW, "type": "full"}
    first = installation.catalogue.backups.create(**values, run_id=run.id)  # type: ignore[arg-type]  # plain values
    with pytest.raises(BackupRunningError, match=f"Run {run.id} "):
        installation.catalogue.backups.create(**values, run_id=run.id)  # type: ignore[arg-type]  # plain values
    assert [backup.id for backup in installation.catalogue.backups.newest()] == [first.id]


def test_a_worker_that_dies_under_a_run_is_resumed(installation: Installation, tmp_path: Path) -> None:
    schedule = scheduled(installation, make_files_and_noise(tmp_path / "site"))
    run = run_now(installation, schedule, NOW)
    runs.begin(installation, run.id, NOW)
    backup_id = ended(installation, run.id).backup_id
    assert backup_id is not None
    kill(installation, backup_id)
    assert follow(installation, run.id).state == "done"
    assert get_backup(installation, backup_id).status == "complete"


def test_a_run_that_cannot_begin_says_why(installation: Installation, site: Path) -> None:
    schedule = scheduled(installation, site)
    shutil.rmtree(site)
    run = run_now(installation, schedule, NOW)
    assert runs.begin(installation, run.id, NOW)
    run = follow(installation, run.id)
    assert (run.state, run.backup_id, run.ended) == ("failed", None, NOW)
    assert str(site) in run.message
    site.mkdir()
    assert runs.begin(installation, run.id, NOW)  # repeated after a death: it has ended, and takes no backup
    assert ended(installation, run.id).backup_id is None
    site.rmdir()
    (opened,) = check(installation, NOW + timedelta(minutes=1))
    assert (opened.alarm.kind, opened.alarm.profile_id) == ("failed", 2)
    assert "could not begin" in opened.alarm.message
    assert str(site) in opened.alarm.message
    backup = take(installation, make_files(site, count=5))
    installation.catalogue.backups.update(backup.id, backupend=NOW + timedelta(hours=1))
    assert [change.change for change in check(installation, NOW + timedelta(hours=2))] == ["closed"]


def test_a_run_whose_backup_was_deleted_or_failed_says_so(installation: Installation, site: Path) -> None:
    schedule = scheduled(installation, site)
    backup = take(installation, site)
    first = run_now(installation, schedule, NOW)
    runs.begin(installation, first.id, NOW)
    number = ended(installation, first.id).backup_id
    assert number is not None
    delete_backup(installation, number)
    assert follow(installation, first.id).message == f"Backup {number} was deleted."
    second = run_now(installation, schedule, NOW + timedelta(seconds=1))
    installation.catalogue.backups.update(backup.id, status="run")
    installation.catalogue.backups.end(backup.id, error="The disk is gone.")
    with installation.catalogue.runs._writer.begin() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET backup_id = {backup.id} WHERE id = {second.id}")
    second = follow(installation, second.id)
    assert (second.state, second.message) == ("failed", "The disk is gone.")
