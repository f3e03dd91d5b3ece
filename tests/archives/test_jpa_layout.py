"""Headers of JPA at their edges: sizes of 64 bits, times, extras of every length, and lengths that are not possible."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.archives import EntryType
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.jpa.layout import (
    ENTITY_FIXED,
    ArchiveHeader,
    EntityBlock,
    pack_archive_header,
    pack_entity,
    parse_archive_header,
    parse_entity,
)
from backstay.errors import DamagedArchiveError

BIG = (1 << 33) + 5
TIME = struct.pack("<HHI", 0x0100, 8, 77)
SIZES = struct.pack("<HHQQ", 0x0200, 20, BIG, BIG + 1)


def block(extras: bytes = b"", *, kind: int = 1, path: bytes = b"a.txt", path_length: int | None = None) -> bytes:
    """A block whose low halves of the sizes say 3 and 4."""
    start = struct.pack("<3sHH", b"JPF", 0, len(path) if path_length is None else path_length)
    return start + path + struct.pack("<BBIII", kind, 1, 3, 4, 0o100644) + extras


@pytest.mark.parametrize(
    ("extras", "size", "mtime"),
    [
        (b"", 4, None),
        (SIZES, BIG + 1, None),
        (TIME + SIZES, BIG + 1, 77),
        (SIZES + TIME, BIG + 1, 77),
        (b"\x00\x02\x18\x00" + SIZES[4:] + b"more", BIG + 1, None),
        (b"\x00\x02\x13\x00" + SIZES[4:-1] + TIME, 4, 77),
        (b"\x00\x01\x09\x00" + TIME[4:] + b"x", 4, 77),
        (b"\x00\x01\x07\x00" + TIME[4:-1], 4, None),
        (b"\x99\x09\x04\x00" + TIME, 4, 77),
        (b"\x99\x09\x04\x01" + bytes(256) + TIME, 4, 77),
        (b"\x00\x01\x04\x00" + SIZES, BIG + 1, None),
        (b"\x00\x01", 4, None),
        (TIME + b"\x00\x02\x14", 4, 77),
    ],
)
def test_extras_count_where_they_are_long_enough(extras: bytes, size: int, mtime: int | None) -> None:
    found = parse_entity(block(extras))
    assert (found.size, found.mtime) == (size, mtime)
    assert found.compressed_size == (BIG if size > 4 else 3)
    assert (found.path, found.type, found.method, found.mode) == (b"a.txt", EntryType.FILE, 1, 0o100644)


@pytest.mark.parametrize(
    "damaged",
    [
        block(b"\x00\x01\x03\x00" + TIME[4:]),
        block(b"\x00\x01\x00\x00"),
        block(TIME[:-1]),
        block(SIZES[:-1]),
        block(b"\x99\x09\xff\xff"),
        block(path_length=6),
        block(path_length=0xFFFF),
        block(kind=3),
        block(kind=255),
    ],
)
def test_blocks_that_are_not_possible_are_damage(damaged: bytes) -> None:
    with pytest.raises(DamagedArchiveError):
        parse_entity(damaged)


def test_a_block_may_have_a_path_of_any_length_that_it_holds() -> None:
    assert parse_entity(block(path=b"")).path == b""
    long = parse_entity(block(TIME, path=b"x" * 0x1234))
    assert (long.path, long.mtime) == (b"x" * 0x1234, 77)
    assert len(block()) == ENTITY_FIXED + len(b"a.txt")
    assert [parse_entity(block(kind=kind)).type for kind in (0, 1, 2)] == [
        EntryType.DIRECTORY, EntryType.FILE, EntryType.SYMLINK,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "mtime", "kept"),
    [
        (EntryType.FILE, 1, True),
        (EntryType.FILE, 0xFFFFFFFF, True),
        (EntryType.FILE, 0, False),
        (EntryType.FILE, -1, False),
        (EntryType.FILE, 1 << 32, False),
        (EntryType.DIRECTORY, 1, False),
        (EntryType.SYMLINK, 1, False),
    ],
)
def test_times_are_written_where_the_format_holds_them(kind: EntryType, mtime: int, kept: bool) -> None:
    data = pack_entity(Head(b"p", kind, 0o644, mtime), Content(STORED, 1, 1, 0))
    assert parse_entity(data).mtime == (mtime if kept else None)
    assert len(data) == ENTITY_FIXED + len(parse_entity(data).path) + 20 + (8 if kept else 0)


@given(
    path=st.binary(min_size=1, max_size=300),
    kind=st.sampled_from(EntryType),
    mode=st.integers(0, 0o177777),
    mtime=st.integers(1, 0xFFFFFFFF),
    sizes=st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1)),
)
def test_what_is_packed_is_read(path: bytes, kind: EntryType, mode: int, mtime: int, sizes: tuple[int, int]) -> None:
    data = pack_entity(Head(path, kind, mode, mtime), Content(DEFLATED, *sizes, 0))
    assert int.from_bytes(data[3:5], "little") == len(data)
    shown = path + b"/" if kind is EntryType.DIRECTORY else path
    time = mtime if kind is EntryType.FILE else None
    assert parse_entity(data) == EntityBlock(shown, kind, DEFLATED, *sizes, mode, time)
    low = struct.unpack_from("<BBIII", data, 7 + len(shown))
    assert low[2:4] == (sizes[1] & 0xFFFFFFFF, sizes[0] & 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("parts", "noted", "length"), [(None, None, 41), (1, 1, 49), (0xFFFF, 0xFFFF, 49), (0x10000, 0xFFFF, 49)]
)
def test_a_header_tells_its_totals_and_parts(parts: int | None, noted: int | None, length: int) -> None:
    data = pack_archive_header((1 << 32) + 7, BIG, BIG + 1, parts)
    assert parse_archive_header(data + b"JPF") == ArchiveHeader(length, (1, 3), 7, BIG, BIG + 1, True, noted)
    assert struct.unpack_from("<III", data, 7) == (7, 5, 6)


def header(extras: bytes, length: int | None = None) -> bytes:
    """A header whose fixed part tells of 1 entry of 2 bytes in 3."""
    return struct.pack("<3sHBBIII", b"JPA", 19 + len(extras) if length is None else length, 1, 2, 1, 2, 3) + extras


PARTS, TOTALS = b"JP\x01\x01\x04\x00\x09\x00", b"JP\x01\x02\x12\x00" + struct.pack("<QQ", BIG, BIG + 1)


@pytest.mark.parametrize(
    ("extras", "size", "parts"),
    [
        (b"", 2, None),
        (PARTS, 2, 9),
        (TOTALS, BIG, None),
        (TOTALS + PARTS, BIG, 9),
        (b"JP\x99\x01\x06\x00abcd" + PARTS + TOTALS, BIG, 9),
        (b"JP\x99\x01\x00\x00" + PARTS, 2, 9),
        (b"JP\x99\x01\x02\x00" + PARTS, 2, 9),
        (b"JP\x99\x01\x03\x00a" + PARTS, 2, 9),
        (b"JP\x99\x01\x00\x01" + bytes(254) + TOTALS, BIG, None),
        (b"JP\x99\x01\xff\xff" + PARTS, 2, None),
        (b"JP\x01\x01\x04\x00\x09", 2, None),
    ],
)
def test_blocks_of_a_header_are_found_behind_others(extras: bytes, size: int, parts: int | None) -> None:
    found = parse_archive_header(header(extras))
    assert (found.size, found.parts, found.wide, found.entries, found.version) == (size, parts, size == BIG, 1, (1, 2))
    assert found.compressed_size == (BIG + 1 if size == BIG else 3)


@pytest.mark.parametrize(
    "damaged",
    [
        header(b"")[:18],
        header(b"", 18),
        header(b"", 20),
        header(PARTS, 28),
        header(b"JP\x01\x01\x05\x00\x09\x00\x00"),
        header(b"JP\x01\x01\x03\x00\x09\x00"),
        header(b"JP\x01\x02\x11\x00" + bytes(17)),
        header(TOTALS[:-1]),
        header(b"JP\x01\x02\x13\x00" + bytes(19)),
    ],
)
def test_headers_that_are_not_possible_are_damage(damaged: bytes) -> None:
    with pytest.raises(DamagedArchiveError):
        parse_archive_header(damaged)
