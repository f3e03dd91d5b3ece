"""The parts of a dump: ``site.sql``, ``site.s01``, ``site.s02`` …, each of whole statements (spec, 8.1-8.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import BinaryIO, Self

from isal import isal_zlib

from backstay.databases.model import PartSink

MARKER = b"/**ABDB**/"

# Bytes of a statement on average, where its rows decide where it ends.
_STATEMENT = 32 << 10


def part_name(name: str, number: int) -> str:
    """Return the name of a dump's part: number 0 is the name itself, then ``.s01`` and on take its suffix's place."""
    stem, dot, suffix = name.rpartition(".")
    if not number:
        return name
    return f"{stem if dot and suffix.lower() == 'sql' else name}.s{number:02d}"


def ends_here(text: bytes, average: int) -> bool:
    """Say whether something ends behind a text, by its content alone: after so many bytes on average."""
    return isal_zlib.crc32(text) * average < len(text) << 32


def statements(received: Iterable[list[bytes]], limit: int) -> Iterator[list[bytes]]:
    """Group rows into statements, whatever lists they come in.

    A statement ends behind a row whose content says so, and before one with which it would pass a size: so rows that
    are added or removed move no border but those next to them.

    Args:
        received: the rows.
        limit: most bytes of a statement of several rows.
    """
    pending: list[bytes] = []
    size = 0
    crc32 = isal_zlib.crc32
    for rows in received:
        for row in rows:
            length = len(row)
            if size + length > limit and pending:
                yield pending
                pending, size = [], 0
            pending.append(row)
            size += length + 2
            if crc32(row) * _STATEMENT < length << 32:
                yield pending
                pending, size = [], 0
    if pending:
        yield pending


class PartWriter:
    """Writes statements into parts, a new one when the next would pass the size."""

    def __init__(self, sink: PartSink, name: str, part_size: int, *, by_content: bool = False) -> None:
        """Begin.

        Args:
            sink: where the parts go.
            name: of the first.
            part_size: most bytes of a part of more than one statement; 0: there is one part.
            by_content: a part also ends behind a statement whose content says so, after half the size on average.
        """
        self._by_content = by_content
        self._sink = sink
        self._name = name
        self._part_size = part_size
        self._file: BinaryIO | None = None
        self._in_part = 0
        self.names: list[str] = []
        self.written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, statement: bytes) -> None:
        """Write bytes that belong together into the present part or a new one."""
        size = len(statement)
        if self._file is None or (self._part_size and self._in_part and self._in_part + size > self._part_size):
            self._close()
            name = part_name(self._name, len(self.names))
            self._file = self._sink.open(name)
            self.names.append(name)
            self._in_part = 0
        self._file.write(statement)
        self._in_part += size
        self.written += size
        if self._by_content and self._part_size and ends_here(statement, self._part_size // 2):
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
