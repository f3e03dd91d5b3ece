"""One stream of bytes over the parts of an archive: names, borders, what is on disk after a sync, and going back."""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.archives import parts
from backstay.archives.parts import (
    MINIMUM_PART_SIZE as SIZE,
)
from backstay.archives.parts import PartWriter, Position, disk_errors, numbered_parts, part_path, sync_folder
from backstay.errors import ArchiveError, BackstayError, DiskFullError, UsageError


def writer(folder: Path, part_size: int = SIZE) -> PartWriter:
    """A writer whose first part is made."""
    made = PartWriter(folder / "site.jpa", part_size)
    made.create()
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_names_of_parts(tmp_path: Path) -> None:
    main = tmp_path / "site.jpa"
    assert [part_path(main, number).name for number in (1, 12, 99, 100)] == [
        "site.j01", "site.j12", "site.j99", "site.j100",
    ]  # fmt: skip
    assert part_path(tmp_path / "a.b.zip", 3).name == "a.b.z03"
    for name in ("site.j01", "site.j02", "site.j100", "site.j003", "site.j1", "site.jpa", "other.j01", "site.j0x",
                 "site.j01.part", "xsite.j01", "site.z01", "site.j٠١", "sitexj03"):  # fmt: skip
        (tmp_path / name).touch()
    assert numbered_parts(main) == {number: part_path(main, number) for number in (1, 2, 100)}


def test_a_part_size_is_none_or_large_enough(tmp_path: Path) -> None:
    for size in (0, SIZE, SIZE + 1):
        assert PartWriter(tmp_path / "site.jpa", size).part_size == size
    for size in (1, SIZE - 1):
        with pytest.raises(UsageError, match=f"{size} bytes is too small"):
            PartWriter(tmp_path / "site.jpa", size)


@pytest.mark.parametrize("name", ["site.jpa", "site.j01", "site.j07"])
def test_nothing_that_is_there_is_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(ArchiveError, match="there already"):
        writer(tmp_path)
    assert content(tmp_path) == {name: b"mine"}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=f"{tmp_path}/none cannot be written: No such file"):
        writer(tmp_path / "none")


def test_bytes_are_cut_where_parts_end_and_told_where_they_went(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 * SIZE + 10)
    made = writer(tmp_path)
    assert (made.position, made.total) == (Position(1, 0), 0)
    made.write(data[: SIZE - 1])
    made.write(data[SIZE - 1 : SIZE])
    assert (made.position, made.total) == (Position(1, SIZE), SIZE)
    made.write(data[SIZE:])
    assert (made.position, made.total) == (Position(4, 10), len(data))
    assert made.finish() == [tmp_path / name for name in ("site.j01", "site.j02", "site.j03", "site.jpa")]
    found = content(tmp_path)
    assert [len(piece) for piece in found.values()] == [SIZE, SIZE, SIZE, 10]
    assert b"".join(found.values()) == data
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_single_file_has_any_size(tmp_path: Path) -> None:
    made = writer(tmp_path, 0)
    made.reserve(10 * SIZE)
    for _ in range(3):
        made.write(b"x" * SIZE)
        made.reserve(10 * SIZE)
    assert made.finish() == [tmp_path / "site.jpa"]
    assert content(tmp_path) == {"site.jpa": b"x" * 3 * SIZE}


@pytest.mark.parametrize(
    ("before", "block", "part"), [(0, 2 * SIZE, 1), (10, SIZE - 11, 1), (10, SIZE - 10, 2), (SIZE, 0, 2), (SIZE, 1, 2)]
)
def test_a_block_that_does_not_fit_with_a_byte_more_begins_a_part(
    tmp_path: Path, before: int, block: int, part: int
) -> None:
    made = writer(tmp_path)
    made.write(b"x" * before)
    made.reserve(block)
    assert made.position == (part, before if part == 1 else 0)
    assert made.total == before
    made.release()


