"""Writing a snapshot: content is cut, named and deflated by threads, and put into packs in order by one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from blake3 import blake3
from isal import isal_zlib
from pyfastcdc import FastCDC

from backstay.archives.codec import Codec
from backstay.archives.entries import Compression, ManifestLine
from backstay.archives.names import path_bytes
from backstay.archives.workers import count_of
from backstay.errors import RepositoryError
from backstay.repository import marks
from backstay.repository.layout import DATA, ChunkRef, Snapshot, form_of
from backstay.repository.lines import Line, LineWriter, file_line, other_line, pack
from backstay.repository.opened import Repository
from backstay.repository.packs import FinishedPack, PackBuilder, pack_name
from backstay.repository.work import WorkFolder, dead, remove_folder

T = TypeVar("T")

_UNDER_WAY = 48 << 20
_MOST_STEPS = 512
_FINE = 16 << 10
_SENDERS = 2
_MOST_SENT = 3


class Encoded(NamedTuple):
    """A chunk that was named; its stored bytes where it is not in the repository yet."""

    ref: ChunkRef
    stored: bytes | None


@dataclass(slots=True)
class _File:
    """A file whose pieces are under way."""

    line: ManifestLine
    crc: int
    refs: list[ChunkRef]


class _Pieces:
    """An iterator of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)


