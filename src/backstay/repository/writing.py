"""Writing a snapshot: content is cut, named and deflated by threads, and put into packs in order by one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from blake3 import blake3
from isal import isal_zlib
from pyfastcdc import FastCDC

from backstay.archives.codec import Codec
from backstay.archives.entries import Compression, ManifestLine
from backstay.archives.workers import count_of
from backstay.errors import RepositoryError
from backstay.repository import marks
from backstay.repository.layout import DATA, ChunkRef, Snapshot, form_of
from backstay.repository.lines import Line, LineWriter, file_line, other_line
from backstay.repository.opened import Repository
from backstay.repository.packs import FinishedPack, PackBuilder, pack_name
from backstay.repository.work import WorkFolder, dead, remove_folder

_UNDER_WAY = 48 << 20
_MOST_STEPS = 512
_SENDERS = 2
_MOST_SENT = 3


class _Encoded(NamedTuple):
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
        average = repository.description.average
        self._whole = average
        self._cutter = FastCDC(average, min_size=average // 4, max_size=average * 4, seed=repository.keys.cutting_seed)
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
        self._steps: deque[tuple[int, Future[_Encoded] | None, _File | Line]] = deque()
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
        self._enqueue(0, None, other_line(line))

    def add_file(self, line: ManifestLine, pieces: Iterable[bytes]) -> None:
        """Add a file.

        Args:
            line: what is known of it; size and hash are those of the content, whatever it says.
            pieces: its content.

        Raises:
            BackstayError: something could not be written.
        """
        source = iter(pieces)
        first = b""
        for piece in source:
            first += piece
            if len(first) > self._whole:
                break
        file = _File(line, 0, [])
        if len(first) <= self._whole:
            if first:
                self._enqueue(len(first), self._pool.submit(self._encoded, first), file)
            digest, size, file.crc = blake3(first), len(first), isal_zlib.crc32(first)
        else:
            digest, size = self._add_large(file, _chained(first, source))
        file.line = replace(line, size=size, blake3=digest.hexdigest())
        self._enqueue(0, None, file)

    def _add_large(self, file: _File, pieces: Iterator[bytes]) -> tuple[Any, int]:
        digest = blake3()
        size = 0
        for cut in self._cutter.cut_stream(_Pieces(pieces)):
            content = bytes(cut.data)
            digest.update(content)
            file.crc = isal_zlib.crc32(content, file.crc)
            size += len(content)
            self._enqueue(len(content), self._pool.submit(self._encoded, content), file)
        return digest, size

    # ------------------------------------------------------------------ chunks

    def _encoded(self, content: bytes) -> _Encoded:
        """Name a chunk and, where the repository does not have it, make it ready to be stored."""
        identity = self._keys.identity(content)
        known = self._new.get(identity)
        if known is None:
            there = self._repository.index.usable([identity]).get(identity)
            known = there[0] if there else None
        if known is not None:
            return _Encoded(known, None)
        deflated = self._codec.block(content)
        ref = ChunkRef(identity, len(content), len(deflated), form_of(deflated))
        return _Encoded(ref, self._keys.seal(deflated, identity))

    def _enqueue(self, cost: int, future: Future[_Encoded] | None, item: _File | Line) -> None:
        self._steps.append((cost, future, item))
        self._under_way += cost
        while self._under_way > _UNDER_WAY or len(self._steps) > _MOST_STEPS:
            self._take()

    def _take(self) -> None:
        """Bring the first of what is under way to its end."""
        cost, future, item = self._steps.popleft()
        self._under_way -= cost
        if future is not None and isinstance(item, _File):
            item.refs.append(self._commit(future.result(), DATA))
            return
        line = file_line(item.line, item.crc, tuple(item.refs)) if isinstance(item, _File) else item
        self.entries += 1
        self.size += line.line.size if line.line.blake3 is not None else 0
        self._deflated += line.deflated if line.line.blake3 is not None else 0
        self._lines.add(line)

    def _commit(self, encoded: _Encoded, kind: int) -> ChunkRef:
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
        return self._commit(self._encoded(content), kind)

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

    def finish(self, record: dict[str, Any]) -> Snapshot:
        """Write what is left, and the snapshot.

        Args:
            record: what is known of the backup, as plain JSON.

        Returns:
            The snapshot: the backup is complete.

        Raises:
            RepositoryError: this writer was taken for dead, and what it refers to may be gone.
            BackstayError: something could not be written.
        """
        while self._steps:
            self._take()
        lists = self._lines.finish()
        self._write_line_chunks()
        self._end_pack()
        while self._sent:
            self._arrived(self._sent.popleft().result())
        created = datetime.now(UTC)
        snapshot = Snapshot(marks.new_id(), created, record, self.entries, self.size, self._deflated, self.added, lists)
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
