"""Taking a snapshot of what a walk finds: files are read by threads, what has not changed is not opened."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import EntryType, PackWarning, Source
from backstay.archives import manifest as manifest_format
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes
from backstay.archives.codec import WHOLE_LIMIT
from backstay.archives.content import CHANGED, LargeFile, UnreadableError, inflated, original_attributes, read_file
from backstay.archives.entries import DeflatedFile, ManifestLine, PackProgress
from backstay.archives.manifest import pack_file_line, pack_line
from backstay.archives.names import path_bytes, shown, why_not_storable
from backstay.archives.prepare import line_of_other
from backstay.errors import ArchiveError
from backstay.repository.lines import Line, chunks_of, pack, pack_file
from backstay.repository.seen import Seen, SeenReader, SeenWriter, Status, may_change_unseen, pack_seen, status_of
from backstay.repository.writing import Encoded, SnapshotWriter

_BATCH_SOURCES = 64
_BATCH_BYTES = 1 << 20
_SOURCE_COST = 4096
_BLOCK = 1 << 20
_END = 2


class Look(NamedTuple):
    """What a walk saw of a path that is to be read.

    Attributes:
        key: its place in the order of the walk.
        status: what it is known by.
        fresh: it may change once more without its times showing it.
    """

    key: bytes
    status: Status
    fresh: bool

    @property
    def is_known(self) -> bool:
        """False."""
        return False


@dataclass(slots=True)
class _Prepared:
    """A source that was read.

    Attributes:
        source: it.
        text: its line; of a file as the manifest has it.
        encoded: the pieces of a file.
        size: bytes of its content.
        crc: CRC-32 of it.
        keep: what the next backup is to know it by; None: that is to read it.
        same: it was not read, for it has not changed.
        warning: the end of a sentence that names it.
        grown: it is too large by now to be read at once.
    """

    source: Source
    text: bytes = b""
    encoded: list[Encoded] | None = None
    size: int = 0
    crc: int = 0
    keep: Look | None = None
    same: bool = False
    warning: str | None = None
    grown: bool = False


@dataclass(slots=True)
class _Batch:
    sources: list[Source] = field(default_factory=list)
    size: int = 0
    reads: bool = False


class SnapshotTaking:
    """Puts what a walk finds into a snapshot, in order.

    Args:
        writer: of the snapshot.
        before: what the last backup saw; None: everything is read.
        after: notes what this one sees; None: nothing is noted.
        trusted: all that the last backup refers to is in the repository; else each chunk is looked for.

    Attributes:
        last_path: the last path that was taken.
        not_read: paths that were not read, for they have not changed.
    """

    def __init__(
        self,
        writer: SnapshotWriter,
        before: SeenReader | None = None,
        after: SeenWriter | None = None,
        *,
        trusted: bool = False,
    ) -> None:
        self._writer = writer
        self._before = before
        self._after = after
        self._trusted = trusted
        self._warn: Callable[[PackWarning], None] = lambda _: None
        self.last_path: str | None = None
        self.not_read = 0

    # ------------------------------------------------------------------ the walk

    def look(self, key: bytes, status: os.stat_result, mode: int, *, implied: bool = False) -> Look | Seen:
        """Look at a path on the walk; paths come in the order of their keys.

        Args:
            key: its place in the order.
            status: of it.
            mode: as it is stored.
            implied: a folder that its content implies.
        """
        found = status_of(status, mode, implied=implied)
        before = self._before.take(key, found) if self._before is not None else None
        return before or Look(key, found, may_change_unseen(status, time.time_ns()))

    def take(self, sources: Iterable[Source], on_warning: Callable[[PackWarning], None]) -> Iterator[PackProgress]:
        """Take sources, in their order.

        Args:
            sources: read lazily, a bounded number ahead.
            on_warning: called for each source that could not be stored, or not as it was.

        Yields:
            How far it has come.

        Raises:
            DiskFullError: there is no space left.
            BackstayError: something could not be written.
        """
        self._warn = on_warning
        batch = _Batch()
        quiet = 0
        for source in sources:
            known = type(source.seen) is Seen
            if known and self._trusted and not batch.sources and self._writer.is_idle:
                self._end_same(source)
                quiet += 1
                if quiet % _BATCH_SOURCES == 0:
                    yield self.progress()
                continue
            size = source.deflated.size if source.deflated else source.size
            if not known and size > WHOLE_LIMIT:
                self._begin(batch)
                batch = _Batch()
                yield from self._take_large(source)
                continue
            batch.sources.append(source)
            batch.size += 0 if known else size
            batch.reads |= not known
            if batch.size >= _BATCH_BYTES or len(batch.sources) >= _BATCH_SOURCES:
                self._begin(batch)
                batch = _Batch()
                yield self.progress()
        self._begin(batch)
        for _ in self._writer.finishing():
            yield self.progress()

    def progress(self) -> PackProgress:
        """Say how far it has come."""
        writer = self._writer
        return PackProgress(writer.entries, writer.size, writer.added, self.last_path)

    def _begin(self, batch: _Batch) -> None:
        if not batch.sources:
            return
        if not batch.reads and self._trusted:
            self._writer.then(partial(self._end, [_Prepared(source, same=True) for source in batch.sources]))
            return
        cost = batch.size + _SOURCE_COST * len(batch.sources)
        self._writer.do(cost, partial(self._prepared, batch.sources), self._end)

    # ------------------------------------------------------------------ in threads

    def _prepared(self, sources: list[Source]) -> list[_Prepared]:
        usable = self._usable(sources)
        prepared = []
        contents: list[bytes] = []
        counts: list[int] = []
        for source in sources:
            if isinstance(source.seen, Seen) and (self._trusted or source.path in usable):
                one = _Prepared(source, same=True)
                pieces: list[bytes] = []
            else:
                one, pieces = self._read(source)
            prepared.append(one)
            contents += pieces
            counts.append(len(pieces))
        encoded = iter(self._writer.encoded(contents))
        for one, count in zip(prepared, counts, strict=True):
            one.encoded = [next(encoded) for _ in range(count)]
        return prepared

    def _usable(self, sources: list[Source]) -> set[str]:
        """Give the paths of those of which all that was stored is in the repository still."""
        if self._trusted:
            return set()
        refs = {source.path: chunks_of(source.seen.text) for source in sources if isinstance(source.seen, Seen)}
        there = self._writer.stored(list({ref for found in refs.values() for ref in found}))
        return {path for path, found in refs.items() if there.issuperset(found)}

    def _read(self, source: Source) -> tuple[_Prepared, list[bytes]]:
        """Read a source; give with it the pieces of its content."""
        if (reason := self._why_not(source)) is not None:
            return _Prepared(source, warning=reason), []
        if source.type is not EntryType.FILE:
            line, warning = line_of_other(source)
            keep = source.seen if isinstance(source.seen, Look) and not source.seen.fresh and not warning else None
            return _Prepared(source, pack_line(line) if line else b"", keep=keep, warning=warning), []
        if source.deflated is not None:
            content = b"".join(_inflated(source.deflated))
            return self._file(source, content, source.mode, source.mtime, NO_ATTRIBUTES)
        if source.data is not None:
            return self._file(source, source.data, source.mode, source.mtime, NO_ATTRIBUTES)
        return self._read_file(source)

    def _read_file(self, source: Source) -> tuple[_Prepared, list[bytes]]:
        begun = time.time_ns()
        try:
            found = read_file(source.file or "", source.size, source.mtime)
        except UnreadableError as error:
            return _Prepared(source, warning=str(error)), []
        if found is None:
            return _Prepared(source, grown=True), []
        attributes = found.attributes if source.original is None else original_attributes(source)[0]
        one, pieces = self._file(source, found.data, found.mode, found.mtime, attributes)
        one.warning = found.warning
        one.keep = None if found.warning else _kept(source, found.status, begun)
        return one, pieces

    def _file(
        self, source: Source, content: bytes, mode: int, mtime: int, attributes: Attributes
    ) -> tuple[_Prepared, list[bytes]]:
        size = len(content)
        text = pack_file_line(source.path, size, mode, mtime, blake3(content).hexdigest(), attributes)
        pieces = list(self._writer.cut((content,), fine=source.deflated is not None)) if content else []
        return _Prepared(source, text, size=size, crc=isal_zlib.crc32(content)), pieces

    @staticmethod
    def _why_not(source: Source) -> str | None:
        if manifest_format.piece_number(source.path) is not None or source.path == manifest_format.POINTER:
            return "has the name of the archive's own manifest"
        return why_not_storable(source.path)

    # ------------------------------------------------------------------ in order

    def _end(self, prepared: list[_Prepared], _nothing: None = None) -> None:
        for one in prepared:
            self._end_one(self._read_grown(one.source) if one.grown else one)

    def _end_same(self, source: Source) -> None:
        seen = source.seen
        if not isinstance(seen, Seen):
            return
        self.last_path = source.path
        self.not_read += 1
        self._writer.add_text(source.path.encode("utf-8", "surrogateescape"), seen.text, seen.size, seen.deflated)
        if self._after is not None:
            self._after.add(seen.record)

    def _end_one(self, one: _Prepared) -> None:
        source = one.source
        self.last_path = source.path
        if one.warning:
            self._warn(PackWarning(source.path, f"{shown(source.path)} {one.warning}."))
        path = path_bytes(source.path)
        if one.same:
            self._end_same(source)
            return
        if not one.text:
            return
        text, deflated = one.text, 0
        if source.type is EntryType.FILE:
            refs = self._writer.commit(one.encoded or ())
            text, deflated = pack_file(text, one.crc, refs), sum([ref.deflated for ref in refs]) + _END
        self._writer.add_text(path, text, one.size, deflated)
        self._keep(one.keep, text, deflated)

    def _keep(self, look: Look | None, text: bytes, deflated: int) -> None:
        if look is not None and self._after is not None:
            self._after.add(pack_seen(look.key, look.status, text, deflated))

    # ------------------------------------------------------------------ large files

    def _take_large(self, source: Source) -> Iterator[PackProgress]:
        """Read a large file piece by piece; the pieces are named and deflated by threads."""
        if (reason := self._why_not(source)) is not None:
            self._refuse(source, reason)
            return
        begun = time.time_ns()
        try:
            with _opened(source) as content:
                line = ManifestLine(source.path, EntryType.FILE, 0, content.mode, content.mtime, None)
                line = replace(line, attributes=content.attributes)
                end = partial(self._end_large, source, content, begun)
                fine = source.deflated is not None
                for _ in self._writer.adding_file(line, content.pieces(), end, fine=fine):
                    yield self.progress()
        except UnreadableError as error:
            self._refuse(source, str(error))

    def _end_large(self, source: Source, content: _LargeContent, begun: int, line: Line) -> None:
        self.last_path = source.path
        if content.warning:
            self._warn(PackWarning(source.path, f"{shown(source.path)} {content.warning}."))
        elif content.status is not None:
            self._keep(_kept(source, content.status, begun), pack(line), line.deflated)

    def _refuse(self, source: Source, reason: str) -> None:
        self._writer.then(lambda _: self._end_one(_Prepared(source, warning=reason)))

    def _read_grown(self, source: Source) -> _Prepared:
        """Read a file that was small on the walk and is not any more."""
        digest, crc, size = blake3(), 0, 0
        encoded: list[Encoded] = []
        try:
            with _opened(source) as content:
                for piece in self._writer.cut(content.pieces()):
                    digest.update(piece)
                    crc, size = isal_zlib.crc32(piece, crc), size + len(piece)
                    found = self._writer.encoded([piece])[0]
                    encoded.append(Encoded(self._writer.commit([found])[0], None))
        except UnreadableError as error:
            return _Prepared(source, warning=str(error))
        text = pack_file_line(source.path, size, content.mode, content.mtime, digest.hexdigest(), content.attributes)
        return _Prepared(source, text, encoded, size, crc, warning=content.warning)


class _LargeContent:
    """The content of a large file, piece by piece; what it says of itself is known when all was read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file = None if source.deflated is not None or source.data is not None else LargeFile(source.file or "")
        self.mode = self._file.mode if self._file else source.mode
        self.mtime = self._file.mtime if self._file else source.mtime
        self.attributes = self._file.attributes if self._file else NO_ATTRIBUTES
        self.warning = self._file.warning if self._file else None
        if source.original is not None:
            self.attributes = original_attributes(source)[0]
        self.status: os.stat_result | None = None

    def pieces(self) -> Iterator[bytes]:
        """Read it.

        Raises:
            UnreadableError: it cannot be read.
        """
        if self._source.deflated is not None:
            yield from _inflated(self._source.deflated)
        elif self._file is None:
            yield self._source.data or b""
        else:
            offset = 0
            # What is appended meanwhile belongs to the next backup.
            while piece := self._file.block(offset, min(_BLOCK, self._file.size - offset)):
                offset += len(piece)
                yield piece
            if self._file.changed():
                self.warning = CHANGED
            self.status = self._file.status()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[_LargeContent]:
    content = _LargeContent(source)
    try:
        yield content
    finally:
        content.close()


def _inflated(spool: DeflatedFile) -> Iterator[bytes]:
    """Inflate the text of a dump.

    Raises:
        ArchiveError: it is not what was written.
    """
    digest = blake3()
    try:
        for piece in inflated(spool):
            digest.update(piece)
            yield piece
    except OSError as error:
        raise ArchiveError(f"{spool.path} cannot be read: {error.strerror}.") from error
    if digest.hexdigest() != spool.blake3:
        raise ArchiveError(f"{spool.path} is not what was written: check the disk.")


def _kept(source: Source, status: os.stat_result, begun: int) -> Look | None:
    """Give what the next backup is to know a file by; None where it is to read it.

    Args:
        source: the file.
        status: of it, from behind the reading.
        begun: Unix nanoseconds, from before it.
    """
    look = source.seen
    if not isinstance(look, Look) or source.original is not None or may_change_unseen(status, begun):
        return None
    return look if status_of(status, status.st_mode) == look.status else None
