"""Where each byte lies in the archive as which a snapshot is handed out: sums over its lines, without any content.

The archive is what the ordinary writer makes of the same entries, with three differences: content is one deflate stream
made of the chunks as they are, or stored where it is large; the manifest is stored; and its own files have the time of
the snapshot. So the same snapshot gives the same bytes every time.
"""

from __future__ import annotations

import bisect
import stat
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import manifest
from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.names import path_bytes
from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.archives.writer import STORE_ABOVE
from backstay.archives.zip.layout import (
    END,
    LOCATOR,
    SHORT,
    SINGLE_MARKER,
    SPLIT_MARKER,
    WIDE_END,
    Ending,
    pack_central,
    pack_ending,
    pack_local,
)
from backstay.errors import DamagedRepositoryError, UsageError
from backstay.repository.layout import ChunkRef, Snapshot
from backstay.repository.lines import Brief, Line, brief_of, lines_of, segments
from backstay.repository.opened import Repository

FORMATS = ("jpa", "zip")
NOWHERE = (1 << 64) - 1


class Form(NamedTuple):
    """As what a snapshot is handed out.

    Attributes:
        format: ``jpa`` or ``zip``.
        part_size: bytes of a part, 0 for a single file.
        comment: of a ZIP archive.
    """

    format: str
    part_size: int = 0
    comment: str = ""


class Piece(NamedTuple):
    """A file of the archive's manifest.

    Attributes:
        at: offset of its header in the stream of all parts.
        segment: number of the chunk of lines in which it begins.
        line: number of its first line there.
        lines: how many lines it has.
        size: its bytes, those behind its lines among them.
        crc: CRC-32 of it.
    """

    at: int
    segment: int
    line: int
    lines: int
    size: int
    crc: int


@dataclass(slots=True)
class ArchiveLayout:
    """Where everything lies, in offsets of the stream of all parts.

    Attributes:
        form: what it is the layout of.
        segments: the chunks with the lines.
        starts: where the entries of each of them begin.
        headers: where the header of each line's entry lies, `NOWHERE` where it has none.
        first_lines: number of the first line of each chunk of lines.
        pieces: the files of the manifest.
        tail: the last lines of the manifest, behind those of the entries.
        pointer: the file that says where the manifest lies.
        pointer_at: where its header is.
        records: where the records of ZIP's central directory for each chunk of lines begin; empty for JPA.
        own_records: those of the archive's own files.
        own_records_at: where they begin.
        beginning: what stands before the first entry.
        ending: what stands behind everything else.
        ending_at: where it begins.
        parts: where each part begins.
        length: bytes of all parts.
        entries: number of all entries.
        mtime: time of the archive's own files.
    """

    form: Form
    segments: list[ChunkRef]
    mtime: int
    starts: array[int] = field(default_factory=lambda: array("Q"))
    headers: array[int] = field(default_factory=lambda: array("Q"))
    first_lines: array[int] = field(default_factory=lambda: array("Q"))
    pieces: list[Piece] = field(default_factory=list)
    tail: bytes = b""
    pointer: bytes = b""
    pointer_at: int = 0
    records: array[int] = field(default_factory=lambda: array("Q"))
    own_records: bytes = b""
    own_records_at: int = 0
    beginning: bytes = b""
    ending: bytes = b""
    ending_at: int = 0
    parts: array[int] = field(default_factory=lambda: array("Q"))
    length: int = 0
    entries: int = 0

    def position(self, at: int) -> tuple[int, int]:
        """Give the number of the part, from 0, and the offset in it, of something that begins at an offset."""
        number = bisect.bisect_right(self.parts, at) - 1
        return number, at - self.parts[number]


class Format(Protocol):
    """What differs from format to format."""

    empty: tuple[int, bytes]

    def beginning(self, *, split: bool) -> bytes:
        """Give what stands first, or as many bytes."""
        ...

    def header(self, head: Head, content: Content) -> bytes:
        """Give the header of an entry."""
        ...

    def record(self, head: Head, content: Content, position: tuple[int, int]) -> bytes:
        """Give an entry's record in the directory at the end, nothing where there is none."""
        ...


class _Jpa:
    empty = (DEFLATED, b"\x03\x00")

    def __init__(self) -> None:
        self._writer = JpaWriter()

    def beginning(self, *, split: bool) -> bytes:
        return pack_archive_header(0, 0, 0, 0 if split else None)

    def header(self, head: Head, content: Content) -> bytes:
        return self._writer.header(head, content, 0)

    def record(self, head: Head, content: Content, position: tuple[int, int]) -> bytes:
        del head, content, position
        return b""


class _Zip:
    empty = (STORED, b"")

    def beginning(self, *, split: bool) -> bytes:
        return SPLIT_MARKER if split else b""

    def header(self, head: Head, content: Content) -> bytes:
        return pack_local(head, content, max(content.size, content.compressed_size))

    def record(self, head: Head, content: Content, position: tuple[int, int]) -> bytes:
        if head.type is EntryType.SYMLINK and not stat.S_ISLNK(head.mode):
            head = head._replace(mode=stat.S_IFLNK | 0o777)
        return pack_central(head, content, max(content.size, content.compressed_size), *position)


