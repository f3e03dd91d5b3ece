"""One way out of archives of every format."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from backstay.archives import manifest
from backstay.archives.entries import Entry, EntryType, ExtractReport, Limits, ManifestLine, VerifyReport
from backstay.archives.extract import Extraction, Options
from backstay.archives.index import IndexedReader, indexed, is_indexed
from backstay.archives.manifest import ManifestLines
from backstay.archives.names import shown
from backstay.archives.part_stream import LocalParts, find_parts
from backstay.archives.process import hashed
from backstay.archives.registry import make_reader, make_stream
from backstay.archives.verify import verify
from backstay.errors import ArchiveError, DamagedArchiveError, NotFoundError, UnsupportedEntryError
from backstay.steps import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from backstay.archives.attributes import WhichXattrs
    from backstay.archives.entries import ExtractProgress
    from backstay.archives.formats import FormatReader
    from backstay.archives.part_stream import PartSource, PartStream


class ArchiveReader:
    """An open archive; made by `open_archive`. Close it, or use it in a ``with`` statement.

    Attributes:
        format: ``jpa``, ``jps`` or ``zip``.
        parts: its files in order, the one with the main extension last.
        part_sizes: bytes of each.
        comment: the archive's comment; empty where there is none.
    """

    def __init__(self, stream: PartStream, reader: FormatReader, limits: Limits) -> None:
        self._stream = stream
        self._reader = reader
        self._limits = limits
        self._manifest: list[Entry] | None = None
        self._index: IndexedReader | None = None
        self._looked_for_index = False
        self.format = reader.name
        self.parts = stream.paths
        self.part_sizes = stream.sizes
        self.comment = reader.comment

    def __repr__(self) -> str:
        return f"ArchiveReader({str(self.parts[-1])!r}, format={self.format!r}, parts={len(self.parts)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive's files."""
        self._stream.close()

    def __iter__(self) -> Iterator[Entry]:
        """Walk over the entries without reading their data.

        Where the archive lies elsewhere and its manifest lists all entries, nothing but the manifest is read.

        Raises:
            DamagedArchiveError: where the structure is damaged, or the archive ends before its end.
        """
        return self._cheapest.entries()

    @property
    def _indexed(self) -> IndexedReader | None:
        """What knows the entries by the manifest; None where that does not say where they are."""
        if not self._looked_for_index:
            self._index = indexed(self._reader, self._lines)
            self._looked_for_index = True
        return self._index

    @property
    def _cheapest(self) -> FormatReader:
        """What knows the entries for the fewest bytes, where bytes are dear."""
        return (self._indexed if self._stream.is_remote else None) or self._reader

    def entry(self, path: str) -> Entry:
        """Find an entry by its path; by the manifest alone, where that says where each entry is.

        Raises:
            NotFoundError: if there is none.
        """
        entry, line = self._find(path)
        # The headers of ZIP's entries hold no modes: only the directory does, which is not read here.
        return replace(entry, mode=line.mode) if line is not None and entry.mode is None else entry

    def _find(self, path: str) -> tuple[Entry, ManifestLine | None]:
        found: tuple[Entry, ManifestLine | None] | None
        if index := self._indexed:
            found = index.find(path)
        else:
            found = next(((entry, None) for entry in self if entry.path == path), None)
        if found is None:
            raise NotFoundError(f"{self.parts[-1]} has no entry {shown(path)}.")
        return found

    def read_path(self, path: str) -> Iterator[bytes]:
        """Read the content of the file of a path in pieces, compared with its hash where the manifest gives its place.

        Raises:
            NotFoundError: if there is no such file.
            DamagedArchiveError: if it is not what it should be; what was yielded before is not to be trusted then.
        """
        yield from self.checked(*self._find(path))

    def listing(self, *, by_manifest: bool = True) -> Iterator[tuple[Entry | None, ManifestLine | None]]:
        """Walk over all that is in the archive for the fewest reads, without its data.

        Args:
            by_manifest: read the manifest alone where it says where each entry lies.

        Yields:
            An entry, and its line of the manifest where that was read; a line alone for a folder without an entry.

        Raises:
            DamagedArchiveError: where the structure is damaged, or the archive ends before its end.
        """
        index = self._indexed if by_manifest else None
        if index is None:
            yield from ((entry, None) for entry in self._reader.entries())
            return
        yield from index.listed()
        yield from ((entry, None) for entry in index.own_entries)

    def checked(self, entry: Entry, line: ManifestLine | None) -> Iterator[bytes]:
        """Read the content of a file in pieces, compared with the hash of its line where there is one.

        Raises:
            NotFoundError: if it is no file.
            DamagedArchiveError: if it is not what it should be; what was yielded before is not to be trusted then.
            UnsupportedEntryError: if it is encrypted, or compressed with a method that is not read.
        """
        if entry.type is not EntryType.FILE:
            raise NotFoundError(f"{shown(entry.path)} in {self.parts[-1]} is a {entry.type.value}, and no file.")
        try:
            yield from hashed(self.read(entry), line)
        except DamagedArchiveError as error:
            raise self._damaged(entry, error) from error

    def _reader_of(self, entry: Entry) -> FormatReader:
        """What reads an entry, however it was found; an archive that still arrives is not asked for its index."""
        return (self._indexed if is_indexed(entry) else None) or self._reader

    def read(self, entry: Entry) -> Iterator[bytes]:
        """Read the content of a file in pieces.

        Raises:
            DamagedArchiveError: if it is not what it should be; what was yielded before is not to be trusted then.
            UnsupportedEntryError: if it is encrypted, or compressed with a method that is not read.
        """
        if entry.location is not None and entry.location.unsupported:
            raise UnsupportedEntryError(
                f"The entry {shown(entry.path)} of {self.parts[-1].name} {entry.location.unsupported}."
            )
        try:
            yield from self._reader_of(entry).content(entry)
        except DamagedArchiveError as error:
            raise self._damaged(entry, error) from error

    def open(self, entry: Entry) -> BinaryIO:
        """Open the content of a file as a stream; see `read`."""
        return io.BufferedReader(_PieceReader(self.read(entry)), 1 << 20)

    def _damaged(self, entry: Entry, error: DamagedArchiveError) -> DamagedArchiveError:
        text, start = (
            str(error).removesuffix("."),
            f"The entry {shown(entry.path)} of {self.parts[-1].name} is damaged: ",
        )
        return error if text.startswith(start) else DamagedArchiveError(f"{start}{text}.")

    def _manifest_entries(self) -> list[Entry]:
        if self._manifest is None and (index := self._indexed):
            self._manifest = index.pieces
        if self._manifest is None:
            self._manifest = [
                entry
                for entry in self
                if entry.type is EntryType.FILE and manifest.piece_number(entry.path) is not None
            ]
        return self._manifest

    @property
    def has_manifest(self) -> bool:
        """True if Backstay's manifest is in the archive. Looking for it may walk over all entries once."""
        return bool(self._manifest_entries())

    def manifest(self) -> Iterator[ManifestLine]:
        """Read the manifest; nothing if there is none.

        Raises:
            DamagedArchiveError: if it is damaged or cut short.
        """
        entries = self._manifest_entries()
        lines = self._lines(entries) if entries else ()
        # The archive's own files are none of what was put into it.
        return (line for line in lines if line.path != manifest.POINTER)

    def _lines(self, entries: list[Entry]) -> ManifestLines:
        if [manifest.piece_number(entry.path) for entry in entries] != list(range(1, len(entries) + 1)):
            raise DamagedArchiveError(f"The manifest of {self.parts[-1].name} is damaged: its files are not in order.")
        if any(entry.size > manifest.PIECE_SIZE for entry in entries):
            raise DamagedArchiveError(f"The manifest of {self.parts[-1].name} is damaged: a file of it is too large.")
        return ManifestLines(self.read(entry) for entry in entries)

    def extract(
        self,
        target: Path,
        *,
        only: Sequence[str] = (),
        select: Callable[[Entry], bool] | None = None,
        rename: Callable[[str], str] | None = None,
        permissions: bool = True,
        special_modes: bool = False,
        xattrs: WhichXattrs | None = None,
        owners: bool = True,
        on_warning: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[ExtractProgress], None] = lambda _: None,
        workers: int | None = None,
    ) -> ExtractReport:
        """Write the archive, or some of it, beneath a folder; what is there already and not in the archive stays.

        Before anything is written, the whole structure is walked: limits, unsafe paths and a missing end are found
        then. Entries that would be written through a link, or in place of another, are left out with a warning.
        Content is compared with the manifest's hashes where there is a manifest.

        Args:
            target: the folder; made if it is not there.
            only: globs of paths (``*`` matches across ``/``), or folders with all beneath them; all if empty.
            select: says whether an entry is wanted.
            rename: gives another path for a path.
            permissions: give files and folders the modes of the archive.
            special_modes: give files setuid, setgid and sticky bits too, and folders setuid bits.
            xattrs: which extended attributes are given back; if None, ``all`` with ``special_modes``, else
                ``harmless``: without those that give rights to programs (``security.capability``).
            owners: give everything the owner that the manifest names, by name where this machine knows the name. Only
                root can; for others it is one warning.
            on_warning: called with one sentence for each entry that is left out or changed.
            on_progress: called after each batch.
            workers: threads; as many as there are processors if None.

        Raises:
            UnsafeEntryError: if a path leads out of the target; nothing was written.
            ArchiveLimitError: if it unpacks to more than the limits allow; nothing was written.
            DamagedArchiveError: if the structure is damaged (nothing was written), or the content of entries (all
                others were written, and nothing of those is left).
            UnsupportedEntryError: if entries are encrypted, or compressed with a method that is not read; all others
                were written.
            DiskFullError: if there is no space left.
        """
        which = xattrs or ("all" if special_modes else "harmless")
        options = Options(
            tuple(only),
            select,
            rename,
            permissions,
            special_modes,
            which,
            owners,
            on_warning,
            on_progress,
            workers,
        )
        return Extraction(self._cheapest, self._limits, self._lines, options).run(Path(target))

    def verify(
        self, *, on_progress: Callable[[ExtractProgress], None] = lambda _: None, workers: int | None = None
    ) -> VerifyReport:
        """Read all of the archive and say what is wrong with which entry.

        Args:
            on_progress: called after each batch.
            workers: processes or threads; as many as there are processors if None.
        """
        return finished(self.verifying(workers=workers), on_progress)

    def verifying(self, *, workers: int | None = None) -> Generator[ExtractProgress, None, VerifyReport]:
        """Do the same step by step, for who has something else to do in between.

        Yields:
            How far it is: after each batch, and several times a second.

        Returns:
            What `verify` returns.
        """
        return verify(self._reader, self._cheapest, self._limits, self._lines, workers=workers)


