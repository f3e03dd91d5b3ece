"""Backups into a repository that are killed, or whose disk is full, at any moment: a good end, and nothing left."""

from __future__ import annotations

import errno
import gc
import os
import random
import signal
import warnings
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from backstay import processes
from backstay.catalogue.jobs import JobTable
from backstay.catalogue.records import BackupTable
from backstay.catalogue.snapshots import SnapshotTable
from backstay.engine import run
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.launch import mark_failed
from backstay.jobs.records import get_backup
from backstay.jobs.worker import run_job
from backstay.repository.index import Index
from backstay.repository.packs import PackBuilder
from backstay.repository.seen import SeenWriter
from backstay.storage.folder import Folder
from support.backups import make_database, make_files_and_noise
from support.jobs import prepare
from support.power import Disk, PowerCut
from support.snapshots import NAME, assert_snapshot_gives_back, assert_sound, make_repository, row_of, take_into

CHANGES: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Folder, ("put", "delete")),
    (Index, ("add_pack",)),
    (PackBuilder, ("finish",)),
    (SeenWriter, ("finish",)),
    (JobTable, ("update",)),
    (BackupTable, ("update", "claim")),
    (SnapshotTable, ("create",)),
)
FEW = (3, 11, 19, 27, 35, 43, 51)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.repository.packs.PACK_SIZE", 1 << 20)
    monkeypatch.setattr(run, "_CHECKPOINT_SECONDS", 0.0)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with one large file."""
    return make_files_and_noise(tmp_path / "site")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a database."""
    return make_database(tmp_path / "data.db", rows=5000)


def _counted(moments: Callable[[], None]) -> None:
    """Call a function before and after each change that lasts."""

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            moments()
            result = call(*arguments, **named)
            moments()
            return result

        return wrapper

    for kind, names in CHANGES:
        for name in names:
            setattr(kind, name, around(getattr(kind, name)))


def _taken_in_a_process(home: Path, backup_id: int, dies_at: int) -> int:
    """Take a backup in a process that kills itself at a moment; give the signal that ended it, or 0."""
    number = os.fork()
    if number == 0:
        try:
            left = [dies_at]

            def moment() -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            _counted(moment)
            with open_installation(home) as installation:
                run_job(installation, backup_id)
        except BaseException:  # noqa: BLE001 - the test must not go on in here
            os._exit(1)
        os._exit(0)
    status = os.waitpid(number, 0)[1]
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return os.WTERMSIG(status)


def _begun(home: Path, site: Path, database: str) -> tuple[int, set[str], int]:
    """Make a repository with a backup in it, change the site, and make the record of another backup."""
    with open_installation(home) as installation:
        make_repository(installation)
        first = take_into(installation, site, database)
        (site / "noise.bin").write_bytes(os.urandom(3_000_000))
        (site / "new.txt").write_bytes(b"new")
        backup_id = prepare(installation, site, database, backstay__repository=NAME)
        return backup_id, {row_of(installation, first.id).snapshot}, first.id


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=() if moment in FEW else pytest.mark.slow) for moment in range(1, 68, 2)]
)
def test_a_backup_that_is_killed_at_any_moment_is_resumed_to_a_good_end(
    home: Path, site: Path, database: str, tmp_path: Path, moment: int
) -> None:
    backup_id, before, _first = _begun(home, site, database)
    _taken_in_a_process(home, backup_id, moment)
    with open_installation(home) as installation:
        if get_backup(installation, backup_id).status == "run":
            run_job(installation, backup_id)
        backup = get_backup(installation, backup_id)
        assert (backup.status, backup.error, backup.filesexist) == ("complete", "", True)
        assert_snapshot_gives_back(installation, backup_id, site, tmp_path / "back")
        assert_sound(installation, before | {row_of(installation, backup_id).snapshot})
        assert not (installation.home.job(backup_id) / "work").exists()


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=() if moment in FEW[3:] else pytest.mark.slow) for moment in range(1, 68, 3)]
)
def test_a_backup_that_was_killed_and_is_given_up_leaves_no_snapshot(
    home: Path, site: Path, database: str, moment: int
) -> None:
    backup_id, before, first = _begun(home, site, database)
    _taken_in_a_process(home, backup_id, moment)
    with open_installation(home) as installation:
        mark_failed(installation, backup_id, "It was given up.")
        backup = get_backup(installation, backup_id)
        row = installation.catalogue.snapshots.of(backup_id)
        assert (backup.status == "complete") == backup.filesexist == (row is not None)
        assert_sound(installation, before | ({row.snapshot} if row else set()))
        again = take_into(installation, site, database)
        assert_sound(
            installation,
            before
            | {found.snapshot for found in installation.catalogue.snapshots.of_many([backup_id, again.id]).values()},
        )
        assert installation.catalogue.snapshots.of(first) is not None


