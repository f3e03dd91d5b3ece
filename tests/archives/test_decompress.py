"""Content decompressed piece by piece: every method, every size that is not the promised one, and bombs."""

from __future__ import annotations

import bz2
import functools
import lzma
import zlib
from typing import Any, cast

import pytest

from backstay.archives import decompress
from backstay.archives.decompress import decompressed, decompressed_pieces, stored_pieces
from backstay.archives.formats import BZIP2, DEFLATED, LZMA, STORED, XZ
from backstay.errors import DamagedArchiveError

METHODS = (STORED, DEFLATED, BZIP2, LZMA, XZ)
TEXT = b"".join(b"%d, %d\n" % (number, number * number) for number in range(500))
LARGE = b"".join(b"%d\n" % number for number in range(180_000))


def lzma_of(data: bytes, *, dictionary: int = 1 << 16, told: int | None = None, lc: int = 3, lp: int = 0, pb: int = 2,
            mark: bool = True) -> bytes:  # fmt: skip
    """Compress as ZIP has it; ``told`` is the dictionary in the header."""
    properties = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    stream = lzma.compress(data, lzma.FORMAT_RAW, filters=[properties])
    size = (dictionary if told is None else told).to_bytes(4, "little")
    return b"\x09\x14\x05\x00" + bytes([lc + 9 * (lp + 5 * pb)]) + size + (stream if mark else stream[:-6])


@functools.cache
def packed(method: int, data: bytes) -> bytes:
    """Compress with a method."""
    if method == STORED:
        return data
    if method == DEFLATED:
        return zlib.compress(data, 9, -15)
    if method == LZMA:
        return lzma_of(data)
    return bz2.compress(data) if method == BZIP2 else lzma.compress(data, preset=0)


def in_pieces(data: bytes, length: int) -> list[bytes]:
    return [data[start : start + length] for start in range(0, len(data), length)]


@pytest.mark.parametrize("data", [b"", b"x", TEXT, LARGE], ids=["nothing", "a byte", "text", "megabytes"])
@pytest.mark.parametrize("method", METHODS)
def test_content_comes_back_however_it_arrives(method: int, data: bytes) -> None:
    compressed = packed(method, data)
    assert decompressed(method, compressed, len(data)) == data
    for length in (1, 9, 10, 4096) if len(data) < 10_000 else (70_000,):
        pieces = list(decompressed_pieces(method, in_pieces(compressed, length), len(data)))
        assert b"".join(pieces) == data
        assert max(map(len, pieces), default=0) <= 1 << 20


# LZMA in ZIP ends where its size is reached, whatever follows.
@pytest.mark.parametrize(
    ("method", "wrong"),
    [(method, by) for method in METHODS for by in (-len(TEXT), -1, 1, 1000) if method != LZMA or by > 0],
)
def test_content_of_another_size_is_damage_and_never_more_than_was_promised(method: int, wrong: int) -> None:
    for length in (64, 1 << 20):
        pieces = decompressed_pieces(method, in_pieces(packed(method, TEXT), length), len(TEXT) + wrong)
        given: list[bytes] = []
        with pytest.raises(DamagedArchiveError):
            given.extend(pieces)
        assert sum(map(len, given)) <= len(TEXT) + wrong


