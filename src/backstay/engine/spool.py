"""SQL parts on their way into the archive: deflated at once, so that a dump takes little space and is packed fast."""

from __future__ import annotations

import contextlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import deflate
from blake3 import blake3
from isal import isal_zlib

from backstay.archives import Compression, DeflatedFile
from backstay.storage import sync

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Up to here a part is deflated in one piece by the better compressor; what is larger is streamed.
_WHOLE = 4 << 20
_LEVELS = {Compression.FAST: 1, Compression.BALANCED: 6, Compression.SMALL: 9}
_STREAM_LEVELS = {Compression.FAST: 1, Compression.BALANCED: 3, Compression.SMALL: 3}


class SpoolPart(io.RawIOBase):
    """One SQL part that is being written: takes the text, keeps a raw deflate stream (RFC 1951)."""

    def __init__(self, path: Path, compression: Compression, finish: Callable[[Callable[[], None]], None]) -> None:
        """Begin.

        Args:
            path: the file.
            compression: how hard to compress.
            finish: has the rest of the work done, after the last write.
        """
        super().__init__()
        self._path = path
        self._compression = compression
        self._finish = finish
        self._file = path.open("xb")
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._stream: Any = None
        self._crc = 0
        self._hash = blake3()
        self._size = 0
        self.result: DeflatedFile | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Take a piece of the text; return its length in bytes."""
        piece = data if type(data) is bytes else bytes(data)
        self._pending.append(piece)
        self._pending_size += len(piece)
        if self._pending_size > _WHOLE:
            self._drain()
        return len(piece)

    def close(self) -> None:
        """End the part; it is whole when `Spool.sync` has come back."""
        if not self.closed:
            # Closed whatever comes: whoever tidies up behind a failed write must not begin it again.
            super().close()
            self._finish(self._end)

    def _end(self) -> None:
        try:
            if self._stream is None:
                self._file.write(_deflated(self._take(), self._compression))
            else:
                self._drain()
                self._file.write(self._stream.flush())
            self._file.flush()
            self.result = DeflatedFile(
                path=str(self._path),
                size=self._size,
                compressed_size=self._file.tell(),
                crc32=self._crc,
                blake3=self._hash.hexdigest(),
            )
        finally:
            # The spool remembers its parts to the end of the dump: their text must not stay with them.
            self._pending.clear()
            # What could not be written was reported when it was flushed.
            with contextlib.suppress(OSError):
                self._file.close()

    def _drain(self) -> None:
        if self._stream is None:
            self._stream = isal_zlib.compressobj(_STREAM_LEVELS[self._compression], wbits=-15)
        self._file.write(self._stream.compress(self._take()))

    def _take(self) -> bytes:
        content = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self._size += len(content)
        self._crc = isal_zlib.crc32(content, self._crc)
        self._hash.update(content)
        return content


def _deflated(content: bytes, compression: Compression) -> bytes | bytearray:
    if compression is Compression.FAST:
        return isal_zlib.compress(content, 1, -15)
    return deflate.deflate_compress(content, _LEVELS[compression])


class Spool:
    """A folder of SQL parts: what a dump writes to. Threads deflate a part while the next one is being dumped."""

    def __init__(self, folder: Path, compression: Compression) -> None:
        self._folder = folder
        self._compression = compression
        self._parts: list[tuple[str, SpoolPart]] = []
        count = os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="backstay-spool")
        self._under_way: deque[Future[None]] = deque()
        self._most_under_way = 2 * count
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    def open(self, name: str) -> BinaryIO:
        """Begin a part with this name."""
        part = SpoolPart(self._folder / name, self._compression, self._finish)
        self._parts.append((name, part))
        return cast("BinaryIO", part)

    def _finish(self, work: Callable[[], None]) -> None:
        self._under_way.append(self._threads.submit(work))
        self._wait(self._most_under_way)

    def _wait(self, most: int) -> None:
        while len(self._under_way) > most:
            self._under_way.popleft().result()

    def finished(self) -> Iterator[tuple[str, DeflatedFile]]:
        """Yield name and file of every part that was closed, in the order they were begun.

        Raises:
            OSError: a part could not be written.
        """
        self._wait(0)
        for name, part in self._parts:
            if part.result is not None:
                yield name, part.result

    def sync(self) -> None:
        """Make the parts of a whole dump survive a power cut, all at once: by now most are on the disk anyway.

        Raises:
            OSError: a part could not be written.
        """
        sync([*(Path(part.path) for _name, part in self.finished()), self._folder, self._folder.parent])

    def close(self) -> None:
        """Release parts that a failed dump left open."""
        for _name, part in self._parts:
            with contextlib.suppress(OSError):
                part.close()
        self._threads.shutdown()
        self._under_way.clear()


class PlainFolder:
    """A folder of SQL parts as they are: what a database-only backup writes to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> BinaryIO:
        """Begin the one file of the dump, private to its owner."""
        del name
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=1 << 20)

    def sync(self) -> None:
        """Make the file survive a power cut."""
        sync([self._path, self._path.parent])

    def close(self) -> None:
        """There is nothing to release."""


def stored(parts: Iterator[tuple[str, DeflatedFile]]) -> list[dict[str, Any]]:
    """Return parts as plain JSON."""
    return [{"name": name, **asdict(part)} for name, part in parts]


def restored(parts: list[dict[str, Any]]) -> list[tuple[str, DeflatedFile]] | None:
    """Return the parts that ``stored`` gave, or None where a file of theirs is gone or was cut short."""
    found = []
    for values in parts:
        name, rest = values["name"], {key: value for key, value in values.items() if key != "name"}
        part = DeflatedFile(**rest)
        path = Path(part.path)
        if not path.is_file() or path.stat().st_size != part.compressed_size:
            return None
        found.append((name, part))
    return found
