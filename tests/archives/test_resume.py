"""A crash at any moment: the archive is taken up at the last checkpoint and becomes what it would have been."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from archives.trees import begin, contents, file_source, fill, password_for, plant, scan, write
from backstay.archives import ArchiveWriter, DeflatedFile, EntryType, Source, open_archive, pack, resume_archive
from backstay.archives.codec import Codec
from backstay.archives.entries import Compression
from backstay.archives.registry import FORMATS
from backstay.errors import ArchiveError, WrongPasswordError


class CrashError(Exception):
    """The moment the power goes."""


def crash(writer: ArchiveWriter, sources: Iterator[Source], *, checkpoint_at: int, die_at: int) -> dict[str, Any]:
    """Pack until a step, with one checkpoint on the way; give the checkpoint as it comes back from a catalogue."""
    state = writer.checkpoint()
    try:
        for step, _ in enumerate(pack(writer, sources)):
            if step == checkpoint_at:
                state = writer.checkpoint()
            if step >= die_at:
                break
    finally:
        writer.release()
    return dict(json.loads(json.dumps(state)))


def after(sources: Iterator[Source], path: str | None) -> Iterator[Source]:
    """Skip sources up to a path."""
    passed = path is None
    for source in sources:
        if passed:
            yield source
        passed = passed or source.path == path


def reopen_journal(folder: Path, state: dict[str, Any], sources: Iterator[Source], format_name: str) -> Path:
    writer = resume_archive(state, password=password_for(format_name), work_directory=folder / "work")
    return fill(writer, after(sources, state["last_path"])).parts[-1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    plant(root)
    return root


@pytest.mark.parametrize("part_size", [0, 300_000])
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("checkpoint_at", [0, 1, 2, 4, 6, 9, 12, 15, 20])
def test_an_archive_goes_on_at_its_last_checkpoint(
    tree: Path, tmp_path: Path, format_name: str, part_size: int, checkpoint_at: int
) -> None:
    writer = begin(tmp_path, format_name, part_size=part_size)
    state = crash(writer, scan(tree), checkpoint_at=checkpoint_at, die_at=checkpoint_at + 3)
    main = reopen_journal(tmp_path, state, scan(tree), format_name)
    with open_archive(main, password=password_for(format_name)) as archive:
        assert archive.verify().problems == []
        archive.extract(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tree)
    if format_name != "jps":
        whole = write(tmp_path / "whole", format_name, scan(tree), part_size=part_size)
        with open_archive(main) as one, open_archive(whole.parts[-1]) as other:
            assert [entry for entry in one if "manifest" not in entry.path] == [
                entry for entry in other if "manifest" not in entry.path
            ]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_checkpoint_in_the_middle_of_a_large_file_keeps_what_was_written(tmp_path: Path, format_name: str) -> None:
    large = tmp_path / "large.sql"
    large.write_bytes(b"".join(b"%d,%d;" % (n, n * n) for n in range(700_000)))
    status = large.stat()
    source = Source("large.sql", EntryType.FILE, status.st_mode, int(status.st_mtime), status.st_size, file=str(large))
    writer = begin(tmp_path, format_name, part_size=200_000)
    state = crash(writer, iter([source]), checkpoint_at=5, die_at=7)
    # Blocks are a megabyte, in JPS no longer than a part.
    assert state["open"]["content"][1] >= 5 * 199_000
    assert state["last_path"] is None
    writer = resume_archive(state, password=password_for(format_name), work_directory=tmp_path / "work")
    assert writer.bytes_in >= (5 * 199_000 if format_name == "jps" else 4 << 20)
    main = fill(writer, [source]).parts[-1]
    with open_archive(main, password=password_for(format_name)) as archive:
        assert archive.verify().problems == []
        assert b"".join(archive.read(archive.entry("large.sql"))) == large.read_bytes()


@pytest.mark.parametrize("how", ["content", "gone", "first", "smaller"])
def test_a_large_file_that_changed_since_the_checkpoint_starts_over(tmp_path: Path, how: str) -> None:
    large = tmp_path / "large.sql"
    large.write_bytes(b"".join(b"%d,%d;" % (n, n * n) for n in range(700_000)))

    def sources() -> list[Source]:
        found = (
            []
            if not large.exists()
            else [
                Source(
                    "large.sql",
                    EntryType.FILE,
                    0o100644,
                    int(large.stat().st_mtime),
                    large.stat().st_size,
                    file=str(large),
                )
            ]
        )
        return [*found, file_source("z.txt", b"z")]

    writer = begin(tmp_path, "zip", part_size=200_000)
    state = crash(writer, iter(sources()), checkpoint_at=5, die_at=6)
    if how == "content":
        large.write_bytes(large.read_bytes()[::-1])
        os.utime(large, (1_600_000_000, 1_600_000_000))
    elif how == "smaller":
        large.write_bytes(b"small now")
    elif how == "gone":
        large.unlink()
    given = sources()
    if how == "first":
        given.insert(0, file_source("a.txt", b"a"))
    writer = resume_archive(state, work_directory=tmp_path / "work")
    main = fill(writer, given).parts[-1]
    with open_archive(main) as archive:
        assert archive.verify().problems == []
        entries = {entry.path: entry for entry in archive if "manifest" not in entry.path}
        assert list(entries) == [source.path for source in given]
        if large.exists():
            assert b"".join(archive.read(entries["large.sql"])) == large.read_bytes()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_large_stream_that_was_deflated_before_goes_on_too(tmp_path: Path, format_name: str) -> None:
    data = b"".join(b"%d,%d;" % (n, n * n) for n in range(1_300_000))
    codec = Codec(Compression.FAST)
    blocks = [codec.block(data[start : start + (1 << 20)]) for start in range(0, len(data), 1 << 20)]
    spool = tmp_path / "spool"
    spool.write_bytes(b"".join(blocks) + b"\x03\x00")
    deflated = DeflatedFile(str(spool), len(data), spool.stat().st_size, zlib.crc32(data), blake3(data).hexdigest())
    source = Source("site.sql", EntryType.FILE, 0o100644, 1_700_000_000, len(data), deflated=deflated)
    writer = begin(tmp_path, format_name)
    state = crash(writer, iter([source]), checkpoint_at=3, die_at=4)
    main = reopen_journal(tmp_path, state, iter([source]), format_name)
    with open_archive(main, password=password_for(format_name)) as archive:
        assert archive.verify().problems == []
        assert b"".join(archive.read(archive.entry("site.sql"))) == data


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_archive_that_was_closed_is_not_taken_up_again(tmp_path: Path, format_name: str) -> None:
    writer = begin(tmp_path, format_name)
    for _ in pack(writer, [file_source("a.txt", b"a")]):
        pass
    state = writer.checkpoint()
    data = writer.close().parts[0].read_bytes()
    with pytest.raises(ArchiveError, match="started anew"):
        resume_archive(state, password=password_for(format_name), work_directory=tmp_path / "work")
    assert (tmp_path / f"a.{format_name}").read_bytes() == data


def test_the_final_name_is_taken_back_when_the_archive_goes_on(tmp_path: Path) -> None:
    writer = begin(tmp_path, "jpa")
    sources = [file_source("a.txt", b"a"), file_source("b.txt", b"b")]
    state = crash(writer, iter(sources[:1]), checkpoint_at=0, die_at=9)
    (tmp_path / "a.j01").rename(tmp_path / "a.jpa")
    main = reopen_journal(tmp_path, state, iter(sources), "jpa")
    with open_archive(main) as archive:
        assert archive.verify().ok
        assert [entry.path for entry in archive][:2] == ["a.txt", "b.txt"]


def test_what_was_written_after_the_checkpoint_is_cut_off_even_with_gaps(tmp_path: Path) -> None:
    data = os.urandom(700_000)
    writer = begin(tmp_path, "jpa", part_size=65536)
    state = writer.checkpoint()
    for _ in pack(writer, [file_source("a.bin", data)]):
        pass
    writer.release()
    # Without a sync of the folder a power cut may lose any of the later names.
    (tmp_path / "a.j03").unlink()
    main = reopen_journal(tmp_path, state, iter([file_source("b.bin", b"b" * 10)]), "jpa")
    assert sorted(path.name for path in tmp_path.glob("a.*")) == ["a.jpa"]
    with open_archive(main) as archive:
        assert archive.verify().ok


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_an_archive_that_lost_what_was_safe_is_not_taken_up(tmp_path: Path, damage: str) -> None:
    writer = begin(tmp_path, "jpa", part_size=65536)
    for _ in pack(writer, [file_source("a.bin", os.urandom(200_000))]):
        pass
    state = writer.checkpoint()
    writer.release()
    if damage == "gone":
        (tmp_path / "a.j02").unlink()
    else:
        os.truncate(tmp_path / "a.j04", 10)
    with pytest.raises(ArchiveError, match="started anew"):
        resume_archive(state, work_directory=tmp_path / "work")


def test_an_encrypted_archive_is_not_taken_up_with_another_password(tmp_path: Path) -> None:
    writer = begin(tmp_path, "jps")
    state = writer.checkpoint()
    writer.release()
    assert "pässwörd" not in json.dumps(state, ensure_ascii=False)
    with pytest.raises(WrongPasswordError):
        resume_archive(state, password="another", work_directory=tmp_path / "work")


def test_no_part_that_may_still_change_counts_as_finished(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(6 << 20))
    source = Source("large.bin", EntryType.FILE, 0o100644, int(large.stat().st_mtime), 6 << 20, file=str(large))
    writer = begin(tmp_path, "jpa", part_size=65536)
    before = [file_source(f"{number}", os.urandom(100_000)) for number in range(5)]
    seen: dict[Path, bytes] = {}
    for _ in pack(writer, [*before, source, file_source("z", os.urandom(200_000))]):
        if writer.open_entry is not None:
            assert all(part not in writer.finished_parts for part in [tmp_path / "a.j40"])
        writer.checkpoint()
        for part in writer.finished_parts:
            seen.setdefault(part, part.read_bytes())
    summary = writer.close()
    assert len(seen) > 50
    assert tmp_path / "a.j01" not in seen
    assert all(part.read_bytes() == data for part, data in seen.items())
    assert set(seen) < set(summary.parts)


def test_aborting_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    for format_name in FORMATS:
        writer = begin(tmp_path / format_name, format_name, part_size=65536)
        for _ in pack(writer, scan(tree)):
            pass
        writer.abort()
        assert [path.name for path in (tmp_path / format_name).rglob("*")] == ["work"]


def test_an_archive_of_the_same_name_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, "jpa", [file_source("a.txt", b"a")])
    with pytest.raises(ArchiveError, match="there already"):
        begin(tmp_path, "jpa")
    (tmp_path / "a.jpa").unlink()
    (tmp_path / "a.j07").write_bytes(b"somebody else's")
    with pytest.raises(ArchiveError, match="there already"):
        begin(tmp_path, "jpa")
