"""Sources that change, vanish or cannot be stored never break the archive."""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archives.trees import TIME, begin, contents, file_source, fill, password_for, scan
from backstay import processes
from backstay.archives import EntryType, PackWarning, Source, create_archive, open_archive, pack
from backstay.archives.registry import FORMATS
from backstay.errors import ArchiveError, BackstayError, DiskFullError, UsageError


def on_disk(path: Path, name: str | None = None) -> Source:
    status = path.stat()
    return Source(
        name or path.name, EntryType.FILE, status.st_mode, int(status.st_mtime), status.st_size, file=str(path)
    )


def packed(folder: Path, format_name: str, sources: list[Source]) -> tuple[dict[str, bytes], list[PackWarning]]:
    """Pack, and give what is in the archive and the warnings."""
    warnings: list[PackWarning] = []
    summary = fill(begin(folder, format_name), sources, warnings.append)
    with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
        assert archive.verify().problems == []
        found = {entry.path: b"".join(archive.read(entry)) for entry in archive if "installation/" not in entry.path}
    return found, warnings


@pytest.mark.parametrize("size", [1000, 6 << 20])
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_that_is_not_what_the_scan_saw_is_stored_as_it_is(tmp_path: Path, format_name: str, size: int) -> None:
    names = ("same", "gone", "shrunk", "grown", "unreadable", "pipe", "link", "folder")
    sources = []
    for name in names:
        (tmp_path / name).write_bytes(name.encode() + bytes(size))
        sources.append(on_disk(tmp_path / name))
    (tmp_path / "gone").unlink()
    (tmp_path / "shrunk").write_bytes(b"tiny")
    (tmp_path / "grown").write_bytes(b"g" * (size + 5000))
    for name in ("pipe", "link", "folder"):
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    if os.geteuid() == 0:
        (tmp_path / "unreadable").unlink()
    else:
        (tmp_path / "unreadable").chmod(0)
    found, warnings = packed(tmp_path / "out", format_name, [*sources, file_source("last", b"last")])
    assert found == {
        "same": b"same" + bytes(size),
        "shrunk": b"tiny",
        "grown": b"g" * (size + 5000),
        "last": b"last",
    }
    assert {warning.path for warning in warnings} == {"gone", "unreadable", "pipe", "link", "folder"}
    assert all(warning.message.startswith(f"{warning.path} ") and warning.message.endswith(".") for warning in warnings)


