"""Writing JPA 1.3."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, ClassVar

from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import EntryType
from backstay.archives.formats import Content, Head, Totals, Unit
from backstay.archives.jpa.layout import pack_archive_header, pack_entity
from backstay.archives.parts import Position

if TYPE_CHECKING:
    from backstay.archives.parts import PartWriter


class JpaWriter:
    """Writes JPA 1.3 (format notes, section 1)."""

    name: ClassVar[str] = "jpa"
    uses_crc: ClassVar[bool] = False
    chunk_size: int | None = None
    empty_content: ClassVar[bytes] = EMPTY_STREAM
    largest: ClassVar[int | None] = None

    def begin(self, parts: PartWriter) -> None:
        """Write a placeholder of the header; its length depends only on whether there may be parts."""
        parts.write(pack_archive_header(0, 0, 0, 0 if parts.part_size else None))

    def header(self, head: Head, content: Content, largest: int) -> bytes:  # noqa: ARG002 - all sizes are 64 bits here
        """Make an entity block."""
        if head.type is EntryType.SYMLINK and stat.S_ISLNK(head.mode):
            # Extractors apply this field to the path, and so to what a link points to: section 1.4 says that it
            # holds the mode of the target. 0777 of a link itself would open that to everyone.
            head = head._replace(mode=stat.S_IFREG | 0o644)
        return pack_entity(head, content)

    def unit(self, data: bytes | bytearray) -> Unit:
        """Entity data is a plain slice of the stream."""
        return Unit(b"", data)

    def written(self, head: Head, content: Content, largest: int, position: Position) -> None:
        """JPA has no directory at its end."""

    def finish(self, parts: PartWriter, totals: Totals) -> None:
        """Write the header anew with the final counts (section 1.3)."""
        count = parts.part if parts.part_size else None
        parts.patch(Position(1, 0), pack_archive_header(totals.entries, totals.size, totals.compressed_size, count))

    def state(self) -> dict[str, Any]:
        """There is nothing to keep."""
        return {}

    def release(self) -> None:
        """Nothing lies beside the archive."""

    def discard(self) -> None:
        """Nothing lies beside the archive."""
