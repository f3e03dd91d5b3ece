"""The parts of a dump: ``site.sql``, ``site.s01``, ``site.s02`` …, each of whole statements (spec, 8.1-8.2)."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Self

from backstay.databases.model import PartSink

MARKER = b"/**ABDB**/"


def part_name(name: str, number: int) -> str:
    """Return the name of a dump's part: number 0 is the name itself, then ``.s01`` and on take its suffix's place."""
    stem, dot, suffix = name.rpartition(".")
    if not number:
        return name
    return f"{stem if dot and suffix.lower() == 'sql' else name}.s{number:02d}"


class PartWriter:
    """Writes statements into parts, a new one when the next would pass the size."""

    def __init__(self, sink: PartSink, name: str, part_size: int) -> None:
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

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
