"""The way into an archive: sources are read, deflated and hashed by a pool, and written in order by one writer.

Many small files go to the pool as one batch, for handing them over one by one costs more than deflating them. Large
files are cut into blocks that are deflated in parallel. What is under way is bounded in bytes, so memory stays flat.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol

from backstay.archives import codec
from backstay.archives.batch import MAXIMUM_BATCH, Batch, batch_of, message_of, prepare_batch
from backstay.archives.content import UnreadableError
from backstay.archives.entries import EntryType, PackProgress, PackWarning
from backstay.archives.large import LargeEntry
from backstay.archives.names import shown
from backstay.archives.workers import count_of, pool_of, processes_of
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from backstay.archives.entries import Source
    from backstay.archives.large import Block
    from backstay.archives.prepare import PreparedEntry
    from backstay.archives.writer import ArchiveWriter, OpenEntry
    from backstay.processes import ProcessPool, Task

_BATCH_FILES = 64
_BATCH_BYTES = 1 << 20
_UNDER_WAY = (24 << 20, 80 << 20)
_PER_WORKER = 3 << 20
_FILE_COST = 4096


class _Step(Protocol):
    cost: int

    def start(self, pool: ThreadPoolExecutor) -> None: ...

    def finish(self, packer: _Packer) -> None: ...


class _Batch:
    """Small entries, made ready together."""

    def __init__(self, sources: list[Source], cost: int, work: Callable[[list[Source]], list[PreparedEntry]]) -> None:
        self.cost = cost
        self._sources = sources
        self._work = work
        self._future: Future[list[PreparedEntry]] | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        self._future = pool.submit(self._work, self._sources)

    def finish(self, packer: _Packer) -> None:
        for prepared in self._future.result() if self._future else ():
            packer.write(prepared)


class _RemoteBatch:
    """Small entries, made ready together by another process."""

    def __init__(self, sources: list[Source], cost: int, processes: ProcessPool) -> None:
        self.cost = cost
        self._sources = sources
        self._processes = processes
        self._task: Task | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:  # noqa: ARG002 - threads are for the rest
        self._task = self._processes.submit(message_of(self._sources))

    def finish(self, packer: _Packer) -> None:
        if self._task is None:
            return
        reply, buffer = self._processes.wait(self._task)
        if reply is None:
            for prepared in packer.writer.preparer.batch(self._sources):
                packer.write(prepared)
        else:
            packer.write_batch(self._sources, batch_of(reply), buffer)
        self._processes.release(self._task)


class _Opening:
    """The header of a large entry."""

    cost = 0

    def __init__(self, large: LargeEntry) -> None:
        self._large = large

    def start(self, pool: ThreadPoolExecutor) -> None:
        """There is nothing to do ahead."""

    def finish(self, packer: _Packer) -> None:
        self._large.begin(packer.writer)


class _Block:
    """A block of a large entry."""

    cost = 2 * codec.BLOCK_SIZE

    def __init__(self, large: LargeEntry, offset: int) -> None:
        self._large = large
        self._offset = offset
        self._future: Future[Block] | None = None

    def start(self, pool: ThreadPoolExecutor) -> None:
        self._future = pool.submit(self._large.block, self._offset)

    def finish(self, packer: _Packer) -> None:
        if self._future is None:
            return
        try:
            block = self._future.result()
        except UnreadableError as error:
            self._large.drop(packer.writer, str(error))
        else:
            self._large.add(packer.writer, block)


class _Ending:
    """The end of a large entry, where its header is patched."""

    cost = 0

    def __init__(self, large: LargeEntry) -> None:
        self._large = large

    def start(self, pool: ThreadPoolExecutor) -> None:
        """There is nothing to do ahead."""

    def finish(self, packer: _Packer) -> None:
        warning = self._large.end(packer.writer)
        if warning:
            packer.warn(self._large.source.path, warning)


class _Refusal:
    """A large entry that cannot be stored."""

    cost = 0

    def __init__(self, path: str, reason: str) -> None:
        self._path = path
        self._reason = reason

    def start(self, pool: ThreadPoolExecutor) -> None:
        """There is nothing to do ahead."""

    def finish(self, packer: _Packer) -> None:
        packer.warn(self._path, self._reason)
        packer.writer.last_path = self._path


class _Packer:
    def __init__(
        self,
        writer: ArchiveWriter,
        pool: ThreadPoolExecutor,
        processes: ProcessPool | None,
        workers: int,
        on_warning: Callable[[PackWarning], None],
    ) -> None:
        self.writer = writer
        self._processes = processes
        least, most = _UNDER_WAY
        self._most_under_way = min(max(least, workers * _PER_WORKER), most)
        self._pool = pool
        self._on_warning = on_warning
        self._larges: list[LargeEntry] = []

    def run(self, sources: Iterable[Source]) -> Iterator[PackProgress]:
        waiting: deque[_Step] = deque()
        under_way = 0
        for step in self._steps(sources):
            step.start(self._pool)
            waiting.append(step)
            under_way += step.cost
            while under_way > self._most_under_way:
                first = waiting.popleft()
                under_way -= first.cost
                first.finish(self)
                yield self._progress()
        while waiting:
            waiting.popleft().finish(self)
            yield self._progress()

    def warn(self, path: str, message: str) -> None:
        self._on_warning(PackWarning(path, f"{shown(path)} {message}."))

    def write(self, prepared: PreparedEntry) -> None:
        if prepared.too_large:
            for step in self._large_steps(prepared.source):
                step.start(self._pool)
                step.finish(self)
            return
        if prepared.warning:
            self.warn(prepared.source.path, prepared.warning)
        self.writer.add(prepared)

    def write_batch(self, sources: list[Source], batch: Batch, buffer: memoryview) -> None:
        for source, entry in zip(sources, batch.entries, strict=True):
            if entry.warning:
                self.warn(source.path, entry.warning)
        self.writer.add_batch(sources, batch, buffer)

    def close(self) -> None:
        for large in self._larges:
            large.close()

    def _progress(self) -> PackProgress:
        writer = self.writer
        return PackProgress(writer.entries, writer.bytes_in, writer.bytes_out, writer.last_path)

    def _steps(self, sources: Iterable[Source]) -> Iterator[_Step]:
        batch: list[Source] = []
        size = 0
        begun = self.writer.open_entry
        for source in sources:
            expected = _expected(source)
            if batch and (size + expected > _BATCH_BYTES or len(batch) >= _BATCH_FILES):
                yield self._batch(batch, size)
                batch, size = [], 0
            if source.type is EntryType.FILE and expected > codec.WHOLE_LIMIT:
                if batch:
                    yield self._batch(batch, size)
                    batch, size = [], 0
                yield from self._large_steps(source, begun)
            else:
                if begun is not None:
                    self.writer.drop_entry()
                batch.append(source)
                size += expected
            begun = None
        if batch:
            yield self._batch(batch, size)

    def _batch(self, batch: list[Source], size: int) -> _Step:
        cost = 2 * size + _FILE_COST * len(batch)
        if self._processes is not None and size <= _BATCH_BYTES:
            return _RemoteBatch(batch, cost, self._processes)
        return _Batch(batch, cost, self.writer.preparer.batch)

    def _large_steps(self, source: Source, begun: OpenEntry | None = None) -> Iterator[_Step]:
        large = None
        reason = self.writer.preparer.why_not(source)
        if reason is None:
            try:
                large = LargeEntry(source, self.writer, begun)
            except UnreadableError as error:
                if source.deflated:
                    raise ArchiveError(f"{source.deflated.path} {error}.") from error
                reason = str(error)
            else:
                self._larges = [*(other for other in self._larges if not other.closed), large]
                reason = large.why_not
        if large is None or reason:
            if begun is not None:
                self.writer.drop_entry()
            yield _Refusal(source.path, reason or "")
            return
        yield _Opening(large)
        for offset in range(large.start, large.length, large.block_size):
            yield _Block(large, offset)
        yield _Ending(large)


def _expected(source: Source) -> int:
    if source.deflated:
        # What inflates to much more than it takes is still held whole by formats that deflate it anew.
        return source.deflated.size
    return len(source.data) if source.data is not None else source.size


def pack(
    writer: ArchiveWriter,
    sources: Iterable[Source],
    *,
    workers: int | None = None,
    on_warning: Callable[[PackWarning], None] = lambda _: None,
) -> Generator[PackProgress]:
    """Write sources into an archive, in their order.

    After a crash, give the sources from the checkpoint's ``last_path`` on: a file in the middle of which the checkpoint
    was taken comes first again, and goes on from there if it is still the same, or else starts over.

    Args:
        writer: the archive.
        sources: what to write; read lazily, a bounded number ahead.
        workers: processes, and threads for large files, that read and deflate; as many as there are processors if None.
        on_warning: called for each source that could not be stored, or not as it was. Nothing that happens to a source
            while it is read breaks the archive.

    Yields:
        How far it has come, after each batch and each block. At every yield a checkpoint may be taken.

    Raises:
        DiskFullError: if there is no space left.
    """
    count = count_of(workers)
    # Processes first: there are no threads yet.
    work = partial(prepare_batch, writer.preparer)
    with processes_of(count, work, memory=MAXIMUM_BATCH) as processes, pool_of(count, "backstay-pack") as pool:
        packer = _Packer(writer, pool, processes, count, on_warning)
        try:
            yield from packer.run(sources)
        finally:
            # What is under way still reads the files.
            pool.shutdown(cancel_futures=True)
            packer.close()
