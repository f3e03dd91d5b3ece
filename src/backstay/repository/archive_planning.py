"""Working out where each byte lies in the archive as which a snapshot is handed out."""

from __future__ import annotations

import json
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import manifest
from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.formats import STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header
from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.archives.zip.layout import (
    END,
    LOCATOR,
    SHORT,
    SINGLE_MARKER,
    WIDE_END,
    Ending,
    pack_ending,
)
from backstay.errors import DamagedRepositoryError, UsageError
from backstay.repository.archive_layout import ArchiveLayout, Piece, pack_layout, parse_layout
from backstay.repository.entry_blocks import (
    EntryBlock,
    make_block,
    pack_block,
    pack_places,
    parse_block,
    parse_places,
    placed_texts,
)
from backstay.repository.entry_formats import FORMATS, Form, format_of, own_head, rules_of
from backstay.repository.layout import ChunkRef, Snapshot
from backstay.repository.lines import lines_of, segments
from backstay.repository.opened import Repository

_AT_ONCE = 64
"""Chunks of lines that are read together."""


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

    def has_room(self, size: int) -> bool:
        """Say whether so much, whatever it is made of, is followed by something in the same part."""
        return not self._part_size or self._offset + size < self._part_size

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

    def add_all(self, texts: list[bytes], segment: int) -> None:
        """Add the lines of a chunk of lines."""
        text = b"".join(texts)
        piece = self._piece
        if piece is None or piece.size + len(text) > manifest.PIECE_SIZE:
            for index, line in enumerate(texts):
                self.add(line, segment, index)
            return
        self._extend(piece, text, len(texts), len(texts))

    def add(self, text: bytes, segment: int, line: int, *, counted: bool = True) -> None:
        """Add a line; one that is not ``counted`` is none of a chunk of lines."""
        if self._piece is None or self._piece.size + len(text) > manifest.PIECE_SIZE:
            self.end()
            self._piece = Piece(0, segment, line, 0, 0, 0)
        self._extend(self._piece, text, 1, int(counted))

    def _extend(self, piece: Piece, text: bytes, lines: int, counted: int) -> None:
        self._piece = piece._replace(
            lines=piece.lines + counted, size=piece.size + len(text), crc=isal_zlib.crc32(text, piece.crc)
        )
        self.digest.update(text)
        self.lines += lines

    def end(self) -> None:
        """End the last file."""
        if self._piece is not None:
            self.found.append(self._piece)
            self._piece = None


class _Planner:
    def __init__(self, layout: ArchiveLayout) -> None:
        self._layout = layout
        self._format = format_of(layout.form)
        self._parts = _Parts(layout.form.part_size)
        self._pieces = _Pieces()
        self._lengths: array[int] = array("I")
        self._counts: array[int] = array("I")
        self._own: list[bytes] = []
        self._size = 0
        self._compressed_size = 0

    def plan(self, found: Iterable[tuple[EntryBlock, bytes]]) -> None:
        layout = self._layout
        self._parts.write(len(self._format.beginning(split=bool(layout.form.part_size))))
        for number, (block, content) in enumerate(found):
            self._add(number, block, content)
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

    def _add(self, number: int, block: EntryBlock, content: bytes) -> None:
        layout = self._layout
        start = self._parts.total
        layout.starts.append(start)
        places = block.entry_places()
        if self._parts.has_room(block.size):
            self._parts.write(block.size)
        else:
            self._write_one_by_one(block, places)
        layout.entries += len(places)
        self._size += block.content_size
        self._compressed_size += block.compressed_size
        layout.parts = self._parts.starts
        for place, record in zip(places, block.records, strict=bool(block.records)):
            self._lengths.append(len(self._format.placed(record, layout.position(start + place))))
        self._counts.append(len(block.records))
        self._pieces.add_all(placed_texts(content, block, start), number)

    def _write_one_by_one(self, block: EntryBlock, places: list[int]) -> None:
        """Count entries in which a part may end: no header is cut by that."""
        headers = filter(None, block.headers)
        for header, place, behind in zip(headers, places, [*places[1:], block.size], strict=True):
            self._parts.reserve(header)
            self._parts.write(header)
            self._parts.write(behind - place - header)

    def _count(self, head: Head, content: Content) -> tuple[int, bytes]:
        """Count an entry; give where its header lies, and its record in the directory."""
        header = len(self._format.header(head, content))
        self._parts.reserve(header)
        at = self._parts.total
        record = self._format.placed(self._format.record(head, content), self._parts.position)
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
        directory = _Directory(parts)
        begin = 0
        for count in self._counts:
            layout.records.append(parts.total)
            directory.add(self._lengths[begin : begin + count])
            begin += count
        layout.own_records_at = parts.total
        directory.add([*map(len, self._own)])
        layout.own_records = b"".join(self._own)
        parts.reserve(WIDE_END.size + LOCATOR.size + END.size + len(comment))
        first, (disk, offset) = directory.position or parts.position, parts.position
        last_entries = directory.in_part[1] if directory.in_part[0] == disk else 0
        ending = Ending(disk, first[0], layout.entries, directory.size, first[1], comment)
        layout.ending = pack_ending(ending, last_entries, (disk, offset))
        layout.ending_at = parts.total
        parts.write(len(layout.ending))
        layout.beginning = self._format.beginning(split=bool(layout.form.part_size))
        if layout.form.part_size and len(parts.starts) == 1:
            layout.beginning = SINGLE_MARKER


