"""Raw deflate (RFC 1951), whole and in blocks, and the way back with the sizes held to what was promised.

Whole pieces go through libdeflate, which is twice as fast as zlib at the same size but cannot stream. Blocks of large
files end in a full flush: each is independent of the others, so that they are deflated in parallel and writing can
stop and go on between any two of them.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import deflate
from isal import isal_zlib
from zlib_ng import zlib_ng

from backstay.archives.entries import Compression
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHOLE_LIMIT = 4 << 20
"""Content up to this size is deflated in one piece, in bytes."""

BLOCK_SIZE = 1 << 20
"""Larger content is cut into blocks of this many bytes."""

EMPTY_STREAM = b"\x03\x00"
"""The shortest raw deflate stream: one empty final block. It also ends a stream of blocks."""

_SAMPLE = 4096
_TRIAL_FROM = 32768
_STORED_PIECE = 65535
_LARGEST_RATIO = 1032


class Codec:
    """Deflates at one of the three strengths; safe to use from many threads.

    Args:
        compression: the strength.
    """

    def __init__(self, compression: Compression) -> None:
        self.compression = compression
        # libdeflate's level 4 is half as fast again as its level 6, and within 2 % of the size of zlib's level 6.
        self._whole_level = {Compression.FAST: 1, Compression.BALANCED: 4, Compression.SMALL: 9}[compression]
        self._block_level = {Compression.FAST: 1, Compression.BALANCED: 5, Compression.SMALL: 9}[compression]

    def smaller(self, data: bytes) -> bytes | bytearray | None:
        """Deflate a whole piece.

        Returns:
            A complete stream, or None where it would not be smaller than the data.
        """
        size = len(data)
        if self.compression is Compression.FAST:
            result: bytes | bytearray = isal_zlib.compress(data, 1, -15)
        elif size >= _TRIAL_FROM and not self.shrinks(data):
            return None
        else:
            result = deflate.deflate_compress(data, self._whole_level)
        return result if len(result) < size else None

    def whole(self, data: bytes) -> bytes | bytearray:
        """Deflate a whole piece into a complete stream, even where that is longer than the data."""
        return self.smaller(data) or (stored_blocks(data, final=True) if data else EMPTY_STREAM)

    def block(self, data: bytes) -> bytes:
        """Deflate one block of a longer stream; it ends at a byte border and refers to nothing before it."""
        # The fastest coder is the trial itself.
        if self.compression is Compression.FAST or self.shrinks(data):
            if self.compression is Compression.FAST:
                fast = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
                result = fast.compress(data) + fast.flush(isal_zlib.Z_FULL_FLUSH)
            else:
                strong = zlib_ng.compressobj(self._block_level, zlib_ng.DEFLATED, -15)
                result = strong.compress(data) + strong.flush(zlib_ng.Z_FULL_FLUSH)
            if len(result) < len(data):
                return result
        return stored_blocks(data, final=False)

    @staticmethod
    def shrinks(data: bytes) -> bool:
        """Find out by trial whether data can be deflated at all.

        Samples answer for most content; only where they do not shrink is everything tried, with the fastest coder.
        """
        size = len(data)
        if size > 8 * _SAMPLE:
            middle = size // 2
            sample = data[:_SAMPLE] + data[middle : middle + _SAMPLE] + data[-_SAMPLE:]
            if len(isal_zlib.compress(sample, 1, -15)) < len(sample) * 0.95:
                return True
        return len(isal_zlib.compress(data, 1, -15)) < size


def stored_blocks(data: bytes, *, final: bool) -> bytes:
    """Wrap data into stored deflate blocks (RFC 1951, section 3.2.4), beginning and ending at byte borders."""
    pieces = []
    for start in range(0, len(data), _STORED_PIECE):
        piece = data[start : start + _STORED_PIECE]
        last = final and start + _STORED_PIECE >= len(data)
        length = len(piece)
        pieces.append(bytes([last]) + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little"))
        pieces.append(piece)
    return b"".join(pieces)


def stored_size(size: int) -> int:
    """Give how many bytes `Codec.whole` makes at most of so many bytes of content."""
    return max(size + 5 * -(-size // _STORED_PIECE), len(EMPTY_STREAM))


def inflate_whole(data: bytes, size: int) -> bytes:
    """Inflate a complete stream whose content has a known size.

    Args:
        data: the stream.
        size: bytes of the content, trusted no further than as a bound; not more than a few megabytes.

    Raises:
        DamagedArchiveError: if the stream is damaged, or its content has another size.
    """
    if data == EMPTY_STREAM and not size:
        return b""
    try:
        # libdeflate takes no empty buffer: one byte more also shows content that is longer than promised.
        content = bytes(deflate.deflate_decompress(data, size + 1))
    except deflate.DeflateError as error:
        raise DamagedArchiveError("its compressed data is damaged") from error
    if len(content) != size:
        raise DamagedArchiveError(f"it holds {len(content)} bytes where {size} were promised")
    return content


def inflate_pieces(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Inflate a stream piece by piece, never holding more than a block of the content.

    Args:
        pieces: the stream in pieces of any length.
        size: bytes of the content.

    Raises:
        DamagedArchiveError: if the stream is damaged or cut short, or its content has another size; what was yielded
            until then is not more than ``size`` bytes.
    """
    done = 0
    for content in _inflate(pieces, size):
        done += len(content)
        yield content
    if done != size:
        raise DamagedArchiveError(f"it holds {done} bytes where {size} were promised")


def inflate_chunk(data: bytes, most: int) -> Iterator[bytes]:
    """Inflate a complete stream whose content has not more than so many bytes; see `inflate_pieces`."""
    return _inflate((data,), most)


def _inflate(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-15)
    done = 0
    for piece in pieces:
        rest = piece
        while not inflater.eof:
            try:
                content = inflater.decompress(rest, BLOCK_SIZE)
            except zlib.error as error:
                raise DamagedArchiveError("its compressed data is damaged") from error
            done += len(content)
            if done > most:
                raise DamagedArchiveError(f"it holds more than the {most} bytes that were promised")
            if content:
                yield content
            rest = inflater.unconsumed_tail
            if not rest and len(content) < BLOCK_SIZE:
                break
        if inflater.eof:
            return
    raise DamagedArchiveError("its compressed data is cut short")


def possible(size: int, compressed_size: int) -> bool:
    """Say whether deflate can make ``size`` bytes of ``compressed_size`` bytes at all."""
    return size <= compressed_size * _LARGEST_RATIO + 258
