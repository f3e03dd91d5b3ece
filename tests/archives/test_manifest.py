"""The manifest proves content, stays small, and is just more files to everyone else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from archives.trees import TIME, file_source, write
from backstay.archives import EntryType, ManifestLine, Source, open_archive
from backstay.archives.attributes import Attributes
from backstay.archives.manifest import PIECE_SIZE, ManifestCursor, ManifestLines, pack_line, parse_line, piece_name
from backstay.errors import DamagedArchiveError


@given(
    path=st.text(min_size=1),
    kind=st.sampled_from(EntryType),
    size=st.integers(0, 1 << 62),
    mode=st.integers(0, 0o177777),
    mtime=st.integers(-(1 << 40), 1 << 40),
    target=st.text(),
    implied=st.booleans(),
)
def test_lines_survive(
    path: str, kind: EntryType, size: int, mode: int, mtime: int, target: str, implied: bool
) -> None:
    digest = "0" * 64 if kind is EntryType.FILE else None
    aim = target if kind is EntryType.SYMLINK else None
    line = ManifestLine(path, kind, size, mode, mtime, digest, aim, implied and kind is EntryType.DIRECTORY)
    text = pack_line(line)
    assert text.isascii()
    assert text.count(b"\n") == 1
    assert parse_line(text) == line


@given(
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
            lambda value: json.dumps(value).encode()
        ),
    )
)
def test_other_lines_are_damage(text: bytes) -> None:
    with pytest.raises(DamagedArchiveError):
        parse_line(text)


def test_lines_tell_everything_and_the_hash_is_that_of_all_files(tmp_path: Path) -> None:
    sources = [
        file_source("a.txt", b"Hello"),
        Source("d", EntryType.DIRECTORY, 0o040755, TIME + 1, implied=True),
        Source("d/l", EntryType.SYMLINK, 0o120777, TIME + 2, target="../a.txt"),
    ]
    summary = write(tmp_path, "jpa", sources)
    with open_archive(summary.parts[0]) as archive:
        assert archive.has_manifest
        assert list(archive.manifest()) == [
            ManifestLine("a.txt", EntryType.FILE, 5, 0o100644, TIME, blake3(b"Hello").hexdigest()),
            ManifestLine("d", EntryType.DIRECTORY, 0, 0o040755, TIME + 1, implied=True),
            ManifestLine("d/l", EntryType.SYMLINK, 8, 0o120777, TIME + 2, target="../a.txt"),
        ]
        text = b"".join(archive.read(archive.entry("installation/backstay/manifest-0001.jsonl")))
    assert blake3(text).hexdigest() == summary.manifest_hash
    assert all(json.loads(line) for line in text.splitlines())


def test_it_comes_in_files_of_a_megabyte(tmp_path: Path) -> None:
    sources = (file_source(f"{'n' * 150}/{number}", b"") for number in range(12_000))
    summary = write(tmp_path, "jpa", sources)
    with open_archive(summary.parts[0]) as archive:
        pieces = [entry for entry in archive if entry.path.startswith("installation/backstay/manifest-")]
        assert [piece.path for piece in pieces] == [piece_name(number) for number in range(1, len(pieces) + 1)]
        assert len(pieces) > 2
        assert all(piece.size <= PIECE_SIZE for piece in pieces)
        report = archive.verify()
        assert (report.ok, report.manifest_hash) == (True, summary.manifest_hash)
        assert sum(1 for _ in archive.manifest()) == 12_000
    assert summary.entries == 12_000


@pytest.mark.parametrize(
    "fields",
    [
        '"nanoseconds":1000000000', '"nanoseconds":-1', '"nanoseconds":true', '"owner":"4294967295:0::"',
        '"owner":"root"', '"owner":7', '"xattrs":[]', '"xattrs":{"user.a":"?"}', '"xattrs":{"":""}', '"inode":1',
    ],
)  # fmt: skip
def test_attributes_that_make_no_sense_are_damage(fields: str) -> None:
    with pytest.raises(DamagedArchiveError):
        parse_line(f'{{"path":"d","type":"directory","size":0,"mode":"755","mtime":1,{fields}}}'.encode())


def test_attributes_are_read_as_they_were_written() -> None:
    attributes = Attributes(123, "33:4:www-data:adm", (("user.\udcff", b"\0\xff"),), "2049:7")
    line = ManifestLine("f", EntryType.FILE, 1, 0o100644, TIME, "0" * 64, attributes=attributes)
    assert parse_line(pack_line(line)) == line


def test_a_field_of_a_later_version_is_passed_over() -> None:
    line = parse_line(b'{"path":"d","type":"directory","size":0,"mode":"755","mtime":1,"of_tomorrow":[1]}')
    assert line == ManifestLine("d", EntryType.DIRECTORY, 0, 0o755, 1)


LINES = [ManifestLine(f"{number}", EntryType.FILE, 1, 0o100644, TIME, "0" * 64) for number in range(50)]


def test_a_missing_entry_does_not_make_all_others_wrong() -> None:
    cursor = ManifestCursor(LINES)
    taken = [cursor.take(line.path) for line in LINES if line.path not in {"7", "8", "49"}]
    cursor.finish()
    assert None not in taken
    assert cursor.missing == ["7", "8", "49"]


def test_an_entry_too_many_does_not_make_all_others_wrong() -> None:
    cursor = ManifestCursor(LINES)
    assert cursor.take("0") == LINES[0]
    assert cursor.take("extra") is None
    assert [cursor.take(line.path) for line in LINES[1:]] == LINES[1:]
    cursor.finish()
    assert cursor.missing == []


@pytest.mark.parametrize("change", ["line", "end", "cut", "more", "blank"])
def test_a_manifest_that_was_changed_is_not_believed(tmp_path: Path, change: str) -> None:
    summary = write(tmp_path, "jpa", [file_source(f"{number}.txt", b"x") for number in range(20)])
    with open_archive(summary.parts[0]) as archive:
        text = b"".join(archive.read(archive.entry(piece_name(1))))
    lines = text.splitlines(keepends=True)
    changed = {
        "line": text.replace(b'"mtime":17', b'"mtime":16', 1),
        "end": text.replace(b'{"end":21', b'{"end":19'),
        "cut": b"".join(lines[:-1]),
        "more": text + lines[0],
        "blank": b"".join(lines[:3]) + b"\n" + b"".join(lines[3:]),
    }[change]
    assert list(ManifestLines([[text]])) == list(ManifestLines([[text[:99], text[99:]]]))
    with pytest.raises(DamagedArchiveError):
        list(ManifestLines([[changed]]))


def test_a_line_without_an_end_is_not_gathered_for_ever() -> None:
    with pytest.raises(DamagedArchiveError):
        list(ManifestLines([(b"x" * 100_000 for _ in range(1000))]))


@pytest.mark.parametrize("format_name", ["jpa", "zip"])
def test_a_time_that_is_not_the_manifests_is_found(tmp_path: Path, format_name: str) -> None:
    path = write(tmp_path, format_name, [file_source("a.txt", b"x"), file_source("b.txt", b"y")]).parts[0]
    data = path.read_bytes()
    at = data.index(b"a.txt")
    changed = data[:at] + data[at:].replace(TIME.to_bytes(4, "little"), (TIME + 1).to_bytes(4, "little"), 1)
    if format_name == "zip":
        # The time that counts is that of the directory.
        at = changed.rindex(b"a.txt")
        changed = changed[:at] + changed[at:].replace(TIME.to_bytes(4, "little"), (TIME + 1).to_bytes(4, "little"), 1)
    path.write_bytes(changed)
    with open_archive(path) as archive:
        problems = archive.verify().problems
    assert [problem.path for problem in problems] == ["a.txt"]
    assert f"its time is {TIME + 1} where the manifest" in problems[0].message


def test_permissions_that_are_not_the_manifests_are_found(tmp_path: Path) -> None:
    path = write(tmp_path, "jpa", [file_source("a.txt", b"x", mode=0o100600)]).parts[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(0o100600.to_bytes(4, "little"), 0o100666.to_bytes(4, "little"), 1))
    with open_archive(path) as archive:
        problems = archive.verify().problems
    assert [problem.path for problem in problems] == ["a.txt"]
    assert "its permissions are 666 where the manifest" in problems[0].message


def test_times_that_a_format_cannot_hold_are_not_compared(tmp_path: Path) -> None:
    times = [-5, 0, 1 << 33]
    path = write(tmp_path, "jpa", [file_source(f"{time}.txt", b"x", mtime=time) for time in times]).parts[0]
    with open_archive(path) as archive:
        assert archive.verify().ok
        assert [line.mtime for line in archive.manifest()] == times
