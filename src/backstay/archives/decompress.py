"""Content as it lies in an archive, decompressed, with its size held to what the header says."""

from __future__ import annotations

import bz2
import lzma
from typing import TYPE_CHECKING, Protocol

from backstay.archives import codec
from backstay.archives.formats import BZIP2, DEFLATED, LZMA, STORED, XZ
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backstay.archives.part_stream import PartStream

LONGEST_TARGET = 65535
"""Bytes of the longest link target that is read; no system has longer ones."""

_PIECE = 1 << 20
_MOST_MEMORY = 256 << 20
"""Bytes of memory that LZMA may take: its own header asks for up to 4 GiB. Common programs use 64 MiB at most."""

_LZMA_HEAD = 9
_SMALLEST_DICTIONARY = 4096


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def stored_pieces(stream: PartStream, start: int, end: int) -> Iterator[bytes]:
    """Read a range of a stream in pieces of a megabyte.

    Raises:
        DamagedArchiveError: if the stream ends before the range.
    """
    for offset in range(start, end, _PIECE):
        yield stream.exactly(offset, min(_PIECE, end - offset))


def decompressed_pieces(method: int, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Decompress content piece by piece, never holding more than a megabyte or so of it.

    Args:
        method: how it is compressed; see `Location.method`.
        pieces: it, in pieces of any length.
        size: bytes of the content.

    Raises:
        DamagedArchiveError: if it is damaged or cut short, or the content has another size; what was yielded until then
            is not more than ``size`` bytes. The message is the end of a sentence.
    """
    if method == STORED:
        return _of_size(pieces, size)
    if method == DEFLATED:
        return codec.inflate_pieces(pieces, size)
    return _decompressed(method, pieces, size)


def decompressed(method: int, data: bytes, size: int) -> bytes:
    """Decompress small content in one piece; see `decompressed_pieces`."""
    if method == DEFLATED:
        return codec.inflate_whole(data, size)
    return b"".join(decompressed_pieces(method, (data,), size))


def _of_size(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        if done > size:
            break
        yield piece
    if done != size:
        raise DamagedArchiveError(f"it holds {'more' if done > size else done} bytes where {size} were promised")


def _decompressed(method: int, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    # LZMA as ZIP holds it may have no mark at its end: it ends where its size is reached.
    marked = method != LZMA
    done = 0
    try:
        decompressor = _decompressor(method, size)
        for piece in pieces:
            rest = piece
            while not decompressor.eof and (marked or done < size):
                content = decompressor.decompress(rest, min(_PIECE, size - done + marked))
                rest = b""
                done += len(content)
                if done > size:
                    raise DamagedArchiveError(f"it holds more than the {size} bytes that were promised")
                if content:
                    yield content
                if decompressor.needs_input:
                    break
    except (OSError, lzma.LZMAError) as error:
        raise DamagedArchiveError("its compressed data is damaged") from error
    if done != size or (marked and not decompressor.eof):
        raise DamagedArchiveError(f"it holds {done} bytes where {size} were promised")


def _decompressor(method: int, size: int) -> _Decompressor:
    if method == BZIP2:
        return bz2.BZ2Decompressor()
    if method == LZMA:
        return _LzmaDecompressor(size)
    if method == XZ:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    raise DamagedArchiveError(f"it is compressed with the unknown method {method}")


class _LzmaDecompressor:
    """Decompresses method 14 of ZIP: four bytes, five of LZMA's properties, and the stream (APPNOTE, section 5.8)."""

    def __init__(self, size: int) -> None:
        self.eof = False
        self.needs_input = True
        self._size = size
        self._head = b""
        self._stream: lzma.LZMADecompressor | None = None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._stream is None:
            self._head += data
            if len(self._head) < _LZMA_HEAD:
                return b""
            data = self._head[_LZMA_HEAD:]
            self._stream = self._open(self._head[:_LZMA_HEAD])
        content = self._stream.decompress(data, max_length)
        self.eof, self.needs_input = self._stream.eof, self._stream.needs_input
        return content

    def _open(self, head: bytes) -> lzma.LZMADecompressor:
        code, dictionary = head[4], int.from_bytes(head[5:9], "little")
        if head[2:4] != b"\x05\x00":
            raise DamagedArchiveError("its compressed data is damaged")
        # What is decompressed never refers to what lies before its beginning.
        dictionary = max(min(dictionary, self._size), _SMALLEST_DICTIONARY)
        if dictionary > _MOST_MEMORY:
            raise DamagedArchiveError(f"it takes {dictionary} bytes of memory to decompress, more than {_MOST_MEMORY}")
        properties = {"lc": code % 9, "lp": code // 9 % 5, "pb": code // 45, "dict_size": dictionary}
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **properties}])
