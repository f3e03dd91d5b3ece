"""Content as it lies in an archive, made plain; bzip2 too, which JPA defines and nobody writes."""

from __future__ import annotations

import bz2
import contextlib
from typing import TYPE_CHECKING

from backstay.archives import codec
from backstay.archives.formats import BZIP2, DEFLATED, STORED
from backstay.archives.part_stream import Window
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backstay.archives.entries import Entry
    from backstay.archives.formats import FormatReader
    from backstay.archives.part_stream import PartStream

LONGEST_TARGET = 65535
"""Bytes of the longest link target that is read; no system has longer ones."""

_PIECE = 1 << 20
_TAIL = 4096


def stored_pieces(stream: PartStream, start: int, end: int) -> Iterator[bytes]:
    """Read a range of a stream in pieces of a megabyte.

    Raises:
        DamagedArchiveError: if the stream ends before the range.
    """
    for offset in range(start, end, _PIECE):
        yield stream.exactly(offset, min(_PIECE, end - offset))


def last_entity(reader: FormatReader, path: str, signature: bytes, end: int) -> Entry | None:
    """Find the last entry of a format that has no directory; see `FormatReader.last_entry`.

    Args:
        reader: of the archive.
        path: of the entry.
        signature: that every entry's header begins with.
        end: of the last entry, in the stream.
    """
    base = max(end - _TAIL, 0)
    tail = reader.stream.read(base, end - base)
    window = Window(reader.stream, start=base, data=tail)
    found = tail.rfind(signature)
    while found >= 0:
        # Anything may look like the signature.
        with contextlib.suppress(DamagedArchiveError):
            entry, entry_end = reader.entry_at(window, base + found)
            if entry.path == path and entry_end == end:
                return entry
        found = tail.rfind(signature, 0, found)
    return None


def bunzip_pieces(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Decompress bzip2 piece by piece; see `codec.inflate_pieces`."""
    decompressor = bz2.BZ2Decompressor()
    done = 0
    for piece in pieces:
        rest = piece
        while not decompressor.eof:
            try:
                content = decompressor.decompress(rest, _PIECE)
            except OSError as error:
                raise DamagedArchiveError("its compressed data is damaged") from error
            rest = b""
            done += len(content)
            if done > size:
                raise DamagedArchiveError(f"it holds more than the {size} bytes that were promised")
            if content:
                yield content
            if decompressor.needs_input:
                break
    if done != size or not decompressor.eof:
        raise DamagedArchiveError(f"it holds {done} bytes where {size} were promised")


def plain(method: int, data: bytes, size: int) -> bytes:
    """Make the content of a small entry from its bytes in the archive.

    Args:
        method: how it is stored, in JPA's numbers.
        data: the bytes.
        size: bytes of the content.

    Raises:
        DamagedArchiveError: if that cannot be; the message is the end of a sentence.
    """
    if method == DEFLATED:
        return codec.inflate_whole(data, size)
    if method == BZIP2:
        try:
            data = bz2.BZ2Decompressor().decompress(data, size + 1)
        except OSError as error:
            raise DamagedArchiveError("its compressed data is damaged") from error
    elif method != STORED:
        raise DamagedArchiveError("it is encrypted or compressed in a way that is not known")
    if len(data) != size:
        raise DamagedArchiveError(f"it holds {len(data)} bytes where {size} were promised")
    return data