def test_an_end_mark_stays_with_its_part(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.write(b"x" * SIZE)
    made.append(b"end")
    assert (made.position, made.total) == (Position(1, SIZE + 3), SIZE + 3)
    made.finish()
    assert content(tmp_path) == {"site.jpa": b"x" * SIZE + b"end"}


def test_what_was_written_is_written_over_in_its_part(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.write(b"x" * SIZE + b"yyyy")
    made.patch(Position(1, 5), b"ABC")
    made.patch(Position(2, 1), b"D")
    made.write(b"z")
    made.finish()
    found = content(tmp_path)
    assert found == {"site.j01": b"x" * 5 + b"ABC" + b"x" * (SIZE - 8), "site.jpa": b"yDyyz"}


def test_bytes_are_handed_on_when_there_are_enough_however_few_the_disk_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_WRITE_SIZE", 100)
    monkeypatch.setattr(parts, "_AT_ONCE", 3)
    real_writev, real_write = os.writev, os.write
    calls: list[int] = []

    def writev(descriptor: int, pieces: Any) -> int:
        calls.append(len(pieces))
        return real_write(descriptor, b"".join(pieces)[:7]) if len(calls) % 2 else real_writev(descriptor, pieces)

    monkeypatch.setattr(os, "writev", writev)
    monkeypatch.setattr(os, "write", lambda descriptor, view: real_write(descriptor, view[:5]))
    made = writer(tmp_path, 0)
    data = random.Random(2).randbytes(205)
    for start in range(0, 99, 20):
        made.write(data[start : min(start + 20, 99)])
    assert calls == []
    made.write(data[99:100])
    assert calls == [3, 3]
    made.write(data[100:199])
    made.write(data[199:])
    assert calls == [3, 3, 2]
    made.release()
    assert content(tmp_path) == {"site.j01": data}
    made.flush()
    assert calls == [3, 3, 2], "there is nothing left"


class Syncs:
    """Notes which files and folders are synced, and what they held then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self.held: dict[str, Any] = {}
        self._real = os.fsync
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.seen.append("folder" if path.is_dir() else path.name)
        self.held[self.seen[-1]] = sorted(content(path)) if path.is_dir() else path.read_bytes()
        self._real(descriptor)

    def taken(self) -> list[str]:
        """Give what was synced since this was asked."""
        seen, self.seen = self.seen, []
        return seen


def test_a_sync_makes_every_part_safe_that_changed_and_the_folder_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = Syncs(monkeypatch)
    made = writer(tmp_path)
    made.sync()
    assert syncs.taken() == ["site.j01", "folder"]
    made.sync()
    assert syncs.taken() == ["folder"]
    made.write(b"x" * SIZE * 2 + b"y")
    made.sync()
    assert syncs.taken() == ["site.j01", "site.j02", "site.j03", "folder"]
    assert [len(syncs.held[name]) for name in ("site.j01", "site.j02", "site.j03")] == [SIZE, SIZE, 1]
    assert syncs.held["folder"] == ["site.j01", "site.j02", "site.j03"]
    made.patch(Position(1, 0), b"A")
    made.write(b"z")
    made.sync()
    assert syncs.taken() == ["site.j01", "site.j03", "folder"]
    assert syncs.held["site.j03"] == b"yz"
    assert syncs.held["site.j01"][:1] == b"A"
    made.rewind(Position(2, 7))
    made.sync()
    assert syncs.taken() == ["site.j02", "folder"]
    made.append(b"end")
    made.finish()
    assert syncs.taken() == ["site.j02", "folder", "folder"]
    assert syncs.held["folder"] == ["site.j01", "site.jpa"]


@pytest.mark.parametrize("place", [Position(1, 0), Position(1, 99), Position(2, 0), Position(2, SIZE), Position(3, 7)])
def test_going_back_leaves_what_was_before_a_place(tmp_path: Path, place: Position) -> None:
    data = random.Random(3).randbytes(2 * SIZE + 50)
    kept = data[: (place.part - 1) * SIZE + place.offset]
    for number, again in enumerate((False, True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        made = writer(folder)
        made.write(data)
        if again:
            made.sync()
            made.release()
            made = PartWriter(folder / "site.jpa", SIZE)
            made.reopen(place)
        else:
            made.rewind(place)
        assert (made.position, made.total) == (place, len(kept))
        made.write(b"new")
        made.finish()
        assert b"".join(content(folder).values()) == kept + b"new"
        assert len(content(folder)) == (place.part if place.offset < SIZE else place.part + 1)


def test_an_archive_that_had_its_final_name_goes_on(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.write(b"x" * SIZE + b"yyy")
    made.finish()
    made = PartWriter(tmp_path / "site.jpa", SIZE)
    made.reopen(Position(2, 2))
    made.sync()
    assert content(tmp_path) == {"site.j01": b"x" * SIZE, "site.j02": b"yy"}
    (tmp_path / "site.jpa").write_bytes(b"of a try before")
    made.release()
    made = PartWriter(tmp_path / "site.jpa", SIZE)
    made.reopen(Position(2, 1))
    made.finish()
    assert content(tmp_path) == {"site.j01": b"x" * SIZE, "site.jpa": b"y"}


@pytest.mark.parametrize(
    ("gone", "place", "words"),
    [
        ("site.j01", Position(3, 5), "site.j01 is gone"),
        ("site.j02", Position(3, 5), "site.j02 is gone"),
        ("site.j03", Position(3, 5), "site.j03 is gone"),
        ("", Position(3, 6), "site.j03 is shorter than it was"),
        ("", Position(4, 0), "site.j04 is gone"),
    ],
)
def test_what_was_safe_and_is_gone_is_told(tmp_path: Path, gone: str, place: Position, words: str) -> None:
    made = writer(tmp_path)
    made.write(b"x" * SIZE * 2 + b"12345")
    made.sync()
    made.release()
    if gone:
        (tmp_path / gone).unlink()
    before = content(tmp_path)
    with pytest.raises(ArchiveError, match=words):
        PartWriter(tmp_path / "site.jpa", SIZE).reopen(place)
    assert content(tmp_path) == before


def test_removing_takes_every_part_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "other.j01").touch()
    made = writer(tmp_path)
    made.write(b"x" * SIZE * 2)
    made.write(b"not handed on yet")
    made.remove()
    assert list(content(tmp_path)) == ["other.j01"]
    made.remove()


def test_files_are_closed_and_no_program_inherits_them(tmp_path: Path) -> None:
    def opened() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = opened()
    made = writer(tmp_path)
    made.write(b"x" * SIZE * 3)
    made.patch(Position(1, 0), b"A")
    made.sync()
    assert opened() == before + 1
    assert not os.get_inheritable(made._descriptor)
    made.rewind(Position(1, 5))
    assert opened() == before + 1
    made.release()
    made.release()
    assert opened() == before


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, "no space left to write a"),
        (errno.EDQUOT, DiskFullError, "no space left to write a"),
        (errno.EFBIG, DiskFullError, "no space left to write a"),
        (errno.EROFS, ArchiveError, "a\\\\x1b cannot be written: Read-only file system"),
    ],
)
def test_what_the_disk_refuses_is_told_with_its_name(number: int, kind: type[BackstayError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught, disk_errors("a\x1b"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is kind
    with pytest.raises(ArchiveError, match="/nowhere cannot be written: No such file"):
        sync_folder(Path("/nowhere"))
    with pytest.raises(ArchiveError, match="cannot be written: odd"), disk_errors("a"):
        raise OSError("odd")


@pytest.mark.parametrize(("call", "name"), [("open", "site.j02"), ("writev", "site.j01"), ("fsync", "site.j01")])
def test_the_part_that_could_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    def refuse(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    made = writer(tmp_path)
    monkeypatch.setattr(os, call, refuse)

    def use() -> None:
        made.write(b"x" * (SIZE + 1 if call == "open" else SIZE))
        made.sync()

    with pytest.raises(DiskFullError, match=f"/{name}: free"):
        use()
    monkeypatch.undo()
    made.release()


def test_no_link_leads_a_part_elsewhere(tmp_path: Path) -> None:
    made = writer(tmp_path)
    made.write(b"x" * 10)
    made.sync()
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "site.j01").unlink()
    (tmp_path / "site.j01").symlink_to("mine")
    (tmp_path / "site.j02").symlink_to("mine")
    calls: list[Callable[[], None]] = [
        lambda: made.patch(Position(1, 0), b"A"), made.sync, lambda: made.write(b"x" * SIZE),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(BackstayError):
            call()
    with pytest.raises(OSError, match="symbolic links"):
        made.rewind(Position(1, 0))
    assert (tmp_path / "mine").read_bytes() == b"mine"
    made.release()