def format_of(form: Form) -> Format:
    """Give what makes a format's bytes."""
    return _Zip() if form.format == "zip" else _Jpa()


def entry_of(line: Brief, made: Format) -> tuple[Head, Content] | None:
    """Give the header's fields of a line; None where it has no entry of its own."""
    if line.implied:
        return None
    head = Head(line.path, line.type, line.mode, line.mtime)
    if line.type is EntryType.FILE:
        if not line.size:
            return head, Content(made.empty[0], 0, len(made.empty[1]), 0)
        if line.size > STORE_ABOVE:
            return head, Content(STORED, line.size, line.size, line.crc)
        deflated = sum([ref.deflated for ref in line.chunks]) + len(EMPTY_STREAM)
        return head, Content(DEFLATED, line.size, deflated, line.crc)
    target = line.target if line.type is EntryType.SYMLINK else b""
    return head, Content(STORED, len(target), len(target), isal_zlib.crc32(target))


def own_head(path: str, mtime: int) -> Head:
    """Give the header's fields of one of the archive's own files."""
    return Head(path_bytes(path), EntryType.FILE, stat.S_IFREG | 0o644, mtime)


class _Parts:
    """Counts bytes as `backstay.archives.parts.PartWriter` writes them."""

    def __init__(self, part_size: int) -> None:
        self._part_size = part_size
        self._offset = 0
        self.total = 0
        self.starts: array[int] = array("Q", [0])

    @property
    def position(self) -> tuple[int, int]:
        return len(self.starts) - 1, self._offset

    def reserve(self, size: int) -> None:
        if self._part_size and self._offset and self._part_size - self._offset <= size:
            self._open_next()

    def write(self, size: int) -> None:
        if self._part_size:
            while self._offset + size > self._part_size:
                if self._offset >= self._part_size:
                    self._open_next()
                    continue
                fits = self._part_size - self._offset
                self._offset += fits
                self.total += fits
                size -= fits
        self._offset += size
        self.total += size

    def _open_next(self) -> None:
        self.starts.append(self.total)
        self._offset = 0


class _Pieces:
    """Cuts the manifest's lines into files, and hashes them."""

    def __init__(self) -> None:
        self.found: list[Piece] = []
        self.digest = blake3()
        self.lines = 0
        self._piece: Piece | None = None

    def add(self, text: bytes, segment: int, line: int, *, counted: bool = True) -> None:
        """Add a line; one that is not ``counted`` is none of a chunk of lines."""
        if self._piece is None or self._piece.size + len(text) > manifest.PIECE_SIZE:
            self.end()
            self._piece = Piece(0, segment, line, 0, 0, 0)
        piece = self._piece
        self._piece = piece._replace(
            lines=piece.lines + counted, size=piece.size + len(text), crc=isal_zlib.crc32(text, piece.crc)
        )
        self.digest.update(text)
        self.lines += 1

    def end(self) -> None:
        if self._piece is not None:
            self.found.append(self._piece)
            self._piece = None


