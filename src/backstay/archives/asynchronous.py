"""Reading archives from programs that use ``asyncio``: the work is done in threads."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from backstay.archives.reader import ArchiveReader, open_archive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from backstay.archives.entries import Entry, Limits, ManifestLine

P = ParamSpec("P")
R = TypeVar("R")
_BATCH = 256


def _method(
    blocking: Callable[Concatenate[ArchiveReader, P], R],
) -> Callable[Concatenate[AsyncArchiveReader, P], Coroutine[Any, Any, R]]:
    """A method with the name, docstring and parameters of the blocking one, which it calls in a thread."""

    @wraps(blocking)
    async def method(self: AsyncArchiveReader, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(blocking, self._reader, *args, **kwargs)

    return method


class AsyncArchiveReader:
    """An open archive; made by `open_archive_async`, used in an ``async with`` statement.

    Every method does what that of `ArchiveReader` does; functions given to it are called in another thread.

    Args:
        reader: the archive.
    """

    def __init__(self, reader: ArchiveReader) -> None:
        self._reader = reader
        self.format = reader.format
        self.parts = reader.parts
        self.comment = reader.comment

    def __repr__(self) -> str:
        return f"Async{self._reader!r}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    close = _method(ArchiveReader.close)

    async def __aiter__(self) -> AsyncIterator[Entry]:
        """Walk over the entries without reading their data."""
        async for entry in _in_thread(iter(self._reader), _BATCH):
            yield entry

    async def has_manifest(self) -> bool:
        """Say whether Backstay's manifest is in the archive."""
        return await asyncio.to_thread(lambda: self._reader.has_manifest)

    entry = _method(ArchiveReader.entry)

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        """Read the content of a file in pieces."""
        async for piece in _in_thread(self._reader.read(entry), 1):
            yield piece

    async def manifest(self) -> AsyncIterator[ManifestLine]:
        """Read the manifest."""
        lines = await asyncio.to_thread(self._reader.manifest)
        async for line in _in_thread(lines, _BATCH):
            yield line

    extract = _method(ArchiveReader.extract)
    verify = _method(ArchiveReader.verify)


async def _in_thread(items: Iterator[R], at_once: int) -> AsyncIterator[R]:
    def some() -> list[R]:
        return [item for _, item in zip(range(at_once), items, strict=False)]

    while batch := await asyncio.to_thread(some):
        for item in batch:
            yield item


async def open_archive_async(
    path: Path | str, *, password: str | None = None, limits: Limits | None = None
) -> AsyncArchiveReader:
    """Open an archive of any format; see `open_archive`."""
    return AsyncArchiveReader(await asyncio.to_thread(open_archive, path, password=password, limits=limits))
