"""Backups that hang: a new one of the same profile ends them; one that is only slow is left alone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backstay.errors import BackupRunningError
from backstay.jobs import launch, lock, report
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import backup_files, get_backup
from support import processes
from support.backups import assert_gives_back, begin, finish, make_files

HOURS = 3600.0


@pytest.fixture
def installation(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An open home whose settings end what hangs after three hours; the second look is short."""
    monkeypatch.setattr(launch, "_SECOND_LOOK_SECONDS", 1.0)
    with open_installation(home) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose backup takes some time."""
    root = make_files(tmp_path / "site")
    (root / "noise.bin").write_bytes(os.urandom(20_000_000))
    return root


@contextmanager
def held(installation: Installation, site: Path, silent_for: float) -> Iterator[tuple[int, int]]:
    """Begin a backup and let its process stand still, as if for so many seconds; give its numbers."""
    backup_id = begin(installation, site).backup_id
    folder = installation.home.job(backup_id)
    while (process := lock.process_number(folder)) is None or report.read(folder) is None:
        assert lock.is_alive(folder)
        time.sleep(0.002)
    os.kill(process, signal.SIGSTOP)
    try:
        moment = time.time() - silent_for
        for path in (folder / "progress.json", folder / "lock"):
            os.utime(path, (moment, moment))
        yield backup_id, process
    finally:
        if processes.of_session(process):
            os.kill(process, signal.SIGCONT)


def test_a_backup_that_hangs_is_replaced_by_a_new_one_and_leaves_nothing(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    with held(installation, site, 5 * HOURS) as (stuck, process):
        state = begin(installation, site)
        assert processes.of_session(process) == {}
    backup = get_backup(installation, stuck)
    assert (backup.status, backup.filesexist) == ("fail", False)
    assert backup.error == (
        "It hung: for 300 minutes it gave no sign of life, and a new backup of the same profile was started."
    )
    assert not (installation.home.job(stuck) / "work").exists()
    assert finish(installation, state).error == ""
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")
    kept = backup_files(installation, get_backup(installation, state.backup_id))
    assert [path.name for path in installation.home.archives.iterdir()] == [file.name for file in kept]


@pytest.mark.parametrize("silent_for", [0.0, 2.9 * HOURS])
def test_a_backup_that_has_been_silent_for_a_while_is_left_alone(
    installation: Installation, site: Path, silent_for: float
) -> None:
    with held(installation, site, silent_for) as (slow, _process):
        with pytest.raises(BackupRunningError, match=f"Backup {slow} of profile"):
            begin(installation, site)
        state = get_backup(installation, slow)
        assert state.status == "run"


def test_a_backup_that_wakes_up_with_its_machine_is_left_alone(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    with held(installation, site, 100 * HOURS) as (slow, process):
        waker = threading.Timer(0.3, os.kill, (process, signal.SIGCONT))
        waker.start()
        with pytest.raises(BackupRunningError, match=f"Backup {slow} of profile"):
            begin(installation, site)
        waker.join()
    while get_backup(installation, slow).status == "run":
        time.sleep(0.02)
    assert_gives_back(installation, slow, site, tmp_path / "back")


def test_where_the_setting_is_zero_nothing_that_hangs_is_ended(
    home: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_JOBS__STUCK_AFTER", "0")
    with (
        open_installation(home) as installation,
        held(installation, site, 1000 * HOURS),
        pytest.raises(BackupRunningError),
    ):
        begin(installation, site)


def test_a_process_is_reported_in_the_list_only_while_there_is_one(installation: Installation, site: Path) -> None:
    with held(installation, site, 0.0) as (backup_id, process):
        assert get_backup(installation, backup_id).instep
        os.kill(process, signal.SIGKILL)
        while lock.is_alive(installation.home.job(backup_id)):
            time.sleep(0.002)
        assert not get_backup(installation, backup_id).instep


def test_whoever_asks_whether_a_job_lives_never_keeps_it_from_being_taken(tmp_path: Path) -> None:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            lock.is_alive(tmp_path)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for _number in range(500):
            descriptor = lock.take(tmp_path)
            assert descriptor is not None
            assert lock.take(tmp_path) is None
            os.close(descriptor)
    finally:
        over.set()
        for asker in askers:
            asker.join()