class _Planner:
    def __init__(self, layout: ArchiveLayout) -> None:
        self._layout = layout
        self._format = format_of(layout.form)
        self._parts = _Parts(layout.form.part_size)
        self._pieces = _Pieces()
        self._lengths: array[int] = array("H")
        self._counts: array[int] = array("I")
        self._own: list[bytes] = []
        self._size = 0
        self._compressed_size = 0

    def plan(self, found: Iterator[list[Line]]) -> None:
        layout = self._layout
        self._parts.write(len(self._format.beginning(split=bool(layout.form.part_size))))
        for number, lines in enumerate(found):
            layout.starts.append(self._parts.total)
            layout.first_lines.append(len(layout.headers))
            before = len(self._lengths)
            for index, line in enumerate(lines):
                self._add(line, number, index)
            self._counts.append(len(self._lengths) - before)
        layout.starts.append(self._parts.total)
        self._add_own_files()
        if layout.form.format == "zip":
            self._end_zip()
        else:
            split = len(self._parts.starts) if layout.form.part_size else None
            layout.beginning = pack_archive_header(layout.entries, self._size, self._compressed_size, split)
            layout.own_records_at = layout.ending_at = self._parts.total
        layout.parts = self._parts.starts
        layout.length = self._parts.total

    def _add(self, line: Line, segment: int, index: int) -> None:
        entry = entry_of(brief_of(line), self._format)
        if entry is None:
            self._layout.headers.append(NOWHERE)
            self._pieces.add(line.text, segment, index)
            return
        at, record = self._count(*entry)
        self._layout.headers.append(at)
        if record:
            self._lengths.append(len(record))
        self._pieces.add(manifest.with_position(line.text, at), segment, index)

    def _count(self, head: Head, content: Content) -> tuple[int, bytes]:
        """Count an entry; give where its header lies, and its record in the directory."""
        header = len(self._format.header(head, content))
        self._parts.reserve(header)
        at = self._parts.total
        record = self._format.record(head, content, self._parts.position)
        self._parts.write(header)
        self._parts.write(content.compressed_size)
        self._layout.entries += 1
        self._size += content.size
        self._compressed_size += content.compressed_size
        return at, record

    def _add_own(self, path: str, size: int, crc: int) -> int:
        at, record = self._count(own_head(path, self._layout.mtime), Content(STORED, size, size, crc))
        self._own.append(record)
        return at

    def _add_own_files(self) -> None:
        layout, pieces = self._layout, self._pieces
        first = own_head(manifest.piece_name(1), layout.mtime)
        self._parts.reserve(len(self._format.header(first, Content(STORED, 0, 0, 0))))
        layout.pointer = manifest.pack_pointer(self._parts.total)
        line = ManifestLine(
            manifest.POINTER,
            EntryType.FILE,
            len(layout.pointer),
            stat.S_IFREG | 0o644,
            layout.mtime,
            blake3(layout.pointer).hexdigest(),
        )
        texts = [manifest.pack_line(line)]
        pieces.add(texts[0], len(layout.segments), 0, counted=False)
        texts.append(b'{"end":%d,"blake3":"%s"}\n' % (pieces.lines, pieces.digest.hexdigest().encode()))
        pieces.add(texts[1], len(layout.segments), 0, counted=False)
        pieces.end()
        layout.tail = b"".join(texts)
        for number, piece in enumerate(pieces.found, start=1):
            at = self._add_own(manifest.piece_name(number), piece.size, piece.crc)
            layout.pieces.append(piece._replace(at=at))
        crc = isal_zlib.crc32(layout.pointer)
        layout.pointer_at = self._add_own(manifest.POINTER, len(layout.pointer), crc)

    def _end_zip(self) -> None:
        """Count the central directory and what is behind it; no record is cut by the end of a part."""
        layout, parts = self._layout, self._parts
        comment = layout.form.comment.encode("utf-8", "replace")[:SHORT]
        position: tuple[int, int] | None = None
        in_part = (-1, 0)
        size = index = 0
        groups = [*self._counts, len(self._own)]
        lengths = array("H", [*map(len, self._own)])
        for number, count in enumerate(groups):
            own = number == len(groups) - 1
            if own:
                layout.own_records_at = parts.total
            else:
                layout.records.append(parts.total)
            for step in range(count):
                length = lengths[step] if own else self._lengths[index]
                index += not own
                parts.reserve(length)
                position = position or parts.position
                in_part = (parts.position[0], in_part[1] + 1 if parts.position[0] == in_part[0] else 1)
                parts.write(length)
                size += length
        layout.own_records = b"".join(self._own)
        parts.reserve(WIDE_END.size + LOCATOR.size + END.size + len(comment))
        first, (disk, offset) = position or parts.position, parts.position
        last_entries = in_part[1] if in_part[0] == disk else 0
        ending = Ending(disk, first[0], layout.entries, size, first[1], comment)
        layout.ending = pack_ending(ending, last_entries, (disk, offset))
        layout.ending_at = parts.total
        parts.write(len(layout.ending))
        layout.beginning = self._format.beginning(split=bool(layout.form.part_size))
        if layout.form.part_size and len(parts.starts) == 1:
            layout.beginning = SINGLE_MARKER


def plan_archive(repository: Repository, snapshot: Snapshot, form: Form, *, damaged: bool = False) -> ArchiveLayout:
    """Find where each byte of a handed-out archive lies.

    Args:
        repository: whose.
        snapshot: that is handed out.
        form: as what.
        damaged: leave out paths that cannot be listed any more, rather than refuse.

    Raises:
        UsageError: there is no such format or part size.
        DamagedRepositoryError: its lists of files cannot be read.
    """
    if form.format not in FORMATS:
        raise UsageError(
            f"A backup is handed out as {' or '.join(FORMATS)}, not as {form.format}: choose one of these."
        )
    if form.part_size and form.part_size < MINIMUM_PART_SIZE:
        raise UsageError(
            f"A part size of {form.part_size} bytes is too small: give at least {MINIMUM_PART_SIZE}, or 0."
        )
    refs = list(segments(repository, snapshot))
    contents: Iterator[list[Line]]
    if damaged:
        readable = [(ref, lines) for ref in refs if (lines := _readable(repository, ref)) is not None]
        refs = [ref for ref, _ in readable]
        contents = (lines for _, lines in readable)
    else:
        contents = map(lines_of, repository.contents(refs))
    layout = ArchiveLayout(form, refs, int(snapshot.created.timestamp()))
    _Planner(layout).plan(contents)
    return layout


def _readable(repository: Repository, ref: ChunkRef) -> list[Line] | None:
    try:
        return lines_of(next(repository.contents([ref])))
    except DamagedRepositoryError:
        return None
