"""Backups that are started, stopped, marked failed, deleted and resumed at the same moment."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from backstay.catalogue import Backup, DestinationOptions
from backstay.engine import Plan
from backstay.errors import BackstayError, BackupRunningError
from backstay.jobs import launch, lock, waiting
from backstay.jobs.backup import pause_backup, step_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, delete_backup, get_backup
from backstay.jobs.storage import add_destination
from backstay.jobs.waiting import resume_unfinished
from backstay.jobs.worker import run_job
from support.backups import assert_gives_back, begin, finish, kill, make_files, take
from support.jobs import prepare


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site."""
    return make_files(tmp_path / "site", count=12)


def test_a_backup_that_has_just_ended_is_not_marked_failed(installation: Installation, site: Path) -> None:
    # Whoever saw it run a moment ago, and its process gone now, must look again.
    backup = take(installation, site)
    assert not launch.mark_failed(installation, backup.id, "A new one was started.")
    assert not launch.launch(installation, backup.id)
    assert get_backup(installation, backup.id).status == "complete"
    assert len(backup_files(installation, backup)) == 1


def test_a_backup_that_lives_is_not_marked_failed(installation: Installation, site: Path) -> None:
    backup_id = prepare(installation, site)
    descriptor = lock.take(installation.home.job(backup_id))
    assert descriptor is not None
    try:
        assert not launch.mark_failed(installation, backup_id, "A new one was started.")
        assert not launch.launch(installation, backup_id)
        with pytest.raises(BackupRunningError):
            prepare(installation, site)
    finally:
        os.close(descriptor)
    assert get_backup(installation, backup_id).status == "run"


def test_a_dead_backup_is_replaced_by_a_new_one_and_leaves_nothing(installation: Installation, site: Path) -> None:
    first = prepare(installation, site)
    installation.catalogue.jobs.update(first, attempts=1)
    plan = _plan(installation, first)
    part = Path(plan.archive).with_suffix(".j01")
    part.write_bytes(b"half an archive")
    work = installation.home.job(first) / "work"
    work.mkdir(parents=True)
    second = prepare(installation, site)
    superseded = get_backup(installation, first)
    assert superseded.status == "fail"
    assert superseded.error == "Its process died, and a new backup of the same profile was started."
    assert not part.exists()
    assert not work.exists()
    run_job(installation, second)
    assert get_backup(installation, second).status == "complete"


def test_a_job_whose_process_died_in_its_last_moment_is_tidied_up(installation: Installation, site: Path) -> None:
    backup_id = prepare(installation, site)
    work = installation.home.job(backup_id) / "work"
    work.mkdir(parents=True)
    installation.catalogue.backups.update(backup_id, status="complete")
    assert resume_unfinished(installation) == []
    assert not work.exists()
    job = installation.catalogue.jobs.get(backup_id)
    assert job is not None
    assert job.plan == {}


def test_two_starts_at_the_same_moment_give_one_backup(installation: Installation, site: Path) -> None:
    outcomes: list[object] = []

    def start() -> None:
        try:
            outcomes.append(begin(installation, site))
        except BackupRunningError as error:
            outcomes.append(error)

    begin_profile(installation, site)
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, BackupRunningError)]
    started = [outcome for outcome in outcomes if not isinstance(outcome, BackupRunningError)]
    # One at a time: another can only have begun behind the end of the one before.
    records = installation.catalogue.backups.newest()
    assert len(records) == len(started) >= 1
    assert len(started) + len(refused) == 4
    assert [record.status for record in records if record.status == "fail"] == []
    for record in records:
        state = finish(installation, step_backup(installation, record.backupid or ""))
        assert state.error == ""


def begin_profile(installation: Installation, site: Path) -> None:
    """Make the profile of a site, so that all starts use the same."""
    backup_id = prepare(installation, site)
    delete_backup(installation, backup_id)


