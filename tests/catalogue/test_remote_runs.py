"""Runs of remote sites in the catalogue: one at a time for each site, and every write is its holder's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backstay.catalogue import (
    ANY_MACHINE,
    Catalogue,
    Connection,
    Group,
    NewSite,
    Profile,
    ProofOptions,
    RemoteRun,
    Schedule,
    Site,
)
from backstay.catalogue.remote_runs import KEPT_REMOTE_RUNS
from backstay.errors import BackupRunningError, NotFoundError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
REQUEST = {"description": "nightly", "overrides": {"engine.archiver.jps.key": "a secret"}}
RECORD: dict[str, Any] = {
    "description": "Backup",
    "comment": "",
    "backupstart": NOW,
    "origin": "cli",
    "type": "full",
    "archivename": "site.jpa",
    "tag": "cli",
    "backupid": "id-1",
}


def add_site(catalogue: Catalogue, name: str = "shop", *, remote: bool = True) -> int:
    """A site in a group of priority 3; gives the number of its profile."""
    catalogue.groups.create(Group(0, "clients", priority=3, created=NOW))
    site = Site(0, name, "remote" if remote else "local", 0, NOW, group="clients", host="192.0.2.7")
    connection = Connection("a word", {}) if remote else None
    return catalogue.sites.create(NewSite(site, connection, Profile(0, name))).profile_id


def queue(catalogue: Catalogue, profile_id: int, **values: Any) -> RemoteRun:
    """A run that waits."""
    return catalogue.remote_runs.queue(profile_id, NOW, request=REQUEST, **values)


def record_of(profile_id: int) -> dict[str, Any]:
    """Columns of a record."""
    return {**RECORD, "profile_id": profile_id}


def test_a_run_waits_with_the_host_and_the_priority_of_its_site(catalogue: Catalogue) -> None:
    profile_id = add_site(catalogue)
    run = queue(catalogue, profile_id)
    assert (run.state, run.host, run.priority, run.holder, run.backup_id) == ("waiting", "192.0.2.7", 3, "", None)
    assert catalogue.remote_runs.request(run.id) == REQUEST
    assert catalogue.remote_runs.open() == [run] == catalogue.remote_runs.newest(state="waiting")
    assert catalogue.remote_runs.open_of(run.site_id) == run


def test_a_site_has_one_run_that_has_not_ended(catalogue: Catalogue) -> None:
    profile_id = add_site(catalogue)
    run = queue(catalogue, profile_id)
    with pytest.raises(BackupRunningError, match="run of the site shop waits or is under way since 2026-01-02"):
        queue(catalogue, profile_id)
    assert catalogue.remote_runs.cancel(run.id, LATER, "It was cancelled.")
    assert queue(catalogue, profile_id).id > run.id


def test_a_due_moment_has_one_run_however_it_ended(catalogue: Catalogue) -> None:
    profile_id = add_site(catalogue)
    due = schedule_run(catalogue, profile_id)
    run = queue(catalogue, profile_id, run_id=due)
    assert queue(catalogue, profile_id, run_id=due) == run == catalogue.remote_runs.of_schedule_run(due)
    catalogue.remote_runs.cancel(run.id, LATER, "It was cancelled.")
    assert queue(catalogue, profile_id, run_id=due).state == "cancelled"
    assert len(catalogue.remote_runs.newest()) == 1


def test_only_the_profile_of_a_remote_site_has_runs(catalogue: Catalogue) -> None:
    profile_id = add_site(catalogue, remote=False)
    with pytest.raises(NotFoundError, match=f"Profile {profile_id} is of no remote site"):
        queue(catalogue, profile_id)


def test_a_run_is_claimed_by_one_holder_and_taken_over_by_name(catalogue: Catalogue) -> None:
    runs = catalogue.remote_runs
    run = queue(catalogue, add_site(catalogue))
    assert runs.claim(run.id, "first", NOW)
    assert runs.claim(run.id, "first", LATER), "a claim whose answer was lost is repeated"
    assert not runs.claim(run.id, "second", LATER)
    assert runs.save(run.id, "first", checkpoint={"phase": "stepping"})
    assert runs.claim(run.id, "second", LATER, previous="first")
    assert not runs.save(run.id, "first", checkpoint={"phase": "done"})
    assert not runs.end(run.id, "first", "failed", "It broke.", LATER)
    found = runs.get(run.id)
    assert (found.holder, found.attempts, found.begun, found.checkpoint) == ("second", 2, NOW, {"phase": "stepping"})


def test_a_run_that_is_given_back_waits_with_its_checkpoint(catalogue: Catalogue) -> None:
    runs = catalogue.remote_runs
    run = queue(catalogue, add_site(catalogue))
    runs.claim(run.id, "first", NOW)
    runs.save(run.id, "first", checkpoint={"phase": "stepping"})
    assert runs.release(run.id, "first")
    assert not runs.release(run.id, "first")
    found = runs.get(run.id)
    assert (found.state, found.holder, found.checkpoint) == ("waiting", "", {"phase": "stepping"})


def test_a_run_gets_one_record_which_is_of_no_machine(catalogue: Catalogue) -> None:
    runs, profile_id = catalogue.remote_runs, add_site(catalogue)
    run = queue(catalogue, profile_id)
    job = catalogue.jobs.encrypted({"plan": 1})
    assert runs.make_record(run.id, "first", record_of(profile_id), job) is None, "nobody has claimed it"
    runs.claim(run.id, "first", NOW)
    backup = runs.make_record(run.id, "first", record_of(profile_id), job)
    assert backup is not None
    assert (backup.status, backup.machine) == ("run", ANY_MACHINE)
    assert runs.make_record(run.id, "first", record_of(profile_id), job) is None
    found = runs.of_backup(backup.id)
    assert found is not None
    assert found.id == run.id


def test_the_end_of_a_run_is_that_of_its_record_and_of_its_schedules_run(catalogue: Catalogue) -> None:
    runs, profile_id = catalogue.remote_runs, add_site(catalogue)
    due = schedule_run(catalogue, profile_id)
    run = queue(catalogue, profile_id, run_id=due)
    runs.claim(run.id, "first", NOW)
    started = catalogue.runs.get(due)
    assert started is not None
    assert started.state == "running"
    backup = runs.make_record(run.id, "first", record_of(profile_id), catalogue.jobs.encrypted({}))
    assert backup is not None
    assert runs.end(run.id, "first", "failed", "The server has no space left.", LATER)
    record, of_schedule, ended = catalogue.backups.get(backup.id), catalogue.runs.get(due), runs.get(run.id)
    assert record is not None
    assert of_schedule is not None
    assert (record.status, record.error, record.filesexist) == ("fail", "The server has no space left.", False)
    assert (of_schedule.state, of_schedule.message) == ("failed", "The server has no space left.")
    assert of_schedule.backup_id == backup.id
    assert (ended.state, ended.ended, ended.holder) == ("failed", LATER, "")
    assert runs.request(run.id) == {}
    assert not runs.end(run.id, "first", "done", "", LATER)


def test_a_run_that_is_done_leaves_its_record_as_it_is(catalogue: Catalogue) -> None:
    runs, profile_id = catalogue.remote_runs, add_site(catalogue)
    run = queue(catalogue, profile_id, record=record_of(profile_id), job=catalogue.jobs.encrypted({"password": "x"}))
    assert run.backup_id is not None
    catalogue.backups.update(run.backup_id, status="complete")
    runs.claim(run.id, "first", NOW)
    runs.end(run.id, "first", "done", "Backup 1 is complete.", LATER)
    record = catalogue.backups.get(run.backup_id)
    assert record is not None
    assert (record.status, record.error) == ("complete", "")
    job = catalogue.jobs.get(run.backup_id)
    assert job is not None
    assert job.plan == {}, "its secrets go with its end"


def test_what_nobody_has_begun_is_cancelled_at_once_and_what_was_begun_by_its_worker(catalogue: Catalogue) -> None:
    runs, profile_id = catalogue.remote_runs, add_site(catalogue)
    waiting = queue(catalogue, profile_id, record=record_of(profile_id), job=catalogue.jobs.encrypted({}))
    assert waiting.backup_id is not None
    assert runs.cancel(waiting.id, NOW, "It was cancelled.")
    record = catalogue.backups.get(waiting.backup_id)
    assert record is not None
    assert (runs.get(waiting.id).state, record.status, record.error) == ("cancelled", "fail", "It was cancelled.")
    assert not runs.cancel(waiting.id, NOW, "It was cancelled.")
    begun = queue(catalogue, profile_id)
    runs.claim(begun.id, "first", NOW)
    runs.save(begun.id, "first", checkpoint={"phase": "starting"})
    runs.release(begun.id, "first")
    assert runs.cancel(begun.id, NOW, "It was cancelled.")
    assert (runs.get(begun.id).state, runs.get(begun.id).cancelled) == ("waiting", True)


def test_the_newest_runs_of_a_site_are_kept(catalogue: Catalogue) -> None:
    profile_id = add_site(catalogue)
    numbers = []
    for _ in range(KEPT_REMOTE_RUNS + 5):
        numbers.append(queue(catalogue, profile_id).id)
        catalogue.remote_runs.cancel(numbers[-1], NOW, "It was cancelled.")
    assert [run.id for run in catalogue.remote_runs.newest()] == numbers[: -KEPT_REMOTE_RUNS - 1 : -1]


def schedule_run(catalogue: Catalogue, profile_id: int) -> int:
    """A run of a schedule that waits."""
    schedule = catalogue.schedules.create(
        Schedule(0, profile_id, "backup", "0 3 * * *", "UTC", 0, False, False, ProofOptions(), NOW, NOW)
    )
    return catalogue.runs.create_now(schedule.id, NOW).id
