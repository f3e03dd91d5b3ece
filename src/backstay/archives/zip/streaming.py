"""A ZIP archive made while it is sent: nothing is written back, and only the central directory is kept, on disk."""

from __future__ import annotations

import tempfile
import zlib
from typing import TYPE_CHECKING

from backstay.archives.entries import EntryType
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.zip.layout import (
    Ending,
    pack_ending,
    pack_streamed_central,
    pack_streamed_local,
    pack_streamed_sizes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEPT = 1 << 20
_BLOCK = 1 << 18


class ZipStream:
    """Makes the bytes of one archive, in order; each entry's must be taken before the next is asked for."""

    def __init__(self) -> None:
        self._directory = tempfile.SpooledTemporaryFile(_KEPT)  # noqa: SIM115 - closed by `finish`, or with this
        self._offset = 0
        self._entries = 0

    def entry(self, head: Head, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes of one entry.

        Args:
            head: its path of at most 65,535 bytes, type, mode and time.
            pieces: its content: a link's target, nothing for a folder.
        """
        method = DEFLATED if head.type is EntryType.FILE else STORED
        start, size, length, crc = self._offset, 0, 0, 0
        yield self._counted(pack_streamed_local(head, method))
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        for piece in pieces:
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            packed = deflate.compress(piece) if method == DEFLATED else piece
            length += len(packed)
            if packed:
                yield self._counted(packed)
        if method == DEFLATED:
            packed = deflate.flush()
            length += len(packed)
            yield self._counted(packed)
        content = Content(method, size, length, crc)
        yield self._counted(pack_streamed_sizes(content))
        self._directory.write(pack_streamed_central(head, content, start))
        self._entries += 1

    def finish(self) -> Iterator[bytes]:
        """Yield the central directory and the end."""
        start, size = self._offset, self._directory.tell()
        with self._directory as directory:
            directory.seek(0)
            while block := directory.read(_BLOCK):
                yield block
        ending = Ending(0, 0, self._entries, size, start, b"")
        yield pack_ending(ending, self._entries, (0, start + size))

    def _counted(self, data: bytes) -> bytes:
        self._offset += len(data)
        return data