@pytest.mark.parametrize("size", [50_000, 40 << 20])
def test_a_file_that_is_written_all_the_while_ends_as_a_whole_entry(tmp_path: Path, size: int) -> None:
    path = tmp_path / "live.log"
    path.write_bytes(b"a" * size)
    stop = threading.Event()

    def churn() -> None:
        with path.open("r+b") as file:
            while not stop.is_set():
                file.truncate(size // 3)
                file.seek(0, os.SEEK_END)
                file.write(b"b" * 1000)
                file.flush()
                file.truncate(size * 2)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(3):
            found, _ = packed(tmp_path / str(number), "zip", [on_disk(path), file_source("last", b"last")])
            assert found["last"] == b"last"
            assert len(found["live.log"]) <= size * 2
    finally:
        stop.set()
        thread.join()


def test_a_file_that_grows_past_a_megabyte_after_the_scan_is_taken_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "small.log"
    path.write_bytes(b"x")
    source = on_disk(path)
    path.write_bytes(b"y" * (9 << 20))
    found, warnings = packed(tmp_path / "out", "jpa", [source])
    assert found == {"small.log": b"y" * (9 << 20)}
    assert warnings == []


def test_names_that_cannot_be_stored_are_named(tmp_path: Path) -> None:
    bad = ["n" * 65_001, "../a", "/a", "a//b", "a\0b", "", "lone\ud800", "installation/backstay/manifest-0001.jsonl"]
    found, warnings = packed(tmp_path, "jpa", [file_source(path, b"x") for path in [*bad, "n" * 65_000, "good"]])
    assert set(found) == {"n" * 65_000, "good"}
    assert [warning.path for warning in warnings] == bad
    assert all(warning.message.isprintable() for warning in warnings)


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_longest_path_fits_into_the_smallest_part(tmp_path: Path, format_name: str) -> None:
    writer = begin(tmp_path, format_name, part_size=65536)
    summary = fill(writer, [file_source("n" * 65_000, b"x"), file_source("m" * 65_000, b"y")])
    with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
        assert archive.verify().ok


def test_jps_refuses_a_file_of_four_gigabytes_before_anything_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    started = time.monotonic()
    found, warnings = packed(tmp_path / "out", "jps", [on_disk(path), file_source("z", b"z")])
    assert found == {"z": b"z"}
    assert [warning.path for warning in warnings] == ["huge.bin"]
    assert "4294967295" in warnings[0].message
    assert time.monotonic() - started < 5


def test_progress_comes_in_order_and_adds_up(tmp_path: Path) -> None:
    writer = begin(tmp_path, "jpa")
    sources = [file_source(f"{number:04d}", bytes(number)) for number in range(500)]
    seen = list(pack(writer, sources))
    summary = writer.close()
    paths = [progress.path or "" for progress in seen]
    assert paths == sorted(paths)
    assert paths[-1] == "0499"
    assert seen[-1].entries == summary.entries == 500
    assert seen[-1].bytes_in == summary.uncompressed_size == sum(range(500))
    assert [progress.bytes_out for progress in seen] == sorted(progress.bytes_out for progress in seen)


def test_sources_are_taken_only_a_bounded_number_ahead(tmp_path: Path) -> None:
    taken = 0

    def sources() -> Iterator[Source]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield file_source(f"{number}", bytes(1000))

    writer = begin(tmp_path, "jpa")
    ahead = []
    for progress in pack(writer, sources()):
        ahead.append(taken - progress.entries)
        if len(ahead) > 50:
            break
    writer.abort()
    assert max(ahead) < 10_000


def test_stopping_in_the_middle_leaves_an_archive_that_can_be_closed(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(8 << 20))
    writer = begin(tmp_path / "out", "zip")
    work = pack(writer, [file_source("a", b"a"), on_disk(large), file_source("b", b"b")])
    for _ in range(4):
        next(work)
    assert writer.open_entry is not None
    work.close()
    summary = writer.close()
    with open_archive(summary.parts[0]) as archive:
        assert archive.verify().ok
        assert [entry.path for entry in archive][:1] == ["a"]


def test_packing_in_turns_is_packing_at_once(tmp_path: Path) -> None:
    writer = begin(tmp_path, "jpa")
    for path in ("b", "a"):
        for _ in pack(writer, [file_source(path, path.encode())]):
            pass
    summary = writer.close()
    with open_archive(summary.parts[0]) as archive:
        assert [line.path for line in archive.manifest()] == ["b", "a"]


def test_an_error_of_the_sources_is_the_callers(tmp_path: Path) -> None:
    def sources() -> Iterator[Source]:
        yield file_source("a", b"a")
        raise LookupError("the caller's own")

    writer = begin(tmp_path, "jpa")
    with pytest.raises(LookupError):
        list(pack(writer, sources()))
    writer.abort()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.jpa"):
        create_archive(tmp_path / "a.zip", format="jpa", work_directory=tmp_path)
    with pytest.raises(UsageError, match="format"):
        create_archive(tmp_path / "a.rar", format="rar", work_directory=tmp_path)
    with pytest.raises(UsageError, match="too small"):
        create_archive(tmp_path / "a.jpa", format="jpa", work_directory=tmp_path, part_size=65535)
    with pytest.raises(ArchiveError, match="nowhere"):
        create_archive(tmp_path / "nowhere" / "a.jpa", format="jpa", work_directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import sys
from pathlib import Path
from backstay.archives import EntryType, Source, create_archive, open_archive, pack
from backstay.errors import DiskFullError

where, format_name = Path(sys.argv[1]), sys.argv[2]
writer = create_archive(
    where / f"a.{format_name}", format=format_name, work_directory=where, part_size=int(sys.argv[3]),
    password="x" if format_name == "jps" else None,
)
import random
data = random.Random(1).randbytes(3 << 20)
sources = (Source(f"{n}", EntryType.FILE, 0o100644, 1700000000, len(data), data=data) for n in range(8))
try:
    for _ in pack(writer, sources):
        writer.checkpoint()
    writer.close()
except DiskFullError as error:
    assert str(where) in str(error), error
    writer.abort()
    print(sorted(path.name for path in where.iterdir()))
"""


@pytest.mark.parametrize("part_size", [0, 1 << 20])
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, format_name: str, part_size: int) -> None:
    where = tmp_path / "small"
    where.mkdir()
    arguments = f"{where} {format_name} {part_size}"
    program = f"mount -t tmpfs -o size=8m none {where} && exec {sys.executable} -c '{FULL_DISK}' {arguments}"
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed, so there is no small disk to fill")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", program], capture_output=True, text=True, check=False)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this system lets nobody mount a small disk to fill")
    assert done.stdout.strip() == "[]", done.stderr


def test_a_full_disk_while_extracting_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    summary = fill(begin(tmp_path, "jpa"), [file_source("a", b"a" * 100)])
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "a":
            return real("/dev/full", os.O_WRONLY)
        return real(path, flags, mode, dir_fd=dir_fd)

    (tmp_path / "out").mkdir()
    with open_archive(summary.parts[0]) as archive, monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        patch.setattr(os, "unlink", lambda *_, **__: None)
        with pytest.raises(DiskFullError, match="space"):
            archive.extract(tmp_path / "out")


def test_a_folder_is_packed_by_several_threads_as_by_one(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(300):
        (root / f"{number:03d}").write_bytes(os.urandom(number * 50))
    archives = []
    for count in (1, 5):
        writer = begin(tmp_path / str(count), "zip")
        for _ in pack(writer, scan(root), workers=count):
            pass
        archives.append(writer.close().parts[0])
    with open_archive(archives[0]) as one, open_archive(archives[1]) as other:
        assert list(one.manifest()) == list(other.manifest())
        assert list(one)[:300] == list(other)[:300]


def test_a_spool_that_is_not_what_it_was_stops_the_backup(tmp_path: Path) -> None:
    from backstay.archives import DeflatedFile

    spool = tmp_path / "spool"
    spool.write_bytes(b"\x03\x00")
    for deflated in (
        DeflatedFile(str(tmp_path / "none"), 0, 2, 0, "0" * 64),
        DeflatedFile(str(spool), 10, 20, 0, "0" * 64),
    ):
        for format_name in FORMATS:
            writer = begin(tmp_path / format_name, format_name)
            with pytest.raises(BackstayError):
                list(pack(writer, [Source("s", EntryType.FILE, 0o100644, TIME, 0, deflated=deflated)]))
            writer.abort()


@pytest.mark.parametrize("bad_from", [0, 2 << 20], ids=["at once", "in the middle"])
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_large_file_that_the_disk_does_not_give_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, bad_from: int
) -> None:
    (tmp_path / "bad").write_bytes(os.urandom(8 << 20))
    (tmp_path / "good").write_bytes(b"good")
    bad = (tmp_path / "bad").stat().st_ino
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        # From the middle on, where the samples have been taken and blocks are being written.
        if length == 1 << 20 and offset >= bad_from and os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    found, warnings = packed(
        tmp_path / "out",
        format_name,
        [file_source("first", b"1"), on_disk(tmp_path / "bad"), on_disk(tmp_path / "good")],
    )
    assert found == {"first": b"1", "good": b"good"}
    assert [warning.path for warning in warnings] == ["bad"]
    assert "Input/output error" in warnings[0].message


def test_a_link_in_a_zip_is_one_whatever_mode_it_is_given(tmp_path: Path) -> None:
    link = Source("link", EntryType.SYMLINK, 0o100644, TIME, target="first")
    summary = fill(begin(tmp_path, "zip"), [file_source("first", b"1"), link])
    with open_archive(summary.parts[-1]) as archive:
        assert archive.verify().problems == []
        assert {entry.path: entry.type for entry in archive if entry.path == "link"} == {"link": EntryType.SYMLINK}
    with zipfile.ZipFile(summary.parts[-1]) as peer:
        assert stat.S_ISLNK(peer.getinfo("link").external_attr >> 16)


@pytest.mark.parametrize("part_size", [0, 65536])
@pytest.mark.parametrize("format_name", FORMATS)
def test_processes_make_what_threads_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, part_size: int
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(300):
        (root / f"{number:03d}").write_bytes(random.Random(number).randbytes(number * 20) + bytes(number * 20))
    (root / "folder").mkdir(mode=0o750)
    (root / "link").symlink_to("000")
    gone = Source("gone", EntryType.FILE, 0o100644, TIME, 5, file=str(root / "gone"))
    kinds = []
    for forked in (True, False):
        monkeypatch.setattr(processes, "may_fork", lambda forked=forked: forked)
        warnings: list[PackWarning] = []
        writer = begin(tmp_path / str(forked), format_name, part_size=part_size)
        for _ in pack(writer, [*scan(root), gone], workers=3, on_warning=warnings.append):
            pass
        summary = writer.close()
        with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
            assert archive.verify().problems == []
            out = tmp_path / f"out-{forked}"
            archive.extract(out)
            kinds.append((list(archive.manifest()), contents(out), len(summary.parts), [w.message for w in warnings]))
    assert kinds[0] == kinds[1]
    assert kinds[0][1] == contents(root)
    assert (kinds[0][2] > 1) == bool(part_size)
    assert len(kinds[0][3]) == 1


def test_a_batch_that_the_processes_cannot_do_is_done_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "grown").write_bytes(b"g" * (6 << 20))
    grown = Source("grown", EntryType.FILE, 0o100644, TIME, 10, file=str(tmp_path / "grown"))
    # Stored, these take more room than the processes have.
    sources = [file_source(f"{number:02d}", os.urandom(16_000)) for number in range(60)]
    long = [file_source("/".join(["n" * 200] * 60) + str(number), b"x") for number in range(60)]
    found, warnings = packed(tmp_path / "out", "jpa", [*sources, grown, *long])
    assert len(found) == 121
    assert found["grown"] == b"g" * (6 << 20)
    assert warnings == []


def test_where_there_are_no_more_processes_threads_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    found, warnings = packed(tmp_path, "jpa", [file_source(f"{number:03d}", b"x" * 5000) for number in range(300)])
    assert len(found) == 300
    assert warnings == []
