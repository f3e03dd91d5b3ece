"""Writing ZIP."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, ClassVar

from backstay.archives.entries import EntryType
from backstay.archives.formats import Content, Head, Totals, Unit
from backstay.archives.parts import Position
from backstay.archives.spool import Spool
from backstay.archives.zip.layout import (
    CENTRAL,
    END,
    LOCATOR,
    SHORT,
    SINGLE_MARKER,
    SPLIT_MARKER,
    WIDE_END,
    Ending,
    central_length,
    pack_central,
    pack_ending,
    pack_local,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstay.archives.parts import PartWriter

_BLOCK = 1 << 20


class ZipWriter:
    """Writes ZIP, with Zip64 only where a number asks for it.

    Args:
        spool: where the central directory is kept until the end.
        comment: the archive's comment.
        state: what `state` gave at a checkpoint, None for a new archive.
    """

    name: ClassVar[str] = "zip"
    uses_crc: ClassVar[bool] = True
    chunk_size: int | None = None
    empty_content: ClassVar[bytes] = b""
    largest: ClassVar[int | None] = None

    def __init__(self, spool: Path, comment: str, state: dict[str, Any] | None = None) -> None:
        self._spool = Spool(spool, state["directory"] if state else 0)
        self._comment = comment.encode("utf-8", "replace")[:SHORT]

    def begin(self, parts: PartWriter) -> None:
        """Write the marker of an archive that may have parts (section 3.2)."""
        if parts.part_size:
            parts.write(SPLIT_MARKER)

    def header(self, head: Head, content: Content, largest: int) -> bytes:
        """Make a local header; the mode is in the central directory alone."""
        return pack_local(head, content, largest)

    def unit(self, data: bytes | bytearray) -> Unit:
        """Content is a plain slice of the stream."""
        return Unit(b"", data)

    def written(self, head: Head, content: Content, largest: int, position: Position) -> None:
        """Note the record for the central directory."""
        if head.type is EntryType.SYMLINK and not stat.S_ISLNK(head.mode):
            # Readers recognise a link by this (section 3.1): with the mode of its target it would be a file.
            head = head._replace(mode=stat.S_IFLNK | 0o777)
        self._spool.append(pack_central(head, content, largest, position.part - 1, position.offset))

    def finish(self, parts: PartWriter, totals: Totals) -> None:
        """Write the central directory and the records at the end; no record is cut by the end of a part."""
        start: Position | None = None
        last_part = last_entries = 0
        size = 0
        for count, records in self._records(one_by_one=bool(parts.part_size)):
            parts.reserve(len(records))
            start = start or parts.position
            last_entries = last_entries + count if parts.part == last_part else count
            last_part = parts.part
            parts.write(records)
            size += len(records)
        parts.reserve(WIDE_END.size + LOCATOR.size + END.size + len(self._comment))
        start = start or parts.position
        last_entries = last_entries if parts.part == last_part else 0
        ending = Ending(parts.part - 1, start.part - 1, totals.entries, size, start.offset, self._comment)
        parts.write(pack_ending(ending, last_entries, (parts.part - 1, parts.offset)))
        if parts.part_size and parts.part == 1:
            parts.patch(Position(1, 0), SINGLE_MARKER)

    def _records(self, *, one_by_one: bool) -> Iterator[tuple[int, bytes]]:
        with self._spool.open() as file:
            rest = b""
            while block := file.read(_BLOCK):
                rest += block
                offset = count = 0
                while len(rest) - offset >= CENTRAL.size:
                    length = central_length(rest[offset : offset + CENTRAL.size])
                    if offset + length > len(rest):
                        break
                    if one_by_one:
                        yield 1, rest[offset : offset + length]
                    offset += length
                    count += 1
                if not one_by_one and count:
                    yield count, rest[:offset]
                rest = rest[offset:]

    def state(self) -> dict[str, Any]:
        """Sync the directory and give its length."""
        self._spool.sync()
        return {"directory": self._spool.offset}

    def release(self) -> None:
        """Release the directory."""
        self._spool.close()

    def discard(self) -> None:
        """Delete the directory kept beside the archive."""
        self._spool.remove()
