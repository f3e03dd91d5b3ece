"""The same way out of archives for programs that use ``asyncio``: the work is done in threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from backstay.archives.reader import ArchiveReader, open_archive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from backstay.archives.entries import Entry, ExtractProgress, ExtractReport, Limits, ManifestLine, VerifyReport

_T = TypeVar("_T")
_AT_ONCE = 256


class AsyncArchiveReader:
    """An open archive; made by `open_archive_async`, used in an ``async with`` statement.

    Every method does what that of `ArchiveReader` does.

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

    async def close(self) -> None:
        """Close the archive's files."""
        await asyncio.to_thread(self._reader.close)

    async def __aiter__(self) -> AsyncIterator[Entry]:
        """Walk over the entries without reading their data."""
        async for entry in _in_thread(iter(self._reader), _AT_ONCE):
            yield entry

    async def has_manifest(self) -> bool:
        """Say whether Backstay's manifest is in the archive."""
        return await asyncio.to_thread(lambda: self._reader.has_manifest)

    async def entry(self, path: str) -> Entry:
        """Find an entry by its path."""
        return await asyncio.to_thread(self._reader.entry, path)

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        """Read the content of a file in pieces."""
        async for piece in _in_thread(self._reader.read(entry), 1):
            yield piece

    async def manifest(self) -> AsyncIterator[ManifestLine]:
        """Read the manifest."""
        lines = await asyncio.to_thread(self._reader.manifest)
        async for line in _in_thread(lines, _AT_ONCE):
            yield line

    async def extract(
        self,
        target: Path,
        *,
        only: Sequence[str] = (),
        select: Callable[[Entry], bool] | None = None,
        rename: Callable[[str], str] | None = None,
        permissions: bool = True,
        special_modes: bool = False,
        on_warning: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[ExtractProgress], None] = lambda _: None,
        workers: int | None = None,
    ) -> ExtractReport:
        """Write the archive, or some of it, beneath a folder. The functions given are called in another thread."""
        return await asyncio.to_thread(
            self._reader.extract,
            target,
            only=only,
            select=select,
            rename=rename,
            permissions=permissions,
            special_modes=special_modes,
            on_warning=on_warning,
            on_progress=on_progress,
            workers=workers,
        )

    async def verify(
        self, *, on_progress: Callable[[ExtractProgress], None] = lambda _: None, workers: int | None = None
    ) -> VerifyReport:
        """Read all of the archive and say what is wrong with which entry."""
        return await asyncio.to_thread(self._reader.verify, on_progress=on_progress, workers=workers)


async def _in_thread(items: Iterator[_T], at_once: int) -> AsyncIterator[_T]:
    def some() -> list[_T]:
        return [item for _, item in zip(range(at_once), items, strict=False)]

    while batch := await asyncio.to_thread(some):
        for item in batch:
            yield item


async def open_archive_async(
    path: Path | str, *, password: str | None = None, limits: Limits | None = None
) -> AsyncArchiveReader:
    """Open an archive of any format; see `open_archive`."""
    return AsyncArchiveReader(await asyncio.to_thread(open_archive, path, password=password, limits=limits))
