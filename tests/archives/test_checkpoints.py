"""A writer stopped behind each step: from its checkpoint the same bytes are written as if nothing had been."""

from __future__ import annotations

import copy
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from isal import isal_zlib

from archives.trees import TIME, file_source, password_for
from backstay.archives import ArchiveWriter, EntryType, Source, create_archive, manifest, open_archive, resume_archive
from backstay.archives.batch import batch_of, message_of, prepare_batch
from backstay.archives.formats import STORED, Content, Head
from backstay.errors import ArchiveError, UsageError

Step = Callable[[ArchiveWriter], None]
DATA = random.Random(9).randbytes(150_000)
BLOCKS = [DATA[:70_000], DATA[70_000:]]


def entry(source: Source) -> Step:
    return lambda writer: writer.add(writer.preparer.prepare(source))


def counted(number: int, *, crc: bool) -> Content:
    """The sizes of the large file when so many of its blocks are written."""
    done = b"".join(BLOCKS[:number])
    return Content(STORED, len(done), len(done), isal_zlib.crc32(done) if crc else 0)


def begin(writer: ArchiveWriter) -> None:
    head = Head(b"large", EntryType.FILE, 0o100600, TIME)
    writer.begin_entry("large", [1, 2], head, counted(0, crc=writer.path.suffix == ".zip"), len(DATA))


def block(number: int) -> Step:
    def step(writer: ArchiveWriter) -> None:
        unit = writer.preparer.format.unit(BLOCKS[number])
        writer.add_block(unit, counted(number + 1, crc=writer.path.suffix == ".zip"))

    return step


def end(writer: ArchiveWriter) -> None:
    writer.end_entry(manifest.pack_file_line("large", len(DATA), 0o100600, TIME, blake3(DATA).hexdigest()))


STEPS: list[Step] = [
    entry(file_source("a.txt", b"a" * 3000)),
    entry(Source("d", EntryType.DIRECTORY, 0o040755, TIME, implied=True)),
    begin,
    block(0),
    block(1),
    end,
    entry(file_source("d/b.bin", DATA[:80_000])),
    entry(file_source("../out", b"left out")),
    entry(Source("l", EntryType.SYMLINK, 0o120777, TIME, target="a.txt")),
]
PATHS = ["a.txt", "d", "large", "d/b.bin", "l"]