class _Directory:
    """Counts the records of a central directory.

    Attributes:
        position: where the first lies: number of the part, offset in it.
        in_part: the last part in which one begins, and how many do.
        size: bytes of all.
    """

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self.position: tuple[int, int] | None = None
        self.in_part = (-1, 0)
        self.size = 0

    def add(self, lengths: Sequence[int]) -> None:
        total = sum(lengths)
        if lengths and self._parts.has_room(total):
            self._one(total, len(lengths))
            return
        for length in lengths:
            self._parts.reserve(length)
            self._one(length, 1)

    def _one(self, length: int, count: int) -> None:
        parts = self._parts
        self.position = self.position or parts.position
        disk = parts.position[0]
        self.in_part = disk, count + (self.in_part[1] if disk == self.in_part[0] else 0)
        parts.write(length)
        self.size += length


def plan_archive(repository: Repository, snapshot: Snapshot, form: Form, *, damaged: bool = False) -> ArchiveLayout:
    """Find where each byte of a handed-out archive lies; what was found once is kept on this machine.

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
    try:
        layout = _kept_layout(repository, snapshot, form)
        if damaged:
            for _ in repository.deflated(layout.segments):
                # What is listed there is read again later: now nothing may be missing.
                pass
    except DamagedRepositoryError:
        if not damaged:
            raise
        refs = [ref for ref in segments(repository, snapshot) if _is_readable(repository, ref)]
        return _planned(repository, refs, snapshot, form)
    return layout


def _kept_layout(repository: Repository, snapshot: Snapshot, form: Form) -> ArchiveLayout:
    key = json.dumps([snapshot.id, *form, rules_of(form)])
    kept = repository.layouts.layout(key)
    if kept is not None:
        return parse_layout(kept)
    layout = _planned(repository, list(segments(repository, snapshot)), snapshot, form)
    repository.layouts.keep_layout(key, snapshot.id, pack_layout(layout))
    return layout


def _planned(repository: Repository, refs: list[ChunkRef], snapshot: Snapshot, form: Form) -> ArchiveLayout:
    layout = ArchiveLayout(form, refs, int(snapshot.created.timestamp()))
    _Planner(layout).plan(_blocks_and_lines(repository, refs, form))
    return layout


def _blocks_and_lines(repository: Repository, refs: list[ChunkRef], form: Form) -> Iterator[tuple[EntryBlock, bytes]]:
    for start in range(0, len(refs), _AT_ONCE):
        part = refs[start : start + _AT_ONCE]
        contents = list(repository.contents(part))
        yield from zip(blocks_of(repository, part, form, contents), contents, strict=True)


def blocks_of(
    repository: Repository, refs: Sequence[ChunkRef], form: Form, contents: Sequence[bytes] | None = None
) -> list[EntryBlock]:
    """Give the entries of chunks of lines; those that are not kept on this machine are made, and kept.

    Args:
        repository: whose.
        refs: the chunks.
        form: of the archive.
        contents: of the chunks, where that is known.

    Raises:
        DamagedRepositoryError: a chunk is missing or damaged.
    """
    rules = rules_of(form)
    kept = repository.layouts.blocks(rules, [ref.key for ref in refs])
    made = format_of(form)
    new = {}
    for number, ref in enumerate(refs):
        if ref.key not in kept and ref.key not in new:
            content = contents[number] if contents else next(repository.contents([ref]))
            new[ref.key] = make_block(lines_of(content), made)
    if new:
        repository.layouts.keep_blocks(rules, [(key, pack_block(block)) for key, block in new.items()])
    return [new[ref.key] if ref.key in new else parse_block(kept[ref.key]) for ref in refs]


def places_of(
    repository: Repository, refs: Sequence[ChunkRef], chunks: Sequence[Sequence[ChunkRef]]
) -> list[Sequence[tuple[str, int] | None]]:
    """Give where the chunks of files are likely to lie; what was looked up is kept on this machine.

    Args:
        repository: whose.
        refs: chunks of lines.
        chunks: for each, the chunks of the files that it lists.
    """
    kept = repository.layouts.places([ref.key for ref in refs])
    found: list[Sequence[tuple[str, int] | None]] = []
    new = []
    for ref, wanted in zip(refs, chunks, strict=True):
        known = parse_places(kept[ref.key]) if ref.key in kept else []
        if len(known) == len(wanted):
            found.append(known)
            continue
        looked_up = repository.index.find(wanted)
        found.append(looked_up)
        there = [place for place in looked_up if place is not None]
        if len(there) == len(looked_up):
            new.append((ref.key, pack_places(there)))
    if new:
        repository.layouts.keep_places(new)
    return found


def _is_readable(repository: Repository, ref: ChunkRef) -> bool:
    try:
        lines_of(next(repository.contents([ref])))
    except DamagedRepositoryError:
        return False
    return True
