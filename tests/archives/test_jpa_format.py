"""JPA as bytes: the worked examples of the format notes, read and made."""

from __future__ import annotations

import bz2
import hashlib
import struct
from pathlib import Path

import pytest

from archives import examples
from archives.trees import TIME, file_source, write
from backstay.archives import Entry, EntryType, open_archive
from backstay.archives.formats import BZIP2, DEFLATED, STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header, pack_entity
from backstay.errors import DamagedArchiveError, MissingPartError

HELLO = b"Hello, world!\n"
DEFLATED_HELLO = bytes.fromhex("f348cdc9c9d75128cf2fca4951e40200")
FILE = EntryType.FILE


def listing(path: Path) -> list[Entry]:
    with open_archive(path) as archive:
        return list(archive)


def content(path: Path, name: str) -> bytes:
    with open_archive(path) as archive:
        return b"".join(archive.read(archive.entry(name)))


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (examples.JPA_12, "dfc2e77450fc3b5c266df2bca84bfd0789b2dc5f2ee2d306886ccb585a1b73e5"),
        (examples.JPA_13, "1fad4f7d1c21bed2709ab9e4bcccf753b3489a49fa15c13be5d29160d0704171"),
        (examples.JPA_13_SPLIT, "97878fe238ca5c0546b41319f5b9ff36d337163673b6ac1bc3cb89863204c3be"),
    ],
)
def test_examples_of_one_file_are_read(tmp_path: Path, data: bytes, digest: str) -> None:
    assert hashlib.sha256(data).hexdigest() == digest
    path = tmp_path / "a.jpa"
    path.write_bytes(data)
    assert listing(path) == [Entry("a.txt", FILE, 14, 16, 0o100644, TIME)]
    assert content(path, "a.txt") == HELLO
    with open_archive(path) as archive:
        assert archive.verify().ok


def entity_1_0(path: bytes, kind: int, data: bytes, *, method: int = 0, size: int | None = None, mode: int) -> bytes:
    """Make an entity block without extras, with its data (format notes, sections 1.4 and 1.7)."""
    length = 21 + len(path)
    numbers = struct.pack("<BBIII", kind, method, len(data), len(data) if size is None else size, mode)
    return b"JPF" + struct.pack("<HH", length, len(path)) + path + numbers + data


def jpa_1_0(*entities: bytes) -> bytes:
    """Make an archive of version 1.0: its header has 19 bytes."""
    return b"JPA" + struct.pack("<HBBIII", 19, 1, 0, len(entities), 0, 0) + b"".join(entities)


def test_an_archive_of_1_0_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpa"
    path.write_bytes(
        jpa_1_0(
            entity_1_0(b"installation/", 0, b"", mode=0o40755),
            entity_1_0(b"installation/index.php", 1, DEFLATED_HELLO, method=1, size=14, mode=0o644),
            entity_1_0(b"installation/logo.png", 1, HELLO, mode=0o100640),
            entity_1_0(b"installation/link", 2, b"logo.png", mode=0o100644),
        )
    )
    assert listing(path) == [
        Entry("installation", EntryType.DIRECTORY, 0, 0, 0o40755, None),
        Entry("installation/index.php", FILE, 14, 16, 0o644, None),
        Entry("installation/logo.png", FILE, 14, 14, 0o100640, None),
        Entry("installation/link", EntryType.SYMLINK, 8, 8, 0o100644, None, "logo.png"),
    ]
    assert content(path, "installation/index.php") == content(path, "installation/logo.png") == HELLO
    with open_archive(path) as archive:
        archive.extract(tmp_path / "out")
    assert (tmp_path / "out/installation/index.php").read_bytes() == HELLO


def test_an_archive_of_another_major_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpa"
    path.write_bytes(b"JPA\x13\x00\x02" + jpa_1_0()[6:])
    with pytest.raises(DamagedArchiveError, match=r"version 2\.0"):
        open_archive(path)


def test_the_example_of_all_kinds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpa"
    path.write_bytes(examples.JPA_13_KINDS)
    assert listing(path) == [
        Entry("empty", EntryType.DIRECTORY, 0, 0, 0o040755, None),
        Entry("z", FILE, 0, 2, 0o100644, TIME),
        Entry("l", EntryType.SYMLINK, 5, 5, 0o100644, None, "a.txt"),
    ]
    with open_archive(path) as archive:
        archive.extract(tmp_path / "out")
    assert (tmp_path / "out/l").readlink() == Path("a.txt")
    assert (tmp_path / "out/z").read_bytes() == b""
    with open_archive(path) as archive:
        # The example's header says one byte more than there is; the vendor's extractor takes it.
        assert [problem.path for problem in archive.verify().problems] == [None]


def test_the_example_in_two_parts_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.j01").write_bytes(examples.JPA_PART_1)
    (tmp_path / "b.jpa").write_bytes(examples.JPA_PART_2)
    for name in ("b.jpa", "b.j01"):
        assert content(tmp_path / name, "b.bin") == b"0123456789" * 3
    (tmp_path / "b.jpa").unlink()
    with pytest.raises(MissingPartError, match=r"b\.j01"):
        open_archive(tmp_path / "b.j01")


