"""Reading JPA 1.0 to 1.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from backstay.archives.decompress import LONGEST_TARGET, decompressed, decompressed_pieces, stored_pieces
from backstay.archives.entries import Entry, EntryType, Location
from backstay.archives.formats import BZIP2, DEFLATED, STORED
from backstay.archives.jpa.layout import (
    ENTITY_FIXED,
    ENTITY_SIGNATURE,
    SIGNATURE,
    ArchiveHeader,
    EntityBlock,
    parse_archive_header,
    parse_entity,
)
from backstay.archives.last_entry import last_entity
from backstay.archives.part_stream import PartStream, Window
from backstay.errors import DamagedArchiveError, MissingPartError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRAPPER = 131072
"""Self-extracting wrappers put at most this much before the archive (section 1.8)."""

_LOW = 0xFFFFFFFF
_METHODS = {STORED, DEFLATED, BZIP2}


def find_jpa(stream: PartStream) -> int | None:
    """Find where a JPA archive begins in a stream, None where there is none."""
    if stream.read(0, 3) == SIGNATURE:
        return 0
    start = stream.read(0, _WRAPPER)
    offset = start.find(SIGNATURE)
    while offset >= 0:
        # A wrapper may well contain the three letters; a header says that it is of version 1.
        if start[offset + 5 : offset + 6] == b"\x01" and start[offset + 6 : offset + 7] <= b"\x03":
            return offset
        offset = start.find(SIGNATURE, offset + 1)
    return None


class JpaReader:
    """Reads a JPA archive.

    Args:
        stream: the parts.
        start: offset of the signature.

    Raises:
        DamagedArchiveError: if the header is damaged.
        MissingPartError: if there are fewer parts than the header says.
    """

    name: ClassVar[str] = "jpa"
    comment = ""

    def __init__(self, stream: PartStream, start: int = 0) -> None:
        self.stream = stream
        self._start = start
        self.header = self._parse_header()
        parts = self.header.parts
        if parts is not None and parts > len(stream.paths):
            raise MissingPartError(
                f"{self._name} has {parts} parts and {len(stream.paths)} are here: put all of them into one folder."
            )

    @property
    def _name(self) -> str:
        return str(self.stream.paths[-1])

    def _parse_header(self) -> ArchiveHeader:
        try:
            header = parse_archive_header(self.stream.read(self._start, 0xFFFF))
        except DamagedArchiveError as error:
            raise DamagedArchiveError(f"{self._name} is damaged: {error}.") from None
        # Only extras distinguish the versions (section 1.7): 1.0 has none.
        if header.version[0] != 1:
            raise DamagedArchiveError(
                f"{self._name} is of version {header.version[0]}.{header.version[1]}, which is not known."
            )
        return header

    def entries(self) -> Iterator[Entry]:
        """Walk over the entity blocks; see `FormatReader.entries`."""
        window = Window(self.stream)
        offset = self._start + self.header.length
        count = 0
        while offset < self.stream.length:
            entry, offset = self.entry_at(window, offset)
            count += 1
            yield entry
        if count & _LOW != self.header.entries:
            raise DamagedArchiveError(
                f"{self._name} holds {count} entries where its header says {self.header.entries}: it was cut short "
                "or never finished."
            )

    def last_entry(self, path: str) -> Entry | None:
        """Find the last entry from the end; see `FormatReader.last_entry`."""
        return last_entity(self, path, ENTITY_SIGNATURE, self.stream.length)

    def entry_at(self, window: Window, offset: int, end: int | None = None) -> tuple[Entry, int]:
        """Read one entity block; see `FormatReader.entry_at`."""
        length_field = window.exactly(offset, 7)
        length = length_field[3] | length_field[4] << 8
        if length_field[:3] != ENTITY_SIGNATURE:
            raise DamagedArchiveError(
                f"{self._name} is damaged: there is no entry at byte {offset}, where one should be."
            )
        if length < ENTITY_FIXED:
            raise DamagedArchiveError(
                f"{self._name} is damaged: the header of the entry at byte {offset} is too short."
            )
        try:
            block = parse_entity(window.exactly(offset, length))
        except DamagedArchiveError as error:
            if str(error).endswith("."):
                raise
            raise DamagedArchiveError(f"{self._name} is damaged at byte {offset}: {error}.") from None
        start = offset + length
        end = start + block.compressed_size
        if end > self.stream.length:
            raise DamagedArchiveError(f"{self._name} is cut short: it ends in the middle of an entry.")
        unsupported = None if block.method in _METHODS else f"is compressed with the unknown method {block.method}"
        return self._make_entry(block, Location(start, end, block.method, None, unsupported), window), end

    def _make_entry(self, block: EntityBlock, location: Location, window: Window) -> Entry:
        path = block.path.decode("utf-8", "surrogateescape")
        if block.type is not EntryType.FILE:
            # A directory's path ends in a slash, and so does that of a link to a directory (section 1.4).
            path = path.removesuffix("/")
        target = None
        if block.type is EntryType.SYMLINK:
            if block.compressed_size > LONGEST_TARGET:
                raise DamagedArchiveError(f"{self._name} is damaged: a link has a target of {block.size} bytes.")
            raw = window.exactly(location.start, block.compressed_size)
            target = raw.decode("utf-8", "surrogateescape")
        return Entry(path, block.type, block.size, block.compressed_size, block.mode, block.mtime, target, location)

    def wrong_totals(self, size: int, compressed_size: int) -> str | None:
        """Compare with the header's totals; see `FormatReader.wrong_totals`."""
        header = self.header
        mask = (1 << 64) - 1 if header.wide else _LOW
        if (size & mask, compressed_size & mask) == (header.size, header.compressed_size):
            return None
        return f"holds {size} bytes of content, and its header says {header.size}"

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Read an entry's content; see `FormatReader.content`."""
        location = entry.location
        if location is None or entry.type is EntryType.DIRECTORY:
            return iter(())
        pieces = stored_pieces(self.stream, location.start, location.end)
        return decompressed_pieces(location.method, pieces, entry.size)

    def whole(self, entry: Entry, data: bytes) -> bytes:
        """Make a small entry's content; see `FormatReader.whole`."""
        return decompressed(entry.location.method if entry.location else STORED, data, entry.size)
