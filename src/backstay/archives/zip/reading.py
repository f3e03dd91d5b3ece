"""Reading ZIP, by its central directory."""

from __future__ import annotations

import contextlib
import stat
import zlib
from typing import TYPE_CHECKING, ClassVar

from isal import isal_zlib

from backstay.archives.decompress import LONGEST_TARGET, decompressed, decompressed_pieces, stored_pieces
from backstay.archives.entries import Entry, EntryType, Location
from backstay.archives.formats import STORED
from backstay.archives.part_stream import PartStream, Window
from backstay.archives.zip.ending import find_ending
from backstay.archives.zip.layout import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    CentralRecord,
    central_length,
    is_link,
    local_length,
    parse_central,
    parse_local,
)
from backstay.archives.zip.methods import METHODS
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN = -1
_TAIL = 4096


class ZipReader:
    """Reads a ZIP archive.

    Args:
        stream: the parts.

    Raises:
        DamagedArchiveError: if there is no central directory where the end says.
        MissingPartError: if there are fewer parts than the end says.
    """

    name: ClassVar[str] = "zip"

    def __init__(self, stream: PartStream) -> None:
        self.stream = stream
        ending = find_ending(stream)
        self._directory = ending.start
        self._end = ending.end
        self._count = ending.entries
        self._shift = ending.shift
        self.comment = ending.comment.decode("utf-8", "replace")

    @property
    def _name(self) -> str:
        return str(self.stream.paths[-1])

    def entries(self) -> Iterator[Entry]:
        """Walk over the central directory; see `FormatReader.entries`."""
        window, headers = Window(self.stream, 1 << 16), Window(self.stream)
        offset = self._directory
        count = 0
        before = (0, 0)
        while offset < self._end:
            fixed = window.exactly(offset, CENTRAL.size)
            length = central_length(fixed)
            if fixed[:4] != CENTRAL_SIGNATURE or offset + length > self._end:
                raise DamagedArchiveError(f"{self._name} is damaged: its directory has no entry at byte {offset}.")
            try:
                record = parse_central(window.exactly(offset, length))
            except DamagedArchiveError as error:
                raise DamagedArchiveError(f"{self._name} is damaged at byte {offset}: {error}.") from None
            offset += length
            count += 1
            header, start = self._local(record, headers)
            end = start + record.compressed_size
            if end > self._directory or (header < before[1] and end > before[0]):
                # Entries that share their data are how a small file unpacks to a huge one.
                raise DamagedArchiveError(f"{self._name} is damaged: entries overlap at byte {start}.")
            before = (header, end)
            yield self._entry(record, start, end)
        if count & 0xFFFF != self._count & 0xFFFF:
            raise DamagedArchiveError(
                f"{self._name} is damaged: it holds {count} entries, {self._count} were promised."
            )

    def entry_at(self, window: Window, offset: int, end: int | None = None) -> tuple[Entry, int]:  # noqa: ARG002 - the end is in the header
        """Read one local header, which holds neither permissions nor a kind; see `FormatReader.entry_at`.

        Only archives of Backstay's own are read so: their local headers hold all sizes.
        """
        length = local_length(window.exactly(offset, LOCAL.size))
        try:
            header = parse_local(window.exactly(offset, length))
        except DamagedArchiveError as error:
            raise DamagedArchiveError(f"{self._name} is damaged at byte {offset}: {error}.") from None
        start = offset + length
        after = start + header.compressed_size
        if after > self._directory:
            raise DamagedArchiveError(f"{self._name} is damaged: the entry at byte {offset} has no end.")
        return self._entry(header, start, after), after

    def last_entry(self, path: str) -> Entry | None:
        """Find the last entry by the last record of the directory; see `FormatReader.last_entry`."""
        base = max(self._end - _TAIL, self._directory)
        tail = self.stream.read(base, self._end - base)
        found = tail.rfind(CENTRAL_SIGNATURE)
        record = tail[found:]
        if found < 0 or len(record) < CENTRAL.size or central_length(record) != len(record):
            return None
        with contextlib.suppress(DamagedArchiveError):
            parsed = parse_central(record)
            if parsed.path == path:
                _, start = self._local(parsed, Window(self.stream))
                return self._entry(parsed, start, start + parsed.compressed_size)
        return None

    def _local(self, record: CentralRecord, headers: Window) -> tuple[int, int]:
        """Find an entry's local header and the start of its data."""
        starts = self.stream.starts
        # The vendor's writer may name the part before the right one (section 3.2).
        for disk in (record.disk, record.disk + 1):
            if disk >= len(starts):
                break
            offset = starts[disk] + record.offset + self._shift
            if offset + LOCAL.size > self._directory:
                continue
            fixed = headers.exactly(offset, LOCAL.size)
            fields = LOCAL.unpack(fixed)
            if fields[0] != LOCAL_SIGNATURE or fields[9] != len(record.name) or fields[3] != record.method:
                continue
            if headers.exactly(offset + LOCAL.size, fields[9]) == record.name:
                return offset, offset + LOCAL.size + fields[9] + fields[10]
        raise DamagedArchiveError(f"{self._name} is damaged: an entry of its directory is not where it should be.")

    def _entry(self, record: CentralRecord, start: int, end: int) -> Entry:
        location = Location(start, end, METHODS.get(record.method, _UNKNOWN), record.crc, record.unsupported)
        path = record.path.removesuffix("/")
        if is_link(record.mode):
            entry = Entry(
                path, EntryType.SYMLINK, record.size, record.compressed_size, record.mode, record.mtime, None, location
            )
            if max(record.size, record.compressed_size) > LONGEST_TARGET:
                raise DamagedArchiveError(f"{self._name} is damaged: a link has a target of {record.size} bytes.")
            if record.unsupported:
                return entry
            try:
                target = self.whole(entry, self.stream.exactly(start, end - start))
            except DamagedArchiveError as error:
                raise DamagedArchiveError(f"{self._name} is damaged: the target of a link: {error}.") from None
            return Entry(
                path, EntryType.SYMLINK, record.size, record.compressed_size, record.mode, record.mtime,
                target.decode("utf-8", "surrogateescape"), location,
            )  # fmt: skip
        folder = record.path.endswith("/") or (record.mode is not None and stat.S_ISDIR(record.mode))
        kind = EntryType.DIRECTORY if folder else EntryType.FILE
        return Entry(path, kind, record.size, record.compressed_size, record.mode, record.mtime, None, location)

    def wrong_totals(self, size: int, compressed_size: int) -> str | None:  # noqa: ARG002 - ZIP has none to compare
        """ZIP has no totals; see `FormatReader.wrong_totals`."""
        return None

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Read an entry's content; see `FormatReader.content`."""
        location = entry.location
        if location is None or entry.type is EntryType.DIRECTORY:
            return
        pieces = stored_pieces(self.stream, location.start, location.end)
        crc = 0
        for piece in decompressed_pieces(location.method, pieces, entry.size):
            crc = isal_zlib.crc32(piece, crc)
            yield piece
        if crc != location.crc:
            raise DamagedArchiveError("its content does not match its checksum")

    def whole(self, entry: Entry, data: bytes) -> bytes:
        """Make a small entry's content; see `FormatReader.whole`."""
        location = entry.location
        content = decompressed(location.method if location else STORED, data, entry.size)
        if location and zlib.crc32(content) != location.crc:
            raise DamagedArchiveError("its content does not match its checksum")
        return content