def test_the_examples_of_1_3_are_what_is_written() -> None:
    file = pack_entity(Head(b"a.txt", FILE, 0o100644, TIME), Content(DEFLATED, 14, 16, 0)) + DEFLATED_HELLO
    assert pack_archive_header(1, 14, 16, None) + file == examples.JPA_13
    assert pack_archive_header(1, 14, 16, 1) + file == examples.JPA_13_SPLIT
    kinds = [
        pack_entity(Head(b"empty", EntryType.DIRECTORY, 0o040755, TIME), Content(STORED, 0, 0, 0)),
        pack_entity(Head(b"z", FILE, 0o100644, TIME), Content(DEFLATED, 0, 2, 0)) + b"\x03\x00",
        pack_entity(Head(b"l", EntryType.SYMLINK, 0o100644, TIME), Content(STORED, 5, 5, 0)) + b"a.txt",
    ]
    assert pack_archive_header(3, 6 - 1, 7, None)[:11] == examples.JPA_13_KINDS[:11]
    assert b"".join(kinds) == examples.JPA_13_KINDS[41:]


def test_an_archive_that_is_written_begins_as_the_notes_say(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", "jpa", [file_source("z", b"")]).parts[0].read_bytes()
    assert whole[3:5] == b"\x29\x00"
    assert whole[41:93] == examples.JPA_13_KINDS[examples.JPA_13_KINDS.index(b"JPF2") :][:52]
    split = write(tmp_path / "split", "jpa", [], part_size=65536).parts[0].read_bytes()
    assert split[:7] == examples.JPA_13_SPLIT[:7]
    assert split[19:27] == bytes.fromhex("4a50010104000100")


def test_parts_are_named_and_filled_as_the_notes_say(tmp_path: Path) -> None:
    data = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(220_000))
    summary = write(tmp_path, "jpa", [file_source("data.bin", data)], part_size=65536)
    names = [part.name for part in summary.parts]
    assert names[:3] == ["a.j01", "a.j02", "a.j03"]
    assert names[98:101] == ["a.j99", "a.j100", "a.j101"]
    assert names[-1] == "a.jpa"
    assert {part.stat().st_size for part in summary.parts[:-2]} == {65536}
    assert content(summary.parts[-1], "data.bin") == data


def test_a_header_is_never_cut_by_the_end_of_a_part(tmp_path: Path) -> None:
    sources = [file_source(f"{'n' * 4000}{number}", b"x") for number in range(60)]
    summary = write(tmp_path, "jpa", sources, part_size=65536)
    assert len(summary.parts) > 3
    for part in summary.parts[1:]:
        assert part.read_bytes()[:3] == b"JPF"


def test_an_archive_behind_a_program_is_found(tmp_path: Path) -> None:
    path = tmp_path / "kickstart.jpa"
    path.write_bytes(b"<?php /* unpacks JPA archives */ ?>\n" * 900 + examples.JPA_13)
    assert content(path, "a.txt") == HELLO


def test_unknown_extras_of_header_and_entries_are_passed_over(tmp_path: Path) -> None:
    block = pack_entity(Head(b"a.txt", FILE, 0o100644, TIME), Content(DEFLATED, 14, 16, 0))
    odd = block[:3] + (len(block) + 6).to_bytes(2, "little") + block[5:] + b"\x77\x77\x06\x00ab"
    header = pack_archive_header(1, 14, 16, None)
    longer = header[:3] + (len(header) + 10).to_bytes(2, "little") + header[5:] + b"JP\x99\x99\x06\x00abcd"
    path = tmp_path / "a.jpa"
    path.write_bytes(longer + odd + DEFLATED_HELLO)
    assert content(path, "a.txt") == HELLO


def test_a_link_to_a_folder_loses_the_slash_of_the_vendors_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.jpa"
    link = pack_entity(Head(b"l/", EntryType.SYMLINK, 0o040755, 0), Content(STORED, 3, 3, 0)) + b"dir"
    path.write_bytes(pack_archive_header(1, 3, 3, None) + link)
    assert [(entry.path, entry.target) for entry in listing(path)] == [("l", "dir")]


def test_bzip2_is_read(tmp_path: Path) -> None:
    packed = bz2.compress(HELLO * 1000)
    block = pack_entity(Head(b"a.txt", FILE, 0o100644, TIME), Content(BZIP2, len(HELLO) * 1000, len(packed), 0))
    path = tmp_path / "a.jpa"
    path.write_bytes(pack_archive_header(1, len(HELLO) * 1000, len(packed), None) + block + packed)
    with open_archive(path) as archive:
        assert archive.verify().ok
        assert b"".join(archive.read(archive.entry("a.txt"))) == HELLO * 1000


def test_an_archive_cut_between_two_entries_is_noticed(tmp_path: Path) -> None:
    block = pack_entity(Head(b"a.txt", FILE, 0o100644, TIME), Content(DEFLATED, 14, 16, 0)) + DEFLATED_HELLO
    path = tmp_path / "a.jpa"
    path.write_bytes(pack_archive_header(2, 28, 32, None) + block)
    with pytest.raises(DamagedArchiveError, match="cut short"):
        listing(path)
    with open_archive(path) as archive:
        assert not archive.verify().ok
        with pytest.raises(DamagedArchiveError):
            archive.extract(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_parts_are_named(tmp_path: Path) -> None:
    data = hashlib.sha256(b"seed").digest() * 20_000
    summary = write(tmp_path, "jpa", [file_source("data.bin", data)], part_size=65536, store_above=0)
    summary.parts[2].unlink()
    with pytest.raises(MissingPartError, match=r"a\.j03"):
        open_archive(summary.parts[-1])
    for part in summary.parts[3:-1]:
        part.unlink()
    with pytest.raises(MissingPartError, match="parts"):
        open_archive(summary.parts[-1])