@pytest.mark.parametrize("method", [DEFLATED, BZIP2, LZMA, XZ])
def test_what_is_cut_or_garbled_is_damage(method: int) -> None:
    compressed = packed(method, TEXT)
    for damaged in (compressed[:-20], compressed[: len(compressed) // 2], compressed[:3], b"", b"\xff" * 100,
                    compressed[:60] + bytes(200)):  # fmt: skip
        with pytest.raises(DamagedArchiveError):
            decompressed(method, damaged, len(TEXT))


@pytest.mark.parametrize("method", [BZIP2, XZ])
def test_the_check_at_the_end_of_a_stream_is_waited_for(method: int) -> None:
    compressed = packed(method, TEXT)
    with pytest.raises(DamagedArchiveError):
        decompressed(method, compressed[:-2], len(TEXT))
    assert decompressed(method, compressed + b"behind it", len(TEXT)) == TEXT


def test_lzma_needs_no_mark_at_its_end() -> None:
    for compressed in (lzma_of(TEXT, mark=False), lzma_of(TEXT) + b"behind it"):
        for length in (5, 1 << 20):
            assert b"".join(decompressed_pieces(LZMA, in_pieces(compressed, length), len(TEXT))) == TEXT


def test_lzma_ends_where_its_size_is_reached() -> None:
    size = (1 << 20) + 5
    assert decompressed(LZMA, packed(LZMA, LARGE), size) == LARGE[:size]


@pytest.mark.parametrize("method", [LZMA, XZ])
def test_a_few_bytes_may_become_megabytes_again_and_again(method: int) -> None:
    content = bytes(6 << 20)
    pieces = list(decompressed_pieces(method, in_pieces(packed(method, content), 300), len(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1 << 20


def test_xz_is_no_other_format_of_its_library() -> None:
    with pytest.raises(DamagedArchiveError):
        decompressed(XZ, lzma.compress(TEXT, lzma.FORMAT_ALONE), len(TEXT))


@pytest.mark.parametrize(
    "options",
    [
        {"lc": 0, "lp": 2, "pb": 0},
        {"lc": 4, "lp": 0, "pb": 4},
        {"lc": 1, "lp": 3, "pb": 1},
        {"lc": 0, "lp": 0, "pb": 1},
        {"dictionary": 4096, "told": 0},
        {"dictionary": 4096, "told": 4095},
        {"told": 0xFFFFFFFF},
    ],
)
def test_the_properties_of_lzma_are_read(options: dict[str, Any]) -> None:
    assert decompressed(LZMA, lzma_of(TEXT, **options), len(TEXT)) == TEXT


@pytest.mark.parametrize(
    "head",
    [
        b"\x09\x14\x05\x00\xe1\0\0\1\0",
        b"\x09\x14\x05\x00\xff\0\0\1\0",
        b"\x09\x14\x05\x00\xe0\0\0\1\0",
        b"\x09\x14\x04\x00\x5d\0\0\1\0",
        b"\x09\x14\x05\x01\x5d\0\0\1\0",
    ],
)
def test_properties_that_are_not_possible_are_damage(head: bytes) -> None:
    with pytest.raises(DamagedArchiveError, match="its compressed data is damaged"):
        decompressed(LZMA, head + lzma_of(TEXT)[9:], len(TEXT))


def test_memory_is_held_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 1 << 21
    monkeypatch.setattr(decompress, "_MOST_MEMORY", limit)
    content = b"x" * (limit + 1)
    assert decompressed(LZMA, lzma_of(content[:-1], told=0xFFFFFFFF), limit) == content[:-1]
    assert decompressed(LZMA, lzma_of(content, told=limit), limit + 1) == content
    with pytest.raises(DamagedArchiveError, match=f"takes {limit + 1} bytes of memory"):
        decompressed(LZMA, lzma_of(content, told=0xFFFFFFFF), limit + 1)
    assert decompressed(XZ, lzma.compress(TEXT, preset=0), len(TEXT)) == TEXT
    with pytest.raises(DamagedArchiveError):
        decompressed(XZ, lzma.compress(TEXT, preset=9), len(TEXT))


def test_an_unknown_method_is_told() -> None:
    with pytest.raises(DamagedArchiveError, match="unknown method 98"):
        decompressed(98, b"x", 1)


def test_stored_content_is_read_in_pieces_of_a_megabyte() -> None:
    asked: list[tuple[int, int]] = []

    class Stream:
        def exactly(self, offset: int, size: int) -> bytes:
            asked.append((offset, size))
            return b"x" * size

    stream = cast("Any", Stream())
    mebi = 1 << 20
    assert sum(map(len, stored_pieces(stream, 5, 5 + 2 * mebi + 3))) == 2 * mebi + 3
    assert asked == [(5, mebi), (5 + mebi, mebi), (5 + 2 * mebi, 3)]
    assert list(stored_pieces(stream, 7, 7)) == []
