"""Reading an archive by the positions in its manifest, without walking over the headers of all entries.

A position is never trusted: the header there must be that of the entry, and content is compared with the manifest's
hash by whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from backstay.archives import manifest
from backstay.archives.entries import Entry, EntryType, Location, ManifestLine
from backstay.archives.formats import FormatReader
from backstay.archives.manifest import ManifestLines
from backstay.archives.names import shown
from backstay.archives.part_stream import Window
from backstay.errors import DamagedArchiveError

_INDEXED = -2
"""The method of an entry whose location begins with its header, of which nothing is known yet."""


def is_indexed(entry: Entry) -> bool:
    """Say whether an entry was found by an index, so that only one can read it."""
    return entry.location is not None and entry.location.method == _INDEXED


class IndexedReader:
    """Reads an archive by its manifest; a `FormatReader`.

    Args:
        reader: of the archive's format.
        lines_of: reads the manifest from its entries.
        pieces: the entries of the manifest's files, in order.
        start: offset of the header of the first of them.
        pointer: the entry that says where it is.
    """

    def __init__(
        self,
        reader: FormatReader,
        lines_of: Callable[[list[Entry]], ManifestLines],
        pieces: list[Entry],
        start: int,
        pointer: Entry,
    ) -> None:
        self.name = reader.name
        self.stream = reader.stream
        self.comment = reader.comment
        self.pieces = pieces
        self._reader = reader
        self._lines_of = lines_of
        self._start = start
        self._pointer = pointer

    def entries(self) -> Iterator[Entry]:
        """Give the entries as the manifest lists them, in order; see `FormatReader.entries`."""
        for entry, _ in self.lines():
            yield entry
        yield from self.own_entries

    @property
    def own_entries(self) -> list[Entry]:
        """The files of the manifest, and the one that says where it lies."""
        return [*self.pieces, self._pointer]

    def lines(self) -> Iterator[tuple[Entry, ManifestLine]]:
        """Give the entries that the manifest lists, but for the archive's own files, with their lines.

        Raises:
            DamagedArchiveError: if the manifest, or a position in it, is not what it should be.
        """
        for entry, line in self.listed():
            if entry is not None:
                yield entry, line

    def listed(self) -> Iterator[tuple[Entry | None, ManifestLine]]:
        """Give the same, and the lines of folders that have no entry of their own."""
        before: ManifestLine | None = None
        for line in self._lines_of(self.pieces):
            if line.path == manifest.POINTER:
                continue
            if line.implied:
                yield None, line
                continue
            if before is not None:
                yield self._entry(before, line.at), before
            before = line
        if before is not None:
            yield self._entry(before, self._start), before

    def _entry(self, line: ManifestLine, end: int | None) -> Entry:
        if line.at is None or end is None or not line.at < end <= self._start:
            name = self.stream.paths[-1].name
            raise DamagedArchiveError(
                f"The manifest of {name} is damaged: it does not say where {shown(line.path)} lies."
            )
        location = Location(line.at, end, _INDEXED)
        return Entry(line.path, line.type, line.size, end - line.at, line.mode, line.mtime, line.target, location)

    def find(self, path: str) -> tuple[Entry, ManifestLine | None] | None:
        """Find an entry by its path, as its header describes it, with its line; None if there is none.

        Raises:
            DamagedArchiveError: if it does not lie where the manifest says.
        """
        for entry, line in self.lines():
            if entry.path == path:
                return self._located(entry, line), line
        return next(((entry, None) for entry in self.own_entries if entry.path == path), None)

    def _located(self, entry: Entry, line: ManifestLine) -> Entry:
        if entry.location is None or (line.type is not EntryType.FILE and self.name == "zip"):
            # Local headers of ZIP hold no kind.
            return entry
        try:
            return self._found(entry, Window(self.stream))
        except DamagedArchiveError as error:
            name = self.stream.paths[-1].name
            text = str(error).removesuffix(".")
            raise DamagedArchiveError(f"The entry {shown(entry.path)} of {name} is damaged: {text}.") from error

    def entry_at(self, window: Window, offset: int, end: int | None = None) -> tuple[Entry, int]:
        """Read the one entry at an offset; see `FormatReader.entry_at`."""
        return self._reader.entry_at(window, offset, end)

    def last_entry(self, path: str) -> Entry | None:
        """Find the last entry; see `FormatReader.last_entry`."""
        return self._reader.last_entry(path)

    def wrong_totals(self, size: int, compressed_size: int) -> str | None:  # noqa: ARG002 - only headers hold the sizes
        """There is nothing to compare; see `FormatReader.wrong_totals`."""
        return None

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Read an entry's content; see `FormatReader.content`."""
        yield from self._reader.content(self._found(entry, Window(self.stream)))

    def whole(self, entry: Entry, data: bytes) -> bytes:
        """Make the content of a small entry from its header and its bytes; see `FormatReader.whole`."""
        base = entry.location.start if entry.location else 0
        found = self._found(entry, Window(self.stream, start=base, data=data))
        if found is not entry and found.location:
            data = data[found.location.start - base : found.location.end - base]
        return self._reader.whole(found, data)

    def _found(self, entry: Entry, window: Window) -> Entry:
        """Give an entry as its header describes it."""
        location = entry.location
        if location is None or location.method != _INDEXED:
            return entry
        found, end = self._reader.entry_at(window, location.start, location.end)
        if (found.path, found.size, end) != (entry.path, entry.size, location.end):
            raise DamagedArchiveError("it does not lie where the manifest says")
        return found


def indexed(reader: FormatReader, lines_of: Callable[[list[Entry]], ManifestLines]) -> IndexedReader | None:
    """Find an archive's manifest from the archive's end.

    Args:
        reader: of the archive's format.
        lines_of: reads the manifest from its entries.

    Returns:
        None where the archive does not say where its manifest and its entries lie: it has to be walked over.
    """
    try:
        pointer = reader.last_entry(manifest.POINTER)
        if pointer is None or pointer.type is not EntryType.FILE:
            return None
        start = manifest.parse_pointer(b"".join(reader.content(pointer)))
        pieces = _pieces(reader, start) if start is not None else []
    except DamagedArchiveError:
        return None
    return IndexedReader(reader, lines_of, pieces, start, pointer) if start is not None and pieces else None


def _pieces(reader: FormatReader, start: int) -> list[Entry]:
    """Read the entries of the manifest's files, which lie side by side; nothing where that is not so."""
    window = Window(reader.stream)
    pieces: list[Entry] = []
    entry, offset = reader.entry_at(window, start)
    while entry.type is EntryType.FILE and manifest.piece_number(entry.path) == len(pieces) + 1:
        pieces.append(entry)
        entry, offset = reader.entry_at(window, offset)
    return pieces if entry.path == manifest.POINTER else []
