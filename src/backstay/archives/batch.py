"""Batches of small entries made ready by another process: what goes there and what comes back, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backstay.archives.entries import DeflatedFile, EntryType, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.archives.prepare import Preparer

MAXIMUM_BATCH = (1 << 20) + (1 << 18)
"""Bytes that a batch takes at most, made ready; what takes more is made ready where it is written."""

_FILE = EntryType.FILE


class BatchEntry(NamedTuple):
    """An entry of a batch that is ready to be written.

    Attributes:
        units: the lengths of its runs of bytes, two for each `Unit`; empty if there is no entry, but perhaps a line or
            a warning.
        content: the values of its `Content`.
        mode: ``st_mode`` for its header.
        mtime: whole Unix seconds, likewise.
        warning: see `PreparedEntry`.
        line: bytes of its line in the manifest.
    """

    units: tuple[int, ...]
    content: tuple[int, int, int, int]
    mode: int
    mtime: int
    warning: str | None
    line: int


class Batch(NamedTuple):
    """A batch that is ready to be written.

    Attributes:
        size: bytes of its entries.
        lines: bytes of the manifest's lines behind them.
        entries: one for each source.
    """

    size: int
    lines: int
    entries: list[BatchEntry]


def batch_of(reply: tuple[int, int, list[tuple[Any, ...]]]) -> Batch:
    """Make again what `prepare_batch` has given, of plain values."""
    size, lines, entries = reply
    return Batch(size, lines, [BatchEntry(*values) for values in entries])


def message_of(sources: Sequence[Source]) -> list[tuple[Any, ...]]:
    """Make plain values of sources."""
    return [
        (source.path, source.mode, source.mtime, source.size, source.file)
        if source.file is not None and source.type is _FILE and source.original is None
        else _whole_message(source)
        for source in sources
    ]


def _whole_message(source: Source) -> tuple[Any, ...]:
    spool = source.deflated
    return (
        source.path, source.mode, source.mtime, source.size, source.file, source.type.value, source.data,
        spool and (spool.path, spool.size, spool.compressed_size, spool.crc32, spool.blake3),
        source.target, source.implied, source.original,
    )  # fmt: skip


def _source_of(values: tuple[Any, ...]) -> Source:
    path, mode, mtime, size, file = values[:5]
    if len(values) == 5:
        return Source(path, _FILE, mode, mtime, size, file)
    kind, data, spool, target, implied, original = values[5:]
    deflated = DeflatedFile(*spool) if spool else None
    return Source(path, EntryType(kind), mode, mtime, size, file, data, deflated, target, implied, original)


def prepare_batch(
    preparer: Preparer, message: list[tuple[Any, ...]], buffer: memoryview
) -> tuple[int, int, list[tuple[Any, ...]]]:
    """Make a batch ready; the work of another process.

    Args:
        preparer: of the archive.
        message: what `message_of` made.
        buffer: where the bytes of the entries go, and behind them the lines of the manifest.

    Returns:
        The values of a `Batch` and of each `BatchEntry`; see `batch_of`.

    Raises:
        ValueError: if there is not enough space in it, or an entry has grown and has to be packed block by block.
    """
    entries: list[tuple[Any, ...]] = []
    lines: list[bytes] = []
    at = 0
    for values in message:
        prepared = preparer.prepare(_source_of(values))
        if prepared.too_large:
            raise ValueError(values[0])
        lengths: list[int] = []
        for unit in prepared.units:
            for data in unit:
                end = at + len(data)
                buffer[at:end] = data
                at = end
                lengths.append(len(data))
        lines.append(prepared.line)
        mode, mtime = (prepared.head.mode, prepared.head.mtime) if prepared.head else (0, 0)
        content = tuple(prepared.content)
        entries.append((tuple(lengths), content, mode, mtime, prepared.warning, len(prepared.line)))
    text = b"".join(lines)
    buffer[at : at + len(text)] = text
    return at, len(text), entries
