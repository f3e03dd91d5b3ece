"""Unfinished downloads on a disk that may lose power at any moment."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backstay.client import part_file
from backstay.client.part_file import PartFile, Run, storage_errors
from backstay.errors import DiskFullError, StorageError, UsageError, VerificationError

IDENTITY = {"record": 1, "name": "site.jpa"}


def part(folder: Path, size: int = 100, arrived: list[int] | None = None, **identity: Any) -> PartFile:
    """The file of a part in a folder, not opened."""
    return PartFile(folder / "site.jpa", size, IDENTITY | identity, (arrived if arrived is not None else []).append)


def left(folder: Path, written: int = 100, **changes: Any) -> None:
    """Leave in a folder what a download of 100 bytes in two runs left there, 30 and 10 bytes of them."""
    stored = {"identity": IDENTITY, "runs": [[0, 30, 60], [60, 70, 100]], "segments": 3, "validator": '"v1"'}
    (folder / "site.jpa.part").write_bytes(bytes(written))
    (folder / "site.jpa.part.json").write_text(json.dumps(stored | changes))


def test_nothing_is_named_before_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal never counts bytes, and the target never has a name, that a power cut could take away."""
    monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", 1000)
    synced: dict[int, bytes] = {}
    real, replace, rename = os.fsync, os.replace, os.rename
    moments: list[str] = []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        facts = os.fstat(descriptor)
        if (tmp_path.stat().st_ino) == facts.st_ino:
            moments.append("folder")
        else:
            synced[facts.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def checked_replace(source: Any, target: Any, **options: Any) -> None:
        stored = json.loads(synced[Path(source).stat().st_ino])
        part = synced[(tmp_path / "site.jpa.part").stat().st_ino]
        for start, position, _end in stored["runs"]:
            assert part[start:position] == content[start:position]
        moments.append("journal")
        replace(source, target, **options)

    def checked_rename(source: Any, target: Any, **options: Any) -> None:
        assert synced[Path(source).stat().st_ino] == content
        moments.append("name")
        rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", checked_replace)
    monkeypatch.setattr(os, "rename", checked_rename)
    content = os.urandom(2500)
    with PartFile(tmp_path / "site.jpa", len(content), {"record": 1}, lambda _count: None) as file:
        (run,) = file.runs
        for start in range(0, len(content), 500):
            file.write(run, content[start : start + 500])
        file.finish()
    assert moments == ["journal", "journal", "name", "folder"]


def test_a_download_is_resumed_where_its_journal_says(tmp_path: Path) -> None:
    left(tmp_path)
    with part(tmp_path) as file:
        assert file.runs == [Run(0, 30, 60), Run(60, 70, 100)]
        assert (file.done, file.segments, file.validator) == (40, 3, '"v1"')
        assert [run.done for run in file.runs] == [False, False]
        file.write(file.runs[1], b"x" * 30, segment=4)
        assert file.runs[1].done
    left(tmp_path, written=70)
    with part(tmp_path) as file:
        assert file.done == 40, "bytes behind the last that arrived need not be there yet"
    left(tmp_path, runs=[[0, 60, 60], [60, 70, 100]])
    with part(tmp_path) as file:
        assert (file.done, [run.done for run in file.runs]) == (70, [True, False])
    left(tmp_path, written=0, runs=[[0, 0, 60], [60, 60, 100]])
    with part(tmp_path) as file:
        assert len(file.runs) == 2


@pytest.mark.parametrize(
    ("written", "changes"),
    [
        (69, {}),
        (100, {"identity": IDENTITY | {"record": 2}}),
        (100, {"identity": IDENTITY | {"more": 1}}),
        (100, {"runs": [[0, 30, 60], [61, 70, 100]]}),
        (100, {"runs": [[0, 30, 60], [59, 70, 100]]}),
        (100, {"runs": [[1, 30, 60], [60, 70, 100]]}),
        (100, {"runs": [[0, 61, 60], [60, 70, 100]]}),
        (100, {"runs": [[0, 30, 60], [60, 59, 100]]}),
        (100, {"runs": [[0, 30, 60], [60, 70, 99]]}),
        (101, {"runs": [[0, 30, 60], [60, 70, 101]]}),
        (100, {"runs": [[0, 30, 60]]}),
        (100, {"runs": []}),
        (100, {"runs": [[0, 30]]}),
        (100, {"runs": [["a", 0, 100]]}),
        (100, {"runs": 5}),
        (100, {"segments": None}),
        (100, {"segments": "x"}),
    ],
)
def test_a_journal_that_does_not_fit_starts_the_part_anew(
    tmp_path: Path, written: int, changes: dict[str, Any]
) -> None:
    left(tmp_path, written, **changes)
    with part(tmp_path) as file:
        assert (file.runs, file.done, file.segments, file.validator) == ([Run(0, 0, 100)], 0, 0, "")
        assert (tmp_path / "site.jpa.part").stat().st_size == 0
        assert not (tmp_path / "site.jpa.part.json").exists()


@pytest.mark.parametrize(
    ("size", "count", "smallest", "borders"),
    [
        (100, 4, 10, [0, 25, 50, 75, 100]),
        (100, 3, 10, [0, 33, 66, 100]),
        (100, 9, 40, [0, 50, 100]),
        (100, 9, 50, [0, 50, 100]),
        (100, 9, 51, [0, 100]),
        (100, 0, 10, [0, 100]),
        (0, 4, 10, [0, 0]),
    ],
)
def test_a_fresh_part_is_divided_among_connections(
    tmp_path: Path, size: int, count: int, smallest: int, borders: list[int]
) -> None:
    with part(tmp_path, size) as file:
        file.split(count, smallest)
        assert [[run.start, run.position, run.end] for run in file.runs] == [
            [start, start, end] for start, end in pairwise(borders)
        ]


def test_what_has_begun_is_not_divided_again(tmp_path: Path) -> None:
    with part(tmp_path) as file:
        file.write(file.runs[0], b"x")
        assert file.segments == 0
        file.split(4, 10)
        assert file.runs == [Run(0, 1, 100)]
    left(tmp_path, runs=[[0, 0, 60], [60, 60, 100]])
    with part(tmp_path) as file:
        file.split(4, 10)
        assert len(file.runs) == 2


def test_bytes_go_to_the_place_of_their_run_however_little_the_disk_takes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: real(descriptor, data[:7], place))
    content = os.urandom(100)
    arrived: list[int] = []
    with part(tmp_path, arrived=arrived) as file:
        file.split(2, 10)
        for first, second in ((0, 20), (20, 50)):
            for run in reversed(file.runs):
                file.write(run, content[run.start + first : run.start + second], segment=second)
        assert (file.done, arrived, file.segments) == (100, [20, 20, 30, 30], 50)
        assert file.finish() == tmp_path / "site.jpa"
    assert (tmp_path / "site.jpa").read_bytes() == content
    assert stat.S_IMODE((tmp_path / "site.jpa").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["site.jpa"]


def test_the_journal_is_written_after_so_many_bytes_or_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(part_file, "SYNC_EVERY_BYTES", 20)

    def noted() -> int:
        return int(json.loads(file.journal.read_text())["runs"][0][1]) if file.journal.exists() else 0

    with part(tmp_path) as file:
        (run,) = file.runs
        positions = []
        for pause, count in ((0, 19), (0, 1), (0, 19), (5, 0), (0.1, 1), (5, 1), (0.1, 0), (0, 19), (0, 1)):
            now += pause
            file.write(run, b"x" * count)
            positions.append(noted())
        assert positions == [0, 20, 20, 20, 40, 40, 41, 41, 61]


def test_an_error_keeps_what_arrived_and_says_so(tmp_path: Path) -> None:
    with contextlib.suppress(KeyError), part(tmp_path) as file:
        file.validator = '"v2"'
        file.write(file.runs[0], b"x" * 10, segment=2)
        raise KeyError
    assert json.loads(file.journal.read_text()) == {
        "identity": IDENTITY, "runs": [[0, 10, 100]], "segments": 2, "validator": '"v2"',
    }  # fmt: skip
    with part(tmp_path) as file:
        assert (file.done, file.segments, file.validator) == (10, 2, '"v2"')
        file.write(file.runs[0], b"x", segment=3)
    assert json.loads(file.journal.read_text())["segments"] == 2, "nothing is wrong, nothing is to be told"


def test_a_part_of_another_size_gets_no_name(tmp_path: Path) -> None:
    with part(tmp_path) as file:
        file.write(file.runs[0], b"x" * 99)
        file.save()
        with pytest.raises(VerificationError, match=r"site\.jpa has 99 bytes and not 100"):
            file.finish()
        assert file.runs == [Run(0, 0, 100)]
    assert (tmp_path / "site.jpa.part").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["site.jpa.part"]


def test_one_download_writes_a_part_and_no_link_leads_it_elsewhere(tmp_path: Path) -> None:
    with part(tmp_path) as file:
        assert not os.get_inheritable(file._descriptor)
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(UsageError, match=r"Another download is writing .*site\.jpa\.part"), part(tmp_path):
            pass
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    with part(tmp_path):
        pass
    (tmp_path / "site.jpa.part").unlink()
    (tmp_path / "site.jpa.part").symlink_to(tmp_path / "mine")
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StorageError), part(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, "no space left to write /x"),
        (errno.EDQUOT, DiskFullError, "no space left to write /x"),
        (errno.EIO, StorageError, "/x cannot be written: Input/output error"),
    ],
)
def test_what_the_disk_refuses_is_told_with_its_name(number: int, kind: type[StorageError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, storage_errors(Path("/x")):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind
    with pytest.raises(StorageError, match="TimeoutError"), storage_errors(Path("/x")):
        raise TimeoutError


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("open", "site.jpa.part"),
        ("ftruncate", "site.jpa.part"),
        ("pwrite", "site.jpa.part"),
        ("fsync", "site.jpa.part.json"),
        ("rename", "site.jpa"),
    ],
)
def test_what_the_disk_refuses_names_the_file_it_was_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def use() -> None:
        with part(tmp_path, 3) as file:
            if call != "fsync":
                file.write(file.runs[0], b"abc")
            else:
                file.save()
            if call == "rename":
                file.finish()

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(DiskFullError, match=re.escape(f"write {tmp_path / name}:")):
            use()


def test_a_disk_that_takes_nothing_hides_no_other_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def stop() -> None:
        monkeypatch.setattr(os, "fsync", refuse)
        raise KeyError

    file = part(tmp_path)
    with pytest.raises(KeyError), file:
        stop()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file._descriptor)