@pytest.mark.parametrize(
    "moment", [pytest.param(n, marks=() if n in (4, 15, 26) else pytest.mark.slow) for n in range(1, 48)]
)
def test_a_disk_that_is_full_at_any_moment_fails_the_backup_or_leaves_it_to_be_resumed(
    installation: Installation,
    home: Path,
    site: Path,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: int,
) -> None:
    backup_id, before, _first = _begun(home, site, database)
    left = [moment]

    def full(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*arguments, **named)

        return wrapper

    with monkeypatch.context() as patch:
        for kind, names in ((os, ("fsync", "replace")), (PackBuilder, ("_write",)), (Folder, ("put",))):
            for name in names:
                patch.setattr(kind, name, full(getattr(kind, name)))
        try:
            run_job(installation, backup_id)
        except (BackstayError, OSError):
            assert left[0] <= 0
    if get_backup(installation, backup_id).status == "run":
        run_job(installation, backup_id)
    backup = get_backup(installation, backup_id)
    if backup.status == "complete":
        assert_snapshot_gives_back(installation, backup_id, site, tmp_path / "back")
        assert_sound(installation, before | {row_of(installation, backup_id).snapshot})
    else:
        assert "space" in backup.error
        assert not backup.filesexist
        assert_sound(installation, before)


def _ran(home: Path, backup_id: int, cut_at: int | None) -> int | None:
    """Take a backup until the power is cut; give how many moments there were, or None where it was cut."""
    with open_installation(home) as installation:
        disk = Disk(home, installation.home.catalogue)
        disk.cut_at = cut_at
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            try:
                run_job(installation, backup_id)
            except PowerCut:
                moments = None
            else:
                moments = disk.moments
    if moments is None:
        disk.come_back()
        with warnings.catch_warnings():
            # Nothing closed the files of what died.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    disk.close()
    return moments


@pytest.mark.parametrize("sampled", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_a_backup_survives_power_cuts_that_forget_what_was_not_synced(
    home: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: int
) -> None:
    monkeypatch.setattr(processes, "may_fork", lambda: False)
    with open_installation(home) as installation:
        make_repository(installation)
        first = prepare(installation, site, backstay__repository=NAME)
    moments = _ran(home, first, None)
    assert moments is not None
    assert moments > 10
    for cut_at in sorted(random.Random(sampled).sample(range(1, moments - 1), sampled)):
        (site / "noise.bin").write_bytes(os.urandom(3_000_000))
        with open_installation(home) as installation:
            backup_id = prepare(installation, site, backstay__repository=NAME)
        _ran(home, backup_id, cut_at)
        with open_installation(home) as installation:
            run_job(installation, backup_id)
            assert_snapshot_gives_back(installation, backup_id, site, tmp_path / "back")
            found = installation.catalogue.snapshots.at(NAME)
            assert_sound(installation, {row.snapshot for row in found})
            assert backup_id in {row.backup_id for row in found}
