"""The way out of an archive: a pool reads, inflates and checks the content of entries and hands it to a sink.

It is the mirror of `pack`: small entries that lie side by side are read in one piece and done as one batch, by forked
processes where there may be some; large entries are streamed, each in a thread.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from blake3 import blake3

from backstay.archives import codec
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes
from backstay.archives.entries import Entry, EntryType, Location, ManifestLine
from backstay.archives.workers import count_of, pool_of, processes_of
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from backstay.archives.formats import FormatReader
    from backstay.processes import ProcessPool

_BATCH_ENTRIES = 64
_BATCH_BYTES = 1 << 20
_UNDER_WAY = 24 << 20
_ENTRY_COST = 4096
_MOMENT = 0.1


class Job(NamedTuple):
    """An entry to be read.

    Attributes:
        entry: the entry.
        line: what the manifest says of it, None where nothing does.
        path: where the sink is to put it.
    """

    entry: Entry
    line: ManifestLine | None
    path: str


class Result(NamedTuple):
    """What has become of an entry.

    Attributes:
        job: the entry.
        damage: what is wrong with it, as the end of a sentence; None if nothing is.
        refusal: why the sink did not take it, likewise.
        lost: what of it the sink could not give back, each as a part of a sentence.
        unsupported: why its content cannot be read at all; see `Location.unsupported`.
    """

    job: Job
    damage: str | None = None
    refusal: str | None = None
    lost: tuple[str, ...] = ()
    unsupported: str | None = None


_NOTHING_WRONG = (None, None, (), None)


class RefusedError(Exception):
    """A sink does not take an entry; the message is the end of a sentence that names it."""


class Sink(Protocol):
    """Takes the content of entries; called from many threads, and in other processes."""

    descriptors: tuple[int, ...]
    """The open files that it needs wherever it is called."""

    def prepare(self, job: Job) -> None:
        """Make ready for an entry whatever is to be remembered here; called in order."""

    def take(self, job: Job, pieces: Iterable[bytes]) -> tuple[str, ...]:
        """Take an entry's content.

        Returns:
            What of the entry could not be given back, each as a part of a sentence.

        Raises:
            RefusedError: if it will not.
            DamagedArchiveError: passed on from ``pieces``; nothing of the entry is left then.
        """


def process(
    reader: FormatReader, jobs: Iterable[Job], sink: Sink, *, workers: int | None = None
) -> Iterator[list[Result]]:
    """Read entries with a pool.

    Args:
        reader: the archive.
        jobs: what to read, in the order of the archive; taken lazily, a bounded number ahead.
        sink: what takes the content.
        workers: number of processes or threads, as many as there are processors if None.

    Yields:
        What has become of each batch, in order; nothing, several times a second, while one takes long.
    """
    waiting: deque[tuple[int, Callable[[], list[Result] | None]]] = deque()
    under_way = 0
    count = count_of(workers)
    forks = count if reader.stream.may_fork else 0
    work = partial(_read_elsewhere, reader, sink)
    keep = (*reader.stream.descriptors, *sink.descriptors)
    # Processes first: there are no threads yet.
    with processes_of(forks, work, keep=keep) as processes, pool_of(count, "backstay-read") as pool:
        for batch in _batches(jobs):
            for job in batch:
                sink.prepare(job)
            sizes = [_cost(job.entry) for job in batch]
            cost = _ENTRY_COST * len(batch) + sum(sizes)
            if processes is not None and sum(sizes) <= 2 * _BATCH_BYTES:
                waiting.append((cost, _elsewhere(processes, reader, batch, sink)))
            else:
                waiting.append((cost, _patiently(pool.submit(_read_batch, reader, batch, sink))))
            under_way += cost
            while under_way > _UNDER_WAY:
                cost, result = waiting.popleft()
                under_way -= cost
                yield from _results(result)
        while waiting:
            yield from _results(waiting.popleft()[1])


def _results(result: Callable[[], list[Result] | None]) -> Iterator[list[Result]]:
    while (results := result()) is None:
        yield []
    yield results


def _patiently(future: Future[list[Result]]) -> Callable[[], list[Result] | None]:
    """Give what waits for a batch, but not for longer than a moment."""

    def result() -> list[Result] | None:
        wait([future], _MOMENT)
        return future.result() if future.done() else None

    return result


def _elsewhere(
    processes: ProcessPool, reader: FormatReader, batch: list[Job], sink: Sink
) -> Callable[[], list[Result]]:
    """Have a batch done by another process; give what waits for it, which is not long."""
    task = processes.submit([_message_of(job) for job in batch])

    def result() -> list[Result]:
        troubles, _ = processes.wait(task)
        processes.release(task)
        if troubles is None:
            return _read_batch(reader, batch, sink)
        return [Result(job, *troubles.get(number, ())) for number, job in enumerate(batch)]

    return result


def _read_elsewhere(
    reader: FormatReader, sink: Sink, message: list[tuple[Any, ...]], _: memoryview
) -> dict[int, tuple[str | None, str | None, tuple[str, ...], str | None]]:
    results = _read_batch(reader, [_job_of(values) for values in message], sink)
    return {
        number: (result.damage, result.refusal, result.lost, result.unsupported)
        for number, result in enumerate(results)
        if result[1:] != _NOTHING_WRONG
    }


def _message_of(job: Job) -> tuple[Any, ...]:
    entry, line, path = job
    place = entry.location
    return (
        path, entry.path, entry.type.value, entry.size, entry.compressed_size, entry.mode, entry.mtime, entry.target,
        place and (place.start, place.end, place.method, place.crc, place.unsupported),
        line and (
            line.path, line.type.value, line.size, line.mode, line.mtime, line.blake3, line.target, line.implied,
            tuple(line.attributes) if line.attributes != NO_ATTRIBUTES else None,
        ),
    )  # fmt: skip


def _job_of(values: tuple[Any, ...]) -> Job:
    path, name, kind, size, compressed_size, mode, mtime, target, place, line = values
    location = Location(*place) if place else None
    entry = Entry(name, EntryType(kind), size, compressed_size, mode, mtime, target, location)
    return Job(entry, line and _line_of(line), path)


def _line_of(values: tuple[Any, ...]) -> ManifestLine:
    path, kind, size, mode, mtime, digest, target, implied, kept = values
    attributes = Attributes(*kept) if kept else NO_ATTRIBUTES
    return ManifestLine(path, EntryType(kind), size, mode, mtime, digest, target, implied, attributes)


def _cost(entry: Entry) -> int:
    """Give about how many bytes of memory reading an entry takes."""
    return min(entry.size, codec.WHOLE_LIMIT) + min(entry.compressed_size, codec.WHOLE_LIMIT)


def _batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    size = 0
    for job in jobs:
        cost = max(job.entry.size, job.entry.compressed_size)
        if batch and (size + cost > _BATCH_BYTES or len(batch) >= _BATCH_ENTRIES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += cost
    if batch:
        yield batch


def _read_batch(reader: FormatReader, batch: list[Job], sink: Sink) -> list[Result]:
    data = b""
    base = 0
    first, last = batch[0].entry.location, batch[-1].entry.location
    if first and last and 0 <= last.end - first.start <= 2 * _BATCH_BYTES + (len(batch) << 10):
        # Neighbours are read in one piece, with the headers in between.
        base = first.start
        data = reader.stream.exactly(base, last.end - base)
    return [_read_one(reader, job, sink, data, base) for job in batch]


def _read_one(reader: FormatReader, job: Job, sink: Sink, data: bytes, base: int) -> Result:
    entry, line, _ = job
    lost: tuple[str, ...] = ()
    try:
        location = entry.location
        if location is not None and location.unsupported:
            return Result(job, unsupported=location.unsupported)
        if line is not None:
            _compare(entry, line)
        if location is None or entry.type is not EntryType.FILE:
            lost = sink.take(job, ())
        elif entry.size > codec.WHOLE_LIMIT or entry.compressed_size > 2 * codec.WHOLE_LIMIT:
            lost = sink.take(job, hashed(reader.content(entry), line))
        else:
            start = location.start - base
            within = start >= 0 and start + entry.compressed_size <= len(data) and location.end - base <= len(data)
            raw = (
                data[start : location.end - base]
                if within
                else reader.stream.exactly(location.start, location.end - location.start)
            )
            lost = sink.take(job, (_checked(reader.whole(entry, raw), line),))
    except DamagedArchiveError as error:
        return Result(job, damage=str(error).removesuffix("."))
    except RefusedError as error:
        return Result(job, refusal=str(error))
    return Result(job, lost=lost)


def _checked(content: bytes, line: ManifestLine | None) -> bytes:
    if line is not None and blake3(content).hexdigest() != line.blake3:
        raise DamagedArchiveError("its content is not what the manifest says")
    return content


def _compare(entry: Entry, line: ManifestLine) -> None:
    if entry.type is not line.type:
        raise DamagedArchiveError(f"it is a {entry.type.value} where the manifest lists a {line.type.value}")
    if entry.target != line.target:
        raise DamagedArchiveError("it points to something else than the manifest says")
    if entry.type is EntryType.FILE and entry.size != line.size:
        raise DamagedArchiveError(f"it has {entry.size} bytes where the manifest says {line.size}")


def hashed(pieces: Iterator[bytes], line: ManifestLine | None) -> Iterator[bytes]:
    """Pass content on, and compare it with the manifest's hash at its end.

    Raises:
        DamagedArchiveError: it is another content.
    """
    if line is None:
        yield from pieces
        return
    digest = blake3()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != line.blake3:
        raise DamagedArchiveError("its content is not what the manifest says")
