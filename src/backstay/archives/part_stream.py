"""Reading the parts of an archive as one stream of bytes."""

from __future__ import annotations

import bisect
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from backstay.archives.parts import numbered_parts, part_path
from backstay.errors import ArchiveError, DamagedArchiveError, MissingPartError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT_OPEN = 64


def find_parts(path: Path) -> list[Path]:
    """Find the parts of an archive by name, the one with the main extension last.

    Args:
        path: the archive; any of its parts will do.

    Raises:
        NotFoundError: if there is no such file.
        MissingPartError: if a part in the middle is missing, or the last.
    """
    main = _main_file(path)
    if len(main.suffix) < 2:
        return [main]
    numbered = numbered_parts(main)
    for number in range(1, max(numbered, default=0) + 1):
        if number not in numbered:
            raise MissingPartError(
                f"{part_path(main, number)} is missing: put all parts of {main.name} into one folder."
            )
    return [*(numbered[number] for number in sorted(numbered)), main]


def _main_file(path: Path) -> Path:
    suffix = path.suffix.lower()
    if suffix[:2] in {".j", ".z"} and suffix[2:].isdecimal():
        for extension in (".jpa", ".jps") if suffix[1] == "j" else (".zip",):
            main = path.with_suffix(extension if path.suffix.islower() else extension.upper())
            if main.exists():
                return main
        if path.exists():
            raise MissingPartError(f"The last part of {path} is missing: put all its parts into one folder.")
    if not path.exists():
        raise NotFoundError(f"{path} does not exist.")
    return path


class PartStream:
    """All parts of an archive as one stream; safe to read from many threads.

    Args:
        paths: the parts in order.

    Raises:
        ArchiveError: if one of them is no regular file or cannot be read.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.starts: list[int] = []
        self.length = 0
        self._descriptors: list[int] = []
        try:
            for path in paths:
                self._add(path)
        except OSError as error:
            self.close()
            raise ArchiveError(f"{error.filename} cannot be read: {error.strerror}.") from error
        except ArchiveError:
            self.close()
            raise

    def _add(self, path: Path) -> None:
        # O_NONBLOCK: opening a named pipe must not wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        if len(self._descriptors) < _KEPT_OPEN:
            self._descriptors.append(descriptor)
        else:
            os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ArchiveError(f"{path} is not a file.")
        self.starts.append(self.length)
        self.length += status.st_size

    def __repr__(self) -> str:
        return f"PartStream({str(self.paths[-1])!r}, parts={len(self.paths)}, length={self.length})"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The parts that are open."""
        return tuple(self._descriptors)

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes at an offset of the stream, fewer only where the stream ends."""
        size = min(size, self.length - offset)
        if size <= 0:
            return b""
        index = bisect.bisect_right(self.starts, offset) - 1
        if offset + size <= (self.starts[index + 1] if index + 1 < len(self.starts) else self.length):
            return self._read_part(index, offset - self.starts[index], size)
        pieces = []
        while size:
            end = self.starts[index + 1] if index + 1 < len(self.starts) else self.length
            length = min(size, end - offset)
            if length:
                pieces.append(self._read_part(index, offset - self.starts[index], length))
            offset += length
            size -= length
            index += 1
        return b"".join(pieces)

    def exactly(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes.

        Raises:
            DamagedArchiveError: where the archive ends before that.
        """
        if offset + size > self.length:
            raise DamagedArchiveError(f"{self.paths[-1]} is cut short: it ends in the middle of an entry.")
        return self.read(offset, size)

    def _read_part(self, index: int, offset: int, size: int) -> bytes:
        data = b""
        try:
            with self._part(index) as descriptor:
                # One read gives at most 2 GiB, and fewer than asked for only at the end.
                while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
                    data = data + more if data else more
        except OSError as error:
            raise ArchiveError(f"{self.paths[index]} cannot be read: {error.strerror}.") from error
        if len(data) < size:
            raise DamagedArchiveError(f"{self.paths[index]} became shorter while it was read.")
        return data

    @contextlib.contextmanager
    def _part(self, index: int) -> Iterator[int]:
        if index < len(self._descriptors):
            yield self._descriptors[index]
            return
        descriptor = os.open(self.paths[index], os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close all parts."""
        while self._descriptors:
            os.close(self._descriptors.pop())


class Window:
    """A forward view of a stream that serves many small reads from one large one.

    Args:
        stream: what to read.
        size: bytes to read at once.
    """

    def __init__(self, stream: PartStream, size: int = 1 << 13) -> None:
        self._stream = stream
        self._size = size
        self._start = 0
        self._data = b""

    def exactly(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes; see `PartStream.exactly`."""
        begin = offset - self._start
        if begin < 0 or begin + size > len(self._data):
            if size > self._size:
                return self._stream.exactly(offset, size)
            self._start, begin = offset, 0
            self._data = self._stream.read(offset, self._size)
            if len(self._data) < size:
                return self._stream.exactly(offset, size)
        return self._data[begin : begin + size]