class SnapshotWriter:
    """Writes one snapshot. Either `finish` or `abort` ends it.

    Args:
        repository: where it goes.
        compression: how hard to compress what is new.
        workers: threads; as many as there are processors if None.
    """

    def __init__(
        self, repository: Repository, *, compression: Compression = Compression.FAST, workers: int | None = None
    ) -> None:
        self._repository = repository
        self._keys = repository.keys
        self._codec = Codec(compression)
        self._average = repository.description.average
        self.id = marks.new_id()
        for identity in dead(repository.work):
            marks.deregister(repository.store, identity)
            remove_folder(repository.work, identity)
        self._folder = WorkFolder(repository.work, self.id)
        try:
            # First this, then a look at what is there: see `backstay.repository.marks`.
            marks.register(repository.store, marks.Writer(self.id, "backup", time.time()))
            repository.refresh()
        except BaseException:
            marks.end(repository.store, self.id, self._folder)
            raise
        self._beaten = time.monotonic()
        self._pool = ThreadPoolExecutor(count_of(workers), "backstay-chunks")
        self._senders = ThreadPoolExecutor(_SENDERS, "backstay-packs")
        self._steps: deque[tuple[int, Future[Any] | None, Callable[[Any], None]]] = deque()
        self._under_way = 0
        self._new: dict[bytes, ChunkRef] = {}
        self._sent: deque[Future[FinishedPack]] = deque()
        self._pack: PackBuilder | None = None
        self._lines = LineWriter(self._store_now)
        # Lines wait for the end of the pack, so that they lie side by side.
        self._line_chunks: list[tuple[ChunkRef, bytes, int]] = []
        self._line_bytes = 0
        self.entries = 0
        self.size = 0
        self.added = 0
        self._deflated = 0

    # ------------------------------------------------------------------ what goes in

    def add(self, line: ManifestLine) -> None:
        """Add a folder or a link."""
        self._enqueue(0, None, partial(self._end_line, other_line(line)))

    def add_file(self, line: ManifestLine, pieces: Iterable[bytes]) -> None:
        """Add a file.

        Args:
            line: what is known of it; size and hash are those of the content, whatever it says.
            pieces: its content.

        Raises:
            BackstayError: something could not be written.
        """
        for _ in self.adding_file(line, pieces):
            pass

    def adding_file(
        self,
        line: ManifestLine,
        pieces: Iterable[bytes],
        on_end: Callable[[Line], None] = lambda _: None,
        *,
        fine: bool = False,
    ) -> Iterator[int]:
        """Add a file; see `add_file`.

        Args:
            line: likewise.
            pieces: likewise; where one raises an error, the file is not added.
            on_end: called with its line when all of it is in packs or in the repository.
            fine: see `cut`.

        Yields:
            The bytes of each piece that was read.
        """
        file = _File(line, 0, [])
        digest = blake3()
        size = 0
        for content in self.cut(pieces, fine=fine):
            digest.update(content)
            file.crc = isal_zlib.crc32(content, file.crc)
            size += len(content)
            self.do(len(content), partial(self.encoded, [content]), partial(self._add_chunks, file))
            yield len(content)
        file.line = replace(line, size=size, blake3=digest.hexdigest())
        self._enqueue(0, None, partial(self._end_file, file, on_end))

    def cut(self, pieces: Iterable[bytes], *, fine: bool = False) -> Iterator[bytes]:
        """Cut the content of a file by what it holds.

        Args:
            pieces: its content.
            fine: into small pieces, for it is the text of a dump, a little of which changes everywhere.

        Yields:
            The pieces; what is no longer than one is on average stays whole.
        """
        source = iter(pieces)
        average = min(self._average, _FINE) if fine else self._average
        first = b""
        for piece in source:
            first += piece
            if len(first) > average:
                break
        if len(first) > average:
            # One for each file: it may be called from several threads.
            cutter = FastCDC(average, min_size=average // 4, max_size=average * 4, seed=self._keys.cutting_seed)
            yield from (bytes(cut.data) for cut in cutter.cut_stream(_Pieces(_chained(first, source))))
        elif first:
            yield first

    def add_text(self, path: bytes, text: bytes, size: int, deflated: int) -> None:
        """Add a line as the repository keeps it, all chunks of which are in packs or in the repository.

        Args:
            path: of the line.
            text: the line.
            size: bytes of its content.
            deflated: bytes of it deflated, its end included; 0 for what is no file.
        """
        self.entries += 1
        self.size += size
        self._deflated += deflated
        self._lines.add_text(path, text)

    # ------------------------------------------------------------------ chunks

    def stored(self, refs: Sequence[ChunkRef]) -> set[ChunkRef]:
        """Give those of some chunks that are in the repository, and may be referred to."""
        there = self._repository.index.usable([ref.identity for ref in refs])
        return {ref for found in there.values() for ref in found}

    def encoded(self, contents: Sequence[bytes]) -> list[Encoded]:
        """Name chunks and, where the repository does not have them, make them ready to be stored."""
        identities = [self._keys.identity(content) for content in contents]
        # In this order: what is in a pack that has arrived is in the index before it leaves this.
        new = [self._new.get(identity) for identity in identities]
        asked = [identity for identity, known in zip(identities, new, strict=True) if known is None]
        there = self._repository.index.usable(asked) if asked else {}
        return [
            self._encoded_one(content, identity, known or next(iter(there.get(identity, ())), None))
            for content, identity, known in zip(contents, identities, new, strict=True)
        ]

    def _encoded_one(self, content: bytes, identity: bytes, known: ChunkRef | None) -> Encoded:
        if known is not None:
            return Encoded(known, None)
        deflated = self._codec.block(content)
        ref = ChunkRef(identity, len(content), len(deflated), form_of(deflated))
        return Encoded(ref, self._keys.seal(deflated, identity))

    def do(self, cost: int, work: Callable[[], T], finish: Callable[[T], None]) -> None:
        """Have work done by a thread, and what it gives brought to its end in the order in which it was given here.

        Args:
            cost: bytes that it holds.
            work: what is done.
            finish: takes what it gives.
        """
        self._enqueue(cost, self._pool.submit(work), finish)

    @property
    def is_idle(self) -> bool:
        """Nothing is under way."""
        return not self._steps

    def then(self, finish: Callable[[None], None]) -> None:
        """Have something done in the order of what was given to `do`."""
        self._enqueue(0, None, finish)

    def _enqueue(self, cost: int, future: Future[Any] | None, finish: Callable[[Any], None]) -> None:
        self._steps.append((cost, future, finish))
        self._under_way += cost
        while self._under_way > _UNDER_WAY or len(self._steps) > _MOST_STEPS:
            self._take()

    def _take(self) -> None:
        """Bring the first of what is under way to its end."""
        cost, future, finish = self._steps.popleft()
        self._under_way -= cost
        finish(None if future is None else future.result())

    def finishing(self) -> Iterator[None]:
        """Bring all that is under way to its end, step by step."""
        while self._steps:
            self._take()
            yield

    def _add_chunks(self, file: _File, encoded: list[Encoded]) -> None:
        file.refs += self.commit(encoded)

    def _end_file(self, file: _File, on_end: Callable[[Line], None], _nothing: None) -> None:
        line = file_line(file.line, file.crc, tuple(file.refs))
        self._end_line(line, None)
        on_end(line)

    def _end_line(self, line: Line, _nothing: None) -> None:
        is_file = line.line.blake3 is not None
        size, deflated = (line.line.size, line.deflated) if is_file else (0, 0)
        self.add_text(path_bytes(line.line.path), pack(line), size, deflated)

    def commit(self, encoded: Iterable[Encoded]) -> list[ChunkRef]:
        """Put chunks of files into packs where they are new; give the references to them."""
        return [self._commit(each, DATA) for each in encoded]

    def _commit(self, encoded: Encoded, kind: int) -> ChunkRef:
        ref, stored = encoded
        if stored is None:
            return ref
        known = self._new.get(ref.identity)
        if known is not None:
            return known
        self._new[ref.identity] = ref
        self.added += len(stored)
        if kind != DATA:
            self._line_chunks.append((ref, stored, kind))
            self._line_bytes += len(stored)
            if self._line_bytes >= _UNDER_WAY // 2:
                self._write_line_chunks()
            return ref
        self._write(ref, stored, kind)
        return ref

    def _store_now(self, content: bytes, kind: int) -> ChunkRef:
        return self._commit(self.encoded([content])[0], kind)

    def _write_line_chunks(self) -> None:
        for ref, stored, kind in self._line_chunks:
            self._write(ref, stored, kind)
        self._line_chunks.clear()
        self._line_bytes = 0

    def _write(self, ref: ChunkRef, stored: bytes, kind: int) -> None:
        if self._pack is None:
            self._pack = PackBuilder(self._folder.path, self._keys)
        self._pack.add(ref, stored, kind)
        if self._pack.is_full:
            self._end_pack()

    def _end_pack(self) -> None:
        """Let the pack be sent, while what follows goes into the next."""
        if self._pack is None:
            return
        finished = self._pack.finish()
        self._pack = None
        self._sent.append(self._senders.submit(self._send, finished))
        while len(self._sent) > _MOST_SENT or (self._sent and self._sent[0].done()):
            self._arrived(self._sent.popleft().result())
        if time.monotonic() - self._beaten > marks.BEAT_SECONDS:
            self._beaten = time.monotonic()
            marks.beat(self._repository.store, self.id)

    def _send(self, pack: FinishedPack) -> FinishedPack:
        self._repository.store.put_file(pack_name(pack.id), pack.path, pack.digest, locked=True)
        pack.path.unlink()
        self._repository.index.add_pack(pack.id, pack.size, pack.rows)
        return pack

    def _arrived(self, pack: FinishedPack) -> None:
        for row in pack.rows:
            self._new.pop(row.ref.identity, None)

    # ------------------------------------------------------------------ the end

    def finish(self, record: dict[str, Any], identity: str | None = None) -> Snapshot:
        """Write what is left, and the snapshot.

        Args:
            record: what is known of the backup, as plain JSON.
            identity: of the snapshot, of 16 hexadecimal digits that nobody else has; None: one is made.

        Returns:
            The snapshot: the backup is complete.

        Raises:
            RepositoryError: this writer was taken for dead, and what it refers to may be gone.
            BackstayError: something could not be written.
        """
        for _ in self.finishing():
            pass
        lists = self._lines.finish()
        self._write_line_chunks()
        self._end_pack()
        while self._sent:
            self._arrived(self._sent.popleft().result())
        created = datetime.now(UTC)
        name = identity or marks.new_id()
        snapshot = Snapshot(name, created, record, self.entries, self.size, self._deflated, self.added, lists)
        self._require_registration()
        self._repository.put_snapshot(snapshot)
        try:
            self._require_registration()
        except RepositoryError:
            self._repository.remove_snapshot(snapshot.id)
            raise
        self._release()
        return snapshot

    def _require_registration(self) -> None:
        if not marks.is_registered(self._repository.store, self.id):
            raise RepositoryError(
                "This backup gave no sign of life for a day, and the repository was pruned meanwhile: take it again."
            )

    def abort(self) -> None:
        """Give up: what was sent already is removed by the next `prune`."""
        for _, future, _ in self._steps:
            if future is not None:
                future.cancel()
        self._steps.clear()
        if self._pack is not None:
            self._pack.discard()
            self._pack = None
        self._release()

    def _release(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._senders.shutdown(cancel_futures=True)
        marks.end(self._repository.store, self.id, self._folder)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
