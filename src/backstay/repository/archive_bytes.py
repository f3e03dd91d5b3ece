"""The archive as which a snapshot is handed out, any range of it, made when it is asked for."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from backstay.archives import manifest
from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import EntryType
from backstay.archives.formats import STORED, Content, Head
from backstay.archives.parts import part_path
from backstay.errors import DamagedRepositoryError
from backstay.repository.archive_layout import (
    NOWHERE,
    ArchiveLayout,
    Form,
    Piece,
    entry_of,
    format_of,
    own_head,
    plan_archive,
)
from backstay.repository.layout import ChunkRef, Snapshot
from backstay.repository.lines import Brief, briefs_of, manifest_text
from backstay.repository.opened import Repository

_BATCH_BYTES = 2 << 20
_BATCH_CHUNKS = 256
_KEPT_SEGMENTS = 64


class _Slice(NamedTuple):
    """A piece of a chunk: of its content, or of its deflated bytes."""

    ref: ChunkRef
    begin: int
    end: int
    inflated: bool


class _Entry(NamedTuple):
    """A line with its entry, where it has one, and where that lies."""

    line: Brief
    head: Head | None
    content: Content
    header: bytes
    at: int


class SnapshotArchive:
    """A snapshot as a JPA or ZIP archive, a `backstay.archives.PartSource`; safe to use from many threads.

    Args:
        repository: whose; closed with this where ``owns`` is set.
        snapshot: what is handed out.
        layout: where each byte lies.
        stem: the archive's name, without an extension.
        damaged: zeros stand for chunks that are damaged, for who compares every file with its hash; otherwise they are
            an error.
        owns: close the repository with this.
    """

    is_remote = True
    descriptors: tuple[int, ...] = ()

    def __init__(
        self,
        repository: Repository,
        snapshot: Snapshot,
        layout: ArchiveLayout,
        stem: str,
        *,
        damaged: bool = False,
        owns: bool = False,
    ) -> None:
        self._repository = repository
        self.snapshot = snapshot
        self.layout = layout
        self._damaged = damaged
        self._owns = owns
        self._format = format_of(layout.form)
        self._kept: OrderedDict[int, list[_Entry]] = OrderedDict()
        self._lock = threading.Lock()
        main = Path(f"{stem}.{layout.form.format}")
        count = len(layout.parts)
        names = [part_path(main, number).name for number in range(1, count)] + [main.name]
        ends = [*layout.parts[1:], layout.length]
        self._parts = [(name, end - start) for name, start, end in zip(names, layout.parts, ends, strict=True)]

    @property
    def parts(self) -> Sequence[tuple[str, int]]:
        """Name and size in bytes of each part in order."""
        return self._parts

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read exactly so many bytes of a part; it holds them.

        Raises:
            DamagedRepositoryError: a chunk of it is damaged or missing.
        """
        start = self.layout.parts[part] + offset
        return b"".join(self.stream(start, start + size))

    def stream_part(self, part: int, offset: int = 0) -> Iterator[bytes]:
        """Read a part from an offset to its end, in pieces of a few megabytes at most."""
        start = self.layout.parts[part]
        yield from self.stream(start + offset, start + self._parts[part][1])

    def stream(self, start: int, end: int) -> Iterator[bytes]:
        """Read from one offset of the stream of all parts to another, in pieces of a few megabytes at most.

        Raises:
            DamagedRepositoryError: a chunk of it is damaged or missing.
        """
        end = min(end, self.layout.length)
        batch: list[bytes | _Slice] = []
        size = chunks = 0
        for piece in self._pieces(start, end):
            batch.append(piece)
            size += len(piece) if isinstance(piece, bytes) else piece.end - piece.begin
            chunks += not isinstance(piece, bytes)
            if size >= _BATCH_BYTES or chunks >= _BATCH_CHUNKS:
                yield self._made(batch)
                batch, size, chunks = [], 0, 0
        if batch:
            yield self._made(batch)

    def _made(self, batch: list[bytes | _Slice]) -> bytes:
        slices = [piece for piece in batch if not isinstance(piece, bytes)]
        contents = self._chunks(slices)
        return b"".join(
            piece if isinstance(piece, bytes) else next(contents)[piece.begin : piece.end] for piece in batch
        )

    def _chunks(self, slices: list[_Slice]) -> Iterator[bytes]:
        refs = [piece.ref for piece in slices]
        try:
            # All of them before the first is given: what is given once must not come again.
            deflated = list(self._repository.deflated(refs))
        except DamagedRepositoryError:
            if not self._damaged:
                raise
            deflated = [self._one(ref) for ref in refs]
        for piece, data in zip(slices, deflated, strict=True):
            if not piece.inflated:
                yield data
                continue
            content = self._repository.inflated(piece.ref, data)
            if content is None:
                if not self._damaged:
                    raise DamagedRepositoryError(f"The chunk {piece.ref.identity.hex()} of the repository is damaged.")
                content = bytes(piece.ref.size)
            yield content

    def _one(self, ref: ChunkRef) -> bytes:
        try:
            return next(self._repository.deflated([ref]))
        except DamagedRepositoryError:
            return bytes(ref.deflated)

    # ------------------------------------------------------------------ what lies where

    def _pieces(self, start: int, end: int) -> Iterator[bytes | _Slice]:
        """Give what lies between two offsets: bytes, and pieces of chunks that are not read yet."""
        for begin, pieces in self._spans(start):
            position = begin
            for piece in pieces:
                length = len(piece) if isinstance(piece, bytes) else piece.end - piece.begin
                if start <= position <= end - length:
                    # Most of them lie in the range as a whole.
                    if length:
                        yield piece
                    position += length
                    continue
                low, high = max(start - position, 0), min(end - position, length)
                if low < high and isinstance(piece, bytes):
                    yield piece[low:high]
                elif low < high and not isinstance(piece, bytes):
                    yield piece._replace(begin=piece.begin + low, end=piece.begin + high)
                position += length
                if position >= end:
                    return

    def _spans(self, at: int) -> Iterator[tuple[int, Iterator[bytes | _Slice]]]:
        """Give the spans of the archive from the one on that holds an offset, each with where it begins."""
        layout = self.layout
        count = len(layout.segments)
        if at < layout.starts[0]:
            yield 0, iter((layout.beginning,))
        if at < layout.starts[-1]:
            first = max(bisect.bisect_right(layout.starts, at) - 1, 0)
            for number in range(first, count):
                yield layout.starts[number], self._segment(number)
        for number, piece in enumerate(layout.pieces):
            behind = layout.pieces[number + 1].at if number + 1 < len(layout.pieces) else layout.pointer_at
            if at < behind:
                yield piece.at, self._manifest(number, piece)
        if at < (layout.records[0] if layout.records else layout.own_records_at):
            yield layout.pointer_at, self._own(manifest.POINTER, layout.pointer)
        if layout.records and at < layout.own_records_at:
            for number in range(max(bisect.bisect_right(layout.records, at) - 1, 0), count):
                yield layout.records[number], self._records(number)
        yield layout.own_records_at, iter((layout.own_records,))
        yield layout.ending_at, iter((layout.ending,))

    def _entries(self, number: int) -> list[_Entry]:
        """Give the entries of a chunk of lines."""
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        content = next(self._repository.contents([self.layout.segments[number]]))
        at = self.layout.starts[number]
        found = []
        for line in briefs_of(content):
            entry = entry_of(line, self._format)
            if entry is None:
                found.append(_Entry(line, None, Content(STORED, 0, 0, 0), b"", at))
                continue
            header = self._format.header(*entry)
            found.append(_Entry(line, *entry, header, at))
            at += len(header) + entry[1].compressed_size
        with self._lock:
            self._kept[number] = found
            while len(self._kept) > _KEPT_SEGMENTS:
                self._kept.popitem(last=False)
        return found

    def _segment(self, number: int) -> Iterator[bytes | _Slice]:
        for entry in self._entries(number):
            if entry.head is None:
                continue
            yield entry.header
            yield from self._content(entry)

    def _content(self, entry: _Entry) -> Iterator[bytes | _Slice]:
        line = entry.line
        if entry.head is not None and entry.head.type is EntryType.SYMLINK:
            yield line.target
        elif entry.content.method == STORED:
            for ref in line.chunks:
                yield _Slice(ref, 0, ref.size, inflated=True)
        elif entry.head is not None and entry.head.type is EntryType.FILE:
            for ref in line.chunks:
                yield _Slice(ref, 0, ref.deflated, inflated=False)
            yield EMPTY_STREAM

    def _records(self, number: int) -> Iterator[bytes]:
        for entry in self._entries(number):
            if entry.head is not None:
                yield self._format.record(entry.head, entry.content, self.layout.position(entry.at))

    def _own(self, path: str, data: bytes) -> Iterator[bytes]:
        content = Content(STORED, len(data), len(data), isal_zlib.crc32(data))
        yield self._format.header(own_head(path, self.layout.mtime), content)
        yield data

    def _manifest(self, number: int, piece: Piece) -> Iterator[bytes]:
        path = manifest.piece_name(number + 1)
        content = Content(STORED, piece.size, piece.size, piece.crc)
        yield self._format.header(own_head(path, self.layout.mtime), content)
        yield from self._manifest_text(piece)

    def _manifest_text(self, piece: Piece) -> Iterator[bytes]:
        left, size = piece.lines, piece.size
        segment, index = piece.segment, piece.line
        while left:
            found = self._texts(segment)[index : index + left]
            first = self.layout.first_lines[segment] + index
            texts = [
                text if at == NOWHERE else manifest.with_position(text, at)
                for text, at in zip(found, self.layout.headers[first : first + len(found)], strict=True)
            ]
            text = b"".join(texts)
            size -= len(text)
            left -= len(texts)
            yield text
            segment, index = segment + 1, 0
        if size:
            yield self._tail(piece, size)

    def _texts(self, segment: int) -> list[bytes]:
        """Give the manifest's lines of a chunk of lines, without a look into them."""
        content = next(self._repository.contents([self.layout.segments[segment]]))
        return [manifest_text(text) for text in content.splitlines(keepends=True)]

    def _tail(self, piece: Piece, size: int) -> bytes:
        """Give the last lines, as far as they are in this file: both, or one where they lie in two files."""
        pieces = self.layout.pieces
        is_last = piece.at == pieces[-1].at
        return self.layout.tail[-size:] if is_last else self.layout.tail[:size]

    def close(self) -> None:
        """Close the repository, where that is this one's."""
        if self._owns:
            self._repository.close()


def hand_out(
    repository: Repository, snapshot: Snapshot, form: Form, stem: str, *, damaged: bool = False, owns: bool = False
) -> SnapshotArchive:
    """Make a snapshot an archive; nothing of its content is read yet.

    Args:
        repository: whose.
        snapshot: what is handed out.
        form: as what.
        stem: the archive's name without an extension.
        damaged: see `SnapshotArchive`; paths that cannot be listed any more are left out, too.
        owns: close the repository with the archive.

    Raises:
        UsageError: there is no such format or part size.
        DamagedRepositoryError: its lists of files cannot be read.
    """
    layout = plan_archive(repository, snapshot, form, damaged=damaged)
    return SnapshotArchive(repository, snapshot, layout, stem, damaged=damaged, owns=owns)
