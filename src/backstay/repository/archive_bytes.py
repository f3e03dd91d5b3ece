"""The archive as which a snapshot is handed out, any range of it, made when it is asked for."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

from isal import isal_zlib

from backstay.archives import manifest
from backstay.archives.formats import STORED, Content
from backstay.archives.parts import part_path
from backstay.errors import DamagedRepositoryError
from backstay.repository.archive_layout import ArchiveLayout, Piece
from backstay.repository.archive_planning import blocks_of, places_of, plan_archive
from backstay.repository.entry_blocks import EntryBlock, placed_texts
from backstay.repository.entry_formats import Form, format_of, own_head
from backstay.repository.layout import ChunkRef, Snapshot
from backstay.repository.opened import Repository

_BATCH_BYTES = 512 << 10
_BATCH_CHUNKS = 256
_SEGMENTS_AT_ONCE = 64
_KEPT_LINES = 50_000


_Places = Sequence[tuple[str, int] | None]


class _Group(NamedTuple):
    """Chunks that are read together, with the bytes before each, and perhaps behind the last."""

    literals: list[bytes]
    refs: list[ChunkRef]
    places: _Places
    inflated: bytes


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
        self._kept: OrderedDict[int, EntryBlock] = OrderedDict()
        self._kept_lines = 0
        self._lock = threading.Lock()
        main = Path(f"{stem}.{layout.form.format}")
        count = len(layout.parts)
        names = [part_path(main, number).name for number in range(1, count)] + [main.name]
        ends = [*layout.parts[1:], layout.length]
        self._parts = [(name, end - start) for name, start, end in zip(names, layout.parts, ends, strict=True)]

    @property
    def may_fork(self) -> bool:
        """Whether a forked process can read it, too: from files of this machine, with an index that it opens itself."""
        return self._repository.store.is_folder

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
        for begin, pieces in self._spans(start, end):
            at = begin
            for piece in pieces:
                behind = at + len(piece)
                if start <= at and behind <= end:
                    # Most of them lie in the range as a whole.
                    yield piece
                elif behind > start:
                    yield piece[max(start - at, 0) : end - at]
                at = behind
                if at >= end:
                    return

    def _spans(self, start: int, end: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Give the spans of the archive that hold what lies between two offsets, each with where it begins."""
        layout = self.layout
        if start < layout.starts[0]:
            yield 0, iter((layout.beginning,))
        if start < layout.starts[-1]:
            yield from self._entries(start, end)
        for number, piece in enumerate(layout.pieces):
            behind = layout.pieces[number + 1].at if number + 1 < len(layout.pieces) else layout.pointer_at
            if start < behind:
                yield piece.at, self._manifest(number, piece)
        if start < (layout.records[0] if layout.records else layout.own_records_at):
            yield layout.pointer_at, self._own(manifest.POINTER, layout.pointer)
        if layout.records and start < layout.own_records_at:
            yield from self._records(start, end)
        yield layout.own_records_at, iter((layout.own_records,))
        yield layout.ending_at, iter((layout.ending,))

    # ------------------------------------------------------------------ entries

    def _numbers(self, begins: Sequence[int], start: int, end: int) -> Iterator[range]:
        """Give numbers of chunks of lines, by where what is of each begins, some at once."""
        first = max(bisect.bisect_right(begins, start) - 1, 0)
        last = min(bisect.bisect_left(begins, end), len(self.layout.segments))
        for number in range(first, last, _SEGMENTS_AT_ONCE):
            yield range(number, min(number + _SEGMENTS_AT_ONCE, last))

    def _kept_blocks(self, numbers: Sequence[int]) -> list[EntryBlock]:
        with self._lock:
            found = {number: self._kept[number] for number in numbers if number in self._kept}
        missing = [number for number in numbers if number not in found]
        if missing:
            refs = [self.layout.segments[number] for number in missing]
            blocks = blocks_of(self._repository, refs, self.layout.form)
            found.update(zip(missing, blocks, strict=True))
        with self._lock:
            for number in numbers:
                if number not in self._kept:
                    self._kept_lines += found[number].lines
                self._kept[number] = found[number]
                self._kept.move_to_end(number)
            while self._kept_lines > _KEPT_LINES:
                self._kept_lines -= self._kept.popitem(last=False)[1].lines
        return [found[number] for number in numbers]

    def _entries(self, start: int, end: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Give entries in pieces of a few hundred kilobytes, whatever chunks of lines they come from."""
        waiting: list[_Group] = []
        begin = size = chunks = 0
        for at, block, refs, places in self._placed(start, end):
            for offset, length, group in _groups(block, refs, places, start - at, end - at):
                if not waiting:
                    begin = at + offset
                waiting.append(group)
                size += length
                chunks += len(group.refs)
                if size >= _BATCH_BYTES or chunks >= _BATCH_CHUNKS:
                    yield begin, iter((self._joined(waiting),))
                    waiting, size, chunks = [], 0, 0
        if waiting:
            yield begin, iter((self._joined(waiting),))

    def _placed(self, start: int, end: int) -> Iterator[tuple[int, EntryBlock, list[ChunkRef], _Places]]:
        """Give where blocks begin, the blocks, their chunks, and where these are likely to lie."""
        starts = self.layout.starts
        for numbers in self._numbers(starts, start, end):
            blocks = self._kept_blocks(numbers)
            chunks = [block.chunks() for block in blocks]
            places = places_of(self._repository, [self.layout.segments[number] for number in numbers], chunks)
            yield from zip([starts[number] for number in numbers], blocks, chunks, places, strict=True)

    def _joined(self, groups: list[_Group]) -> bytes:
        found = iter(self._chunks(groups))
        pieces: list[bytes | memoryview] = []
        for group in groups:
            made: list[bytes | memoryview] = [b""] * (len(group.literals) + len(group.refs))
            made[0::2] = group.literals
            made[1::2] = islice(found, len(group.refs))
            pieces += made
        return b"".join(pieces)

    def _chunks(self, groups: list[_Group]) -> list[bytes | memoryview]:
        """Give the bytes of chunks as they stand in the archive: deflated, or inflated."""
        refs = [ref for group in groups for ref in group.refs]
        places = [place for group in groups for place in group.places]
        inflated = b"".join([group.inflated for group in groups])
        found: list[bytes | memoryview] = []
        for ref, data, whole in zip(refs, self._repository.whole_ones(refs, places), inflated, strict=True):
            made = self._repository.inflated(ref, data) if whole and data is not None else data
            if made is None:
                if not self._damaged:
                    name = ref.identity.hex()
                    raise DamagedRepositoryError(f"The chunk {name} of the repository is damaged or missing.")
                made = bytes(ref.size if whole else ref.deflated)
            found.append(made)
        return found

    # ------------------------------------------------------------------ what stands behind them

    def _records(self, start: int, end: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        layout = self.layout
        for numbers in self._numbers(layout.records, start, end):
            for number, block in zip(numbers, self._kept_blocks(numbers), strict=True):
                begin = layout.starts[number]
                places = [layout.position(begin + place) for place in block.entry_places()]
                records = map(self._format.placed, block.records, places)
                yield layout.records[number], iter((b"".join(records),))

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
            numbers = range(segment, min(segment + _SEGMENTS_AT_ONCE, len(self.layout.segments)))
            blocks = self._kept_blocks(numbers)
            contents = self._repository.contents([self.layout.segments[number] for number in numbers])
            for number, block, content in zip(numbers, blocks, contents, strict=True):
                texts = placed_texts(content, block, self.layout.starts[number])[index : index + left]
                text = b"".join(texts)
                size -= len(text)
                left -= len(texts)
                index = 0
                yield text
                if not left:
                    break
            segment = numbers.stop
        if size:
            yield self._tail(piece, size)

    def _tail(self, piece: Piece, size: int) -> bytes:
        """Give the last lines, as far as they are in this file: both, or one where they lie in two files."""
        pieces = self.layout.pieces
        is_last = piece.at == pieces[-1].at
        return self.layout.tail[-size:] if is_last else self.layout.tail[:size]

    def close(self) -> None:
        """Close the repository, where that is this one's."""
        if self._owns:
            self._repository.close()


def _groups(
    block: EntryBlock, refs: list[ChunkRef], places: _Places, start: int, end: int
) -> Iterator[tuple[int, int, _Group]]:
    """Cut entries into groups, and leave out those outside of a range.

    Yields:
        Where a group begins in the block, its bytes, and the group.
    """
    literals = block.literal_pieces()
    if start <= 0 and end >= block.size <= _BATCH_BYTES and len(refs) <= _BATCH_CHUNKS:
        yield 0, block.size, _Group(literals, refs, places, block.inflated)
        return
    chunk_sizes = [ref.size if whole else ref.deflated for ref, whole in zip(refs, block.inflated, strict=True)]
    sizes = [len(literal) + size for literal, size in zip(literals, chunk_sizes, strict=False)]
    ends = [*accumulate(sizes), block.size]
    first = bisect.bisect_right(ends, start)
    at = begin = ends[first - 1] if first else 0
    for number in range(first, len(ends)):
        chunk_at = at + len(literals[number])
        # A chunk of which nothing lies in the range is not read.
        stop = number if chunk_at >= end else number + 1
        at = chunk_at if chunk_at >= end else ends[number]
        is_last = at >= end or number == len(ends) - 1
        if is_last or at - begin >= _BATCH_BYTES or number - first >= _BATCH_CHUNKS:
            part = slice(first, stop)
            group = _Group(literals[first : number + 1], refs[part], places[part], block.inflated[part])
            yield begin, at - begin, group
            if is_last:
                return
            first, begin = number + 1, at


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