def test_two_steps_of_a_dead_backup_resume_it_once(installation: Installation, site: Path, tmp_path: Path) -> None:
    backup_id = prepare(installation, site)
    backupid = get_backup(installation, backup_id).backupid or ""
    threads = [threading.Thread(target=step_backup, args=(installation, backupid)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finish(installation, step_backup(installation, backupid))
    assert_gives_back(installation, backup_id, site, tmp_path / "back")
    log = installation.home.log("cli", backupid).read_text()
    assert log.count("Loaded profile") == 1


def test_a_backup_that_is_deleted_while_others_resume_it_is_gone(installation: Installation, site: Path) -> None:
    for number in range(30):
        (site / f"noise-{number}").write_bytes(os.urandom(1_000_000))
    state = begin(installation, site)
    over = threading.Event()

    def keep_alive() -> None:
        while not over.is_set():
            try:
                step_backup(installation, state.backupid)
            except BackstayError:
                return
            time.sleep(0.01)

    threads = [threading.Thread(target=keep_alive) for _ in range(2)]
    for thread in threads:
        thread.start()
    kill(installation, state.backup_id)
    delete_backup(installation, state.backup_id)
    over.set()
    for thread in threads:
        thread.join()
    time.sleep(0.2)
    assert not lock.is_alive(installation.home.job(state.backup_id))
    assert installation.catalogue.backups.get(state.backup_id) is None
    assert list(installation.home.archives.iterdir()) == []


def test_a_stop_on_request_does_not_count_as_a_death(installation: Installation, site: Path) -> None:
    backup_id = prepare(installation, site, backstay__job__attempts=2)
    for _number in range(4):
        installation.catalogue.jobs.update(backup_id, attempts=1)
        run_job(installation, backup_id, lambda: True)
        job = installation.catalogue.jobs.get(backup_id)
        assert job is not None
        assert job.attempts == 0
    run_job(installation, backup_id)
    assert get_backup(installation, backup_id).status == "complete"


def test_backups_beyond_the_limit_wait_without_a_process_in_the_order_they_began(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    held: dict[int, int] = {}

    def take_lock(_installation: Installation, backup: Backup) -> bool:
        descriptor = lock.take(_installation.home.job(backup.id))
        assert descriptor is not None
        held[backup.id] = descriptor
        started.append(backup.id)
        return True

    monkeypatch.setattr(waiting, "recover", take_lock)
    numbers = [prepare(installation, make_files(tmp_path / f"site-{n}", count=2)) for n in range(5)]
    installation.catalogue.jobs.update(numbers[1], paused=True)
    assert waiting.start_waiting(installation) == [numbers[0], numbers[2]]
    assert waiting.start_waiting(installation) == []
    assert waiting.awaited(installation, numbers[0]) is None
    assert waiting.awaited(installation, numbers[3]) == numbers[2]
    assert waiting.awaited(installation, numbers[4]) == numbers[3]
    state = step_backup(installation, get_backup(installation, numbers[4]).backupid or "")
    assert (state.has_run, state.step) == (True, f"Waiting for the end of backup {numbers[3]}")
    installation.catalogue.backups.update(numbers[0], status="complete")
    assert waiting.start_waiting(installation, ending=numbers[2]) == [numbers[3], numbers[4]]
    for descriptor in held.values():
        os.close(descriptor)
    assert started == [numbers[0], *numbers[2:]]


def test_what_waits_begins_when_another_ends_is_deleted_or_stopped(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_JOBS__MAXIMUM_RUNNING", "1")
    sites = [make_files(tmp_path / f"site-{n}", count=2) for n in range(4)]
    for site in sites[:2]:
        (site / "noise").write_bytes(os.urandom(4_000_000))
    (tmp_path / "nas").mkdir()
    add_destination(
        installation, "slow", f"folder://{tmp_path}/nas", secrets={}, options=DestinationOptions(bandwidth=200_000)
    )
    # Sending takes the first two so long that they run until they are stopped.
    slow = {"backstay__storage__destinations": "slow"}
    first, second = (begin(installation, site, **slow).backup_id for site in sites[:2])
    third, last = (begin(installation, site).backup_id for site in sites[2:])
    assert waiting.awaited(installation, last) == third
    with pytest.raises(BackupRunningError, match=f"Backup {last} of profile .* waits since"):
        begin(installation, sites[3])
    delete_backup(installation, first)
    assert waiting.awaited(installation, second) is None
    pause_backup(installation, second)
    assert resume_unfinished(installation) == []
    assert waiting.awaited(installation, third) is None
    deadline = time.monotonic() + 100
    while get_backup(installation, last).status != "complete":  # nobody steps it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert get_backup(installation, third).status == "complete"
    assert get_backup(installation, second).status == "run"
    state = step_backup(installation, get_backup(installation, second).backupid or "")
    assert (state.has_run, lock.is_alive(installation.home.job(second))) == (True, True)
    delete_backup(installation, second)


def _plan(installation: Installation, backup_id: int) -> Plan:
    job = installation.catalogue.jobs.get(backup_id)
    assert job is not None
    return Plan.from_json(job.plan)
