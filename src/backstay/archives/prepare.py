"""Making entries ready to be written: all the work that needs no order, done by the pool."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import manifest
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes
from backstay.archives.content import UnreadableError, inflated, original_attributes, read_file
from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.formats import DEFLATED, STORED, Content, FormatWriter, Head, Unit
from backstay.archives.names import path_bytes, why_not_storable
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.archives.codec import Codec
    from backstay.archives.entries import DeflatedFile, Source

IMPLIED_MODE = 0o755
"""The permissions that a directory gets from readers which find no entry for it."""


@dataclass(slots=True)
class PreparedEntry:
    """An entry ready to be written.

    Attributes:
        source: what it was made of.
        head: its header apart from sizes; None if there is no entry, but perhaps a line or a warning.
        content: its sizes.
        units: all bytes of it, the header first.
        line: its line in the manifest.
        warning: the end of a sentence that names it, where something is not as it was or it is left out.
        too_large: it has grown and has to be packed block by block.
    """

    source: Source
    head: Head | None = None
    content: Content = Content(STORED, 0, 0, 0)  # noqa: RUF009 - a tuple never changes
    units: list[Unit] = field(default_factory=list)
    line: bytes = b""
    warning: str | None = None
    too_large: bool = False


class Preparer:
    """Makes entries ready for one archive; safe to use from many threads.

    Args:
        writer: the format.
        codec: the strength of compression.
        store_above: content of more bytes is stored rather than deflated.
    """

    def __init__(self, writer: FormatWriter, codec: Codec, store_above: int) -> None:
        self.format = writer
        self.codec = codec
        self.store_above = store_above

    def batch(self, sources: Sequence[Source]) -> list[PreparedEntry]:
        """Make some entries ready, in order."""
        return [self.prepare(source) for source in sources]

    def prepare(self, source: Source) -> PreparedEntry:
        """Make one entry ready.

        Raises:
            ArchiveError: if a file that was deflated before is not what it should be.
        """
        reason = self.why_not(source)
        if reason:
            return PreparedEntry(source, warning=reason)
        if source.type is not EntryType.FILE:
            return self._link_or_directory(source)
        if source.deflated is not None:
            return self._spool(source, source.deflated)
        if source.data is not None:
            return self.data(source, source.data)
        try:
            return self._read(source)
        except UnreadableError as error:
            return PreparedEntry(source, warning=str(error))

    def _read(self, source: Source) -> PreparedEntry:
        content = read_file(source.file or "", source.size, source.mtime)
        if content is None:
            return PreparedEntry(source, too_large=True)
        attributes = content.attributes if source.original is None else original_attributes(source)[0]
        prepared = self._content(source, content.data, content.mode, content.mtime, attributes)
        prepared.warning = content.warning
        return prepared

    def why_not(self, source: Source) -> str | None:
        """Say why a source cannot be stored at all, None if it can."""
        size = source.deflated.size if source.deflated else source.size
        if self.format.largest is not None and size > self.format.largest:
            return (
                f"has {size} bytes: {self.format.name.upper()} holds files up to {self.format.largest} bytes, "
                "choose another format to back it up"
            )
        if manifest.piece_number(source.path) is not None or source.path == manifest.POINTER:
            return "has the name of the archive's own manifest"
        return why_not_storable(source.path)

    def data(self, source: Source, data: bytes) -> PreparedEntry:
        """Make an entry of content in memory ready."""
        return self._content(source, data, source.mode, source.mtime)

    def _content(
        self, source: Source, data: bytes, mode: int, mtime: int, attributes: Attributes = NO_ATTRIBUTES
    ) -> PreparedEntry:
        size = len(data)
        crc = isal_zlib.crc32(data) if self.format.uses_crc else 0
        if self.format.chunk_size:
            method, pieces = DEFLATED, self._chunks(data, self.format.chunk_size)
        else:
            method, piece = self._deflated_or_stored(data)
            pieces = [piece]
        content = Content(method, size, sum(map(len, pieces)), crc)
        head = Head(path_bytes(source.path), EntryType.FILE, mode, mtime)
        return self._file(source, head, content, pieces, blake3(data).hexdigest(), attributes)

    def _chunks(self, data: bytes, chunk_size: int) -> list[bytes | bytearray]:
        if len(data) <= chunk_size:
            return [self.codec.whole(data)] if data else []
        return [self.codec.whole(data[start : start + chunk_size]) for start in range(0, len(data), chunk_size)]

    def _deflated_or_stored(self, data: bytes) -> tuple[int, bytes | bytearray]:
        if not data:
            empty = self.format.empty_content
            return (DEFLATED if empty else STORED), empty
        smaller = self.codec.smaller(data) if len(data) <= self.store_above else None
        return (STORED, data) if smaller is None else (DEFLATED, smaller)

    def _spool(self, source: Source, spool: DeflatedFile) -> PreparedEntry:
        try:
            if self.format.chunk_size:
                return self.data(source, b"".join(inflated(spool)))
            with open(spool.path, "rb") as file:  # noqa: PTH123 - the path may hold any bytes
                deflated = file.read()
        except OSError as error:
            raise ArchiveError(f"{spool.path} cannot be read: {error.strerror}.") from error
        if len(deflated) != spool.compressed_size:
            raise ArchiveError(f"{spool.path} has {len(deflated)} bytes where {spool.compressed_size} were written.")
        content = Content(DEFLATED, spool.size, spool.compressed_size, spool.crc32)
        head = Head(path_bytes(source.path), EntryType.FILE, source.mode, source.mtime)
        return self._file(source, head, content, [deflated], spool.blake3)

    def _file(
        self,
        source: Source,
        head: Head,
        content: Content,
        pieces: Sequence[bytes | bytearray],
        digest: str,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> PreparedEntry:
        header = self.format.header(head, content, content.size)
        if len(pieces) == 1 and not self.format.chunk_size:
            units = [Unit(header, pieces[0])]
        else:
            units = [Unit(header, b""), *map(self.format.unit, pieces)]
        line = manifest.pack_file_line(source.path, content.size, head.mode, head.mtime, digest, attributes)
        return PreparedEntry(source, head, content, units, line)

    def _link_or_directory(self, source: Source) -> PreparedEntry:
        line, warning = line_of_other(source)
        if line is None:
            return PreparedEntry(source, warning=warning)
        if line.implied:
            return PreparedEntry(source, line=manifest.pack_line(line), warning=warning)
        target = path_bytes(line.target or "")
        crc = zlib.crc32(target) if self.format.uses_crc else 0
        head = Head(path_bytes(source.path), source.type, source.mode, source.mtime)
        content = Content(STORED, len(target), len(target), crc)
        units = [Unit(self.format.header(head, content, len(target)), b"")]
        if target:
            units.append(self.format.unit(target))
        return PreparedEntry(source, head, content, units, manifest.pack_line(line), warning)


def line_of_other(source: Source) -> tuple[ManifestLine | None, str | None]:
    """Give the line of a directory or link, None where it cannot be stored; and a warning, if there is one."""
    target = path_bytes(source.target or "") if source.type is EntryType.SYMLINK else b""
    if source.type is EntryType.SYMLINK and not target:
        return None, "is a link that points to nothing"
    attributes, warning = original_attributes(source) if source.original else (NO_ATTRIBUTES, None)
    implied = source.implied and source.mode & 0o7777 == IMPLIED_MODE
    line = ManifestLine(
        source.path, source.type, len(target), source.mode, source.mtime, None, source.target, implied, attributes,
    )  # fmt: skip
    return line, warning
