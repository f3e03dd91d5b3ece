"""Killed, without power, on a full disk, at any moment: complete backups stay whole, and nothing is stuck."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import DiskFullError
from backstay.repository import marks
from backstay.repository.checking import check
from backstay.repository.index import Index
from backstay.repository.opened import Repository
from backstay.repository.packs import PackBuilder
from backstay.repository.pruning import prune
from backstay.repository.writing import SnapshotWriter
from backstay.storage.folder import Folder
from repository.places import content_of, created, files_of, fill, opened, pack_files, take
from support.power import Disk, PowerCut

PACK_SIZE = 30_000
MOMENTS = 16


@pytest.fixture(autouse=True)
def _small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.repository.packs.PACK_SIZE", PACK_SIZE)


def in_a_process(work: Callable[[], None], dies_at: int) -> int:
    """Do some work in a process that kills itself at a moment; give the signal that ended it, or 0."""
    number = os.fork()
    if number == 0:
        try:
            _die_at(dies_at)
            work()
        except BaseException:  # noqa: BLE001 - the test must not go on in here
            os._exit(1)
        os._exit(0)
    status = os.waitpid(number, 0)[1]
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}
    return os.WTERMSIG(status)


def _die_at(moment: int) -> None:
    """Count the moments before and after each change, and kill this process at one of them."""
    left = [moment]

    def point() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def around(*arguments: Any, **named: Any) -> Any:
            point()
            result = call(*arguments, **named)
            point()
            return result

        return around

    for kind, names in ((Folder, ("put", "delete")), (Index, ("add_pack", "drop_packs")), (PackBuilder, ("finish",))):
        for name in names:
            setattr(kind, name, counted(getattr(kind, name)))


def assert_sound(folder: Path, complete: dict[str, dict[str, bytes]], possible: dict[str, bytes]) -> None:
    """Fail unless complete backups are whole, a new one can be taken, and a prune leaves nothing behind."""
    with opened(folder) as repository:
        found = repository.snapshot_ids()
        assert set(found) >= set(complete)
        for identity in found:
            assert content_of(repository, repository.snapshot(identity)) == complete.get(identity, possible)
        assert check(repository, read_data=1.0).damages == []
        again = take(repository, possible)
        for path in pack_files(folder):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        assert prune(repository).waiting == 0
        assert marks.writers(repository.store) == []
        assert marks.marks(repository.store) == []
        assert list(repository.work.iterdir()) == []
        assert content_of(repository, again) == possible
        assert check(repository, read_data=1.0).damages == []
    with opened(folder, state="another machine") as repository:
        for identity in found:
            assert content_of(repository, repository.snapshot(identity)) == complete.get(identity, possible)


@pytest.mark.parametrize("moment", range(1, 3 * MOMENTS, 3))
def test_a_backup_that_is_killed_harms_nothing(tmp_path: Path, moment: int) -> None:
    with created(tmp_path) as repository:
        first = take(repository, files_of(1))

    def work() -> None:
        with opened(tmp_path) as repository:
            take(repository, files_of(2))

    in_a_process(work, moment)
    assert_sound(tmp_path, {first.id: files_of(1)}, files_of(2))


@pytest.mark.parametrize("moment", range(1, 3 * MOMENTS, 3))
def test_a_prune_that_is_killed_harms_nothing(tmp_path: Path, moment: int) -> None:
    with created(tmp_path) as repository:
        first = take(repository, files_of(1))
        kept = take(repository, {path: content for path, content in files_of(1).items() if "folder" in path})
        repository.remove_snapshot(first.id)
        files = content_of(repository, kept)

    def work() -> None:
        with opened(tmp_path) as repository:
            prune(repository)

    in_a_process(work, moment)
    assert_sound(tmp_path, {kept.id: files}, files_of(3))


def test_the_moments_of_death_reach_to_the_end(tmp_path: Path) -> None:
    created(tmp_path).close()

    def work() -> None:
        with opened(tmp_path) as repository:
            take(repository, files_of(2))

    assert in_a_process(work, 2 * MOMENTS) == signal.SIGKILL
    assert in_a_process(work, 1000) == 0


@contextmanager
def power(folder: Path, patch: pytest.MonkeyPatch, cut_at: int | None) -> Iterator[Disk]:
    """Take the power away at a moment, and give it again."""
    disk = Disk(folder, folder / "state/index.sqlite")
    with patch.context() as patched:
        disk.install(patched)
        disk.cut_at = cut_at
        yield disk
    if disk.is_off:
        disk.come_back()
    disk.close()


def under_power(folder: Path, patch: pytest.MonkeyPatch, work: Callable[[Repository], None], cut_at: int | None) -> int:
    """Do some work until the power goes; give how many moments there were."""
    with power(folder, patch, cut_at) as disk:
        repository = opened(folder)
        try:
            work(repository)
        except PowerCut:
            pass
        finally:
            repository.index.close()
    return disk.moments


def backup_of(files: dict[str, bytes], done: list[str]) -> Callable[[Repository], None]:
    """Take a backup, and note it when it is complete."""

    def work(repository: Repository) -> None:
        writer = SnapshotWriter(repository, workers=1)
        try:
            fill(writer, files)
            done.append(writer.finish({}).id)
        finally:
            writer._pool.shutdown(cancel_futures=True)
            writer._senders.shutdown(cancel_futures=True)
            if writer._folder._lock >= 0:
                os.close(writer._folder._lock)
            if writer._pack is not None:
                writer._pack._file.close()

    return work


@pytest.mark.parametrize("share", [number / 12 for number in range(12)])
def test_a_power_cut_during_a_backup_loses_nothing_that_was_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    with created(tmp_path / "trial") as repository:
        take(repository, files_of(1))
    moments = under_power(tmp_path / "trial", monkeypatch, backup_of(files_of(2), []), None)
    folder = tmp_path / "disk"
    done: list[str] = []
    with created(folder) as repository:
        first = take(repository, files_of(1))
    under_power(folder, monkeypatch, backup_of(files_of(2), done), 1 + int(share * moments))
    complete = {first.id: files_of(1), **dict.fromkeys(done, files_of(2))}
    assert_sound(folder, complete, files_of(2))


@pytest.mark.parametrize("share", [number / 12 for number in range(12)])
def test_a_power_cut_during_a_prune_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    def prepared(folder: Path) -> tuple[str, dict[str, bytes]]:
        with created(folder) as repository:
            first = take(repository, files_of(1))
            kept = take(repository, {path: text for path, text in files_of(1).items() if "folder" in path})
            repository.remove_snapshot(first.id)
            return kept.id, content_of(repository, kept)

    prepared(tmp_path / "trial")
    moments = under_power(tmp_path / "trial", monkeypatch, lambda repository: void(prune(repository)), None)
    folder = tmp_path / "disk"
    kept, files = prepared(folder)
    under_power(folder, monkeypatch, lambda repository: void(prune(repository)), 1 + int(share * moments))
    assert_sound(folder, {kept: files}, files_of(3))


def void(_: object) -> None:
    """Nothing comes of it."""


@pytest.mark.parametrize("phase", ["packs", "snapshot", "work"])
def test_a_full_disk_is_named_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    with created(tmp_path) as repository:
        first = take(repository, files_of(1))
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with monkeypatch.context() as patched:
            if phase == "work":
                write = PackBuilder._write

                def refuse(builder: PackBuilder, data: bytes) -> None:
                    if builder.size > 10_000:
                        raise DiskFullError("There is no space left.")
                    write(builder, data)

                patched.setattr(PackBuilder, "_write", refuse)
            else:
                copy = Folder._copy

                def fail(folder: Folder, original: Any, file: Any, *rest: Any) -> None:
                    # A writer's sign of life is small: it finds its place.
                    is_pack = original.read(4) == b"BSTY" and original.read(4) == b"PAK1"
                    original.seek(0)
                    if is_pack == (phase == "packs") and b"beat" not in original.peek(200):
                        raise full
                    copy(folder, original, file, *rest)

                patched.setattr(Folder, "_copy", fail)
            with pytest.raises(DiskFullError):
                take(repository, files_of(2))
    assert_sound(tmp_path, {first.id: files_of(1)}, files_of(2))
