"""Sinks for dumps, and the driving of generators to their end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from backstay.databases import (
    DatabaseAddress,
    DumpOptions,
    DumpSummary,
    ExistingTables,
    LoadSummary,
    dump,
    load,
)

Result = TypeVar("Result")


class FolderSink:
    """Keeps the parts of a dump as files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, name: str) -> BinaryIO:
        """Begin a part."""
        self.names.append(name)
        return (self.folder / name).open("wb")

    def parts(self) -> list[tuple[str, Callable[[], BinaryIO]]]:
        """Return the parts as a load takes them."""
        return [(name, _opener(self.folder / name)) for name in self.names]

    def text(self) -> bytes:
        """Return all parts, one after the other."""
        return b"".join((self.folder / name).read_bytes() for name in self.names)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def finish(generator: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end and return its result."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def dump_to(
    folder: Path,
    address: DatabaseAddress,
    *,
    options: DumpOptions | None = None,
    warnings: list[str] | None = None,
    name: str = "site.sql",
) -> tuple[FolderSink, DumpSummary]:
    """Dump a database into a folder."""
    sink = FolderSink(folder)
    reported: list[str] = [] if warnings is None else warnings
    return sink, finish(dump(address, sink, name=name, options=options, on_warning=reported.append))


def load_from(
    sink: FolderSink,
    address: DatabaseAddress,
    *,
    metadata: dict[str, Any] | None = None,
    policy: ExistingTables = ExistingTables.REFUSE,
    warnings: list[str] | None = None,
) -> LoadSummary:
    """Load a folder's parts into a database."""
    reported: list[str] = [] if warnings is None else warnings
    return finish(load(address, sink.parts(), metadata=metadata, policy=policy, on_warning=reported.append))