class _PieceReader(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io calls it with
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def open_archive(path: Path | str, *, password: str | None = None, limits: Limits | None = None) -> ArchiveReader:
    """Open an archive of any format: the format is found by content, the parts by name.

    Args:
        path: the archive; any of its parts will do.
        password: the password of a JPS archive.
        limits: what it may unpack to.

    Raises:
        NotFoundError: if there is no such file.
        MissingPartError: if a part is missing.
        UnknownFormatError: if it is no archive.
        WrongPasswordError: if the password does not open it.
        DamagedArchiveError: if its header is damaged.
    """
    try:
        return open_parts(LocalParts(find_parts(Path(path))), password=password, limits=limits)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}.") from error


def open_parts(source: PartSource, *, password: str | None = None, limits: Limits | None = None) -> ArchiveReader:
    """Open an archive whose parts lie anywhere.

    Args:
        source: the parts; closed with the archive, and when this fails.
        password: the password of a JPS archive.
        limits: what it may unpack to.

    Raises:
        UnknownFormatError: if it is no archive.
        WrongPasswordError: if the password does not open it.
        DamagedArchiveError: if its header is damaged.
        BackstayError: if the source cannot be read.
    """
    stream = make_stream(source)
    try:
        return ArchiveReader(stream, make_reader(stream, password), limits or Limits())
    except BaseException:
        stream.close()
        raise