@pytest.fixture(autouse=True)
def _one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all archives made in the same second."""
    monkeypatch.setattr(time, "time", lambda: TIME + 0.5)


def made(folder: Path, name: str, **options: Any) -> ArchiveWriter:
    folder.mkdir(exist_ok=True)
    return create_archive(
        folder / f"a.{name}", format=name, work_directory=folder / "work", password=password_for(name), **options
    )


def resumed(folder: Path, state: dict[str, Any], name: str) -> ArchiveWriter:
    return resume_archive(json.loads(json.dumps(state)), work_directory=folder / "work", password=password_for(name))


def run(writer: ArchiveWriter, steps: Sequence[Step]) -> None:
    for step in steps:
        step(writer)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("a.*"))}


@pytest.mark.parametrize("part_size", [0, 65536])
@pytest.mark.parametrize("name", ["jpa", "zip"])
def test_the_same_bytes_are_written_from_every_checkpoint(tmp_path: Path, name: str, part_size: int) -> None:
    options: dict[str, Any] = {"part_size": part_size, "comment": "a site" if name == "zip" else "", "store_above": 999}
    whole = made(tmp_path / "whole", name, **options)
    run(whole, STEPS)
    summary = whole.close()
    with open_archive(summary.parts[-1]) as archive:
        report = archive.verify(workers=1)
        assert (report.ok, report.manifest_hash) == (True, summary.manifest_hash)
        assert [line.path for line in archive.manifest()] == PATHS
        assert {entry.mode for entry in archive if entry.path.startswith(manifest.FOLDER)} == {0o100644}
        assert archive.comment == options["comment"]
        assert b"".join(archive.read_path("large")) == DATA
        assert archive.entry("a.txt").compressed_size == 3000, "stored, for it is above the limit"
    assert list((tmp_path / "whole" / "work").iterdir()) == []
    for cut in range(len(STEPS) + 1):
        folder = tmp_path / f"{cut}"
        writer = made(folder, name, **options)
        run(writer, STEPS[:cut])
        state = writer.checkpoint()
        totals, finished = (writer.entries, writer.bytes_in, writer.bytes_out), writer.finished_parts
        opened = copy.copy(writer.open_entry)
        # A begun entry can be gone on with or begun anew; what comes behind the checkpoint is lost.
        run(writer, STEPS[cut : cut + 2])
        writer.release()
        writer = resumed(folder, state, name)
        assert (writer.entries, writer.bytes_in, writer.bytes_out) == totals
        assert writer.finished_parts == finished
        assert (writer.last_path, writer.open_entry) == (state["last_path"], opened)
        run(writer, STEPS[cut:])
        again = writer.close()
        assert content(folder) == content(tmp_path / "whole")
        assert (again.total_size, again.entries, again.uncompressed_size, again.manifest_hash) == (
            summary.total_size, summary.entries, summary.uncompressed_size, summary.manifest_hash,
        )  # fmt: skip


@pytest.mark.parametrize("part_size", [0, 65536])
@pytest.mark.parametrize("name", ["jpa", "zip"])
def test_batches_of_another_process_are_the_same_bytes(tmp_path: Path, name: str, part_size: int) -> None:
    sources = [
        file_source("a.txt", b"a" * 3000),
        Source("d", EntryType.DIRECTORY, 0o040755, TIME, implied=True),
        file_source("d/b.bin", DATA, mode=0o100600),
        file_source("../out", b"left out"),
        Source("l", EntryType.SYMLINK, 0o120777, TIME + 1, target="a.txt"),
        file_source("z", b"last", mtime=TIME + 2),
    ]
    one, other = made(tmp_path / "one", name, part_size=part_size), made(tmp_path / "other", name, part_size=part_size)
    run(one, [entry(source) for source in sources])
    buffer = memoryview(bytearray(1 << 20))
    for some in (sources[:3], sources[3:4], sources[4:]):
        other.add_batch(some, batch_of(prepare_batch(other.preparer, message_of(some), buffer)), buffer)
        buffer[:] = bytes(len(buffer))
        assert other.last_path == some[-1].path
    assert (one.entries, one.bytes_in, one.bytes_out) == (other.entries, other.bytes_in, other.bytes_out)
    assert one.close().manifest_hash == other.close().manifest_hash
    assert content(tmp_path / "one") == content(tmp_path / "other")


def test_a_summary_counts_what_was_put_in(tmp_path: Path) -> None:
    writer = made(tmp_path, "jpa", part_size=65536)
    assert (writer.entries, writer.bytes_in, writer.last_path) == (0, 0, None)
    run(writer, STEPS[:4])
    assert (writer.entries, writer.bytes_in, writer.last_path) == (1, 3000 + 70_000, "d")
    assert repr(writer) == f"ArchiveWriter({str(tmp_path / 'a.jpa')!r}, entries=1)"
    assert writer.bytes_out > 70_000
    assert writer.open_entry is not None
    assert (writer.open_entry.path, writer.open_entry.identity) == ("large", [1, 2])
    run(writer, STEPS[4:6])
    assert writer.last_path == "large"
    run(writer, STEPS[6:])
    assert writer.last_path == "l"
    summary = writer.close()
    assert [path.name for path in summary.parts] == ["a.j01", "a.j02", "a.j03", "a.jpa"]
    assert summary.total_size == sum(path.stat().st_size for path in summary.parts)
    assert (summary.entries, summary.uncompressed_size) == (4, 3000 + 150_000 + 80_000 + 5)


def test_a_checkpoint_tells_all_and_no_password(tmp_path: Path) -> None:
    writer = made(tmp_path, "jps", part_size=65536, comment="")
    run(writer, STEPS[:2])
    state = writer.checkpoint()
    assert {key: state[key] for key in ("format", "path", "part_size", "compression", "store_above", "created")} == {
        "format": "jps", "path": str(tmp_path / "a.jps"), "part_size": 65536, "compression": "balanced",
        "store_above": writer.preparer.store_above, "created": TIME,
    }  # fmt: skip
    assert (state["totals"][:2], state["last_path"], state["open"]) == ([1, 3000], "d", None)
    assert (password_for("jps") or "?") not in json.dumps(state, ensure_ascii=False)
    writer.release()
    for other in ({"version": 0}, {"version": None}):
        with pytest.raises(ArchiveError, match="another version of Backstay"):
            resumed(tmp_path, state | other, "jps")
    resumed(tmp_path, state, "jps").abort()


def test_a_checkpoint_is_safe_when_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(path.name if path.is_dir() else (path.name, path.stat().st_size))
        real(descriptor)

    writer = made(tmp_path, "jpa")
    run(writer, STEPS[:2])
    monkeypatch.setattr(os, "fsync", fsync)
    state = writer.checkpoint()
    spool = next((tmp_path / "work").iterdir())
    assert set(synced) == {("a.j01", writer.bytes_out), tmp_path.name, (spool.name, state["manifest"]), "work"}
    assert state["manifest"] == spool.stat().st_size > 0
    assert synced[-1] == "work"
    writer.abort()


def test_parts_behind_which_an_entry_is_open_may_still_change(tmp_path: Path) -> None:
    writer = made(tmp_path, "jpa", part_size=65536)
    seen: list[list[str]] = []
    for step in STEPS:
        step(writer)
        writer.checkpoint()
        seen.append([path.name for path in writer.finished_parts])
    assert seen == [[], [], [], [], [], ["a.j02"], ["a.j02", "a.j03"], ["a.j02", "a.j03"], ["a.j02", "a.j03"]]
    writer.abort()


def test_blocks_need_an_entry(tmp_path: Path) -> None:
    writer = made(tmp_path, "jpa")
    with pytest.raises(ArchiveError, match="no entry to add to"):
        block(0)(writer)
    with pytest.raises(ArchiveError, match="no entry to end"):
        end(writer)
    writer.drop_entry()
    begin(writer)
    block(0)(writer)
    writer.drop_entry()
    assert (writer.open_entry, writer.bytes_in) == (None, 0)
    entry(file_source("a.txt", b"a"))(writer)
    with open_archive(writer.close().parts[-1]) as archive:
        assert archive.verify(workers=1).ok
        assert [line.path for line in archive.manifest()] == ["a.txt"]


def test_an_entry_that_is_open_at_the_end_is_taken_back(tmp_path: Path) -> None:
    writer = made(tmp_path, "zip", part_size=65536)
    run(writer, STEPS[:4])
    with open_archive(writer.close().parts[-1]) as archive:
        assert archive.verify(workers=1).ok
        assert [line.path for line in archive.manifest()] == ["a.txt", "d"]


def test_a_folder_to_work_in_is_made_and_no_comment_is_none(tmp_path: Path) -> None:
    writer = create_archive(tmp_path / "a.zip", format="zip", work_directory=tmp_path / "deep" / "work")
    with open_archive(writer.close().parts[-1]) as archive:
        assert (archive.comment, archive.verify(workers=1).ok) == ("", True)


def test_an_archive_that_could_not_be_begun_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"b\.zip does not end in \.jpa"):
        create_archive(tmp_path / "b.zip", format="jpa", work_directory=tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
    create_archive(tmp_path / "b.JPA", format="jpa", work_directory=tmp_path / "work").abort()
    (tmp_path / "a.j02").write_bytes(b"somebody else's")
    with pytest.raises(ArchiveError, match="there already"):
        made(tmp_path, "jpa")
    assert content(tmp_path) == {"a.j02": b"somebody else's"}
    assert list((tmp_path / "work").iterdir()) == []
    assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700


def test_a_checkpoint_whose_bytes_are_gone_lets_go_of_all_files(tmp_path: Path) -> None:
    writer = made(tmp_path, "jpa")
    state = writer.checkpoint()
    writer.release()
    (tmp_path / "a.j01").unlink()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ArchiveError, match="started anew"):
        resumed(tmp_path, state, "jpa")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
