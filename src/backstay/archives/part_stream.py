"""Reading the parts of an archive as one stream of bytes."""

from __future__ import annotations

import bisect
import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backstay.archives.parts import numbered_parts, part_path
from backstay.errors import ArchiveError, DamagedArchiveError, MissingPartError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


class PartSource(Protocol):
    """Where the parts of an archive are read from, safe to use from many threads."""

    @property
    def parts(self) -> Sequence[tuple[str, int]]:
        """Name, as messages show it, and size in bytes of each part in order, the one with the main extension last."""
        ...

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Open files that a forked process needs to read from it too."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether every read is dear: what is needed should be read in order, and no header that need not be."""
        ...

    @property
    def may_fork(self) -> bool:
        """Whether a forked process can read from it, too."""
        ...

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read exactly so many bytes of a part, counted from 0; it holds them.

        Raises:
            BackstayError: they cannot be read.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...


class LocalParts:
    """Parts that are files of this machine.

    Args:
        paths: the parts in order.

    Raises:
        ArchiveError: if one of them is no regular file or cannot be read.
    """

    is_remote = False
    may_fork = True

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._sizes: list[int] = []
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
        self._sizes.append(status.st_size)

    @property
    def parts(self) -> Sequence[tuple[str, int]]:
        """Path and size of each part."""
        return list(zip(map(str, self._paths), self._sizes, strict=True))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The parts that are open."""
        return tuple(self._descriptors)

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read a piece of a part; see `PartSource.read`."""
        try:
            with self._part(part) as descriptor:
                return read_piece(descriptor, offset, size)
        except OSError as error:
            raise ArchiveError(f"{self._paths[part]} cannot be read: {error.strerror}.") from error

    @contextlib.contextmanager
    def _part(self, index: int) -> Iterator[int]:
        if index < len(self._descriptors):
            yield self._descriptors[index]
            return
        descriptor = os.open(self._paths[index], os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close all parts."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def read_piece(descriptor: int, offset: int, size: int) -> bytes:
    """Read so many bytes of an open file, fewer only where it ends."""
    data = b""
    # One read gives at most 2 GiB, and fewer than asked for only at the end.
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data = data + more if data else more
    return data


class PartStream:
    """All parts of an archive as one stream; safe to read from many threads.

    Args:
        source: the parts.

    Attributes:
        paths: the names of the parts in order, for messages.
        sizes: bytes of each part.
        starts: offset of each part in the stream.
        length: bytes of all parts.
        is_remote: every read is dear; see `PartSource`.
        may_fork: a forked process can read from it, too.
    """

    def __init__(self, source: PartSource) -> None:
        self._source = source
        self.paths = [Path(name) for name, _ in source.parts]
        self.sizes = [size for _, size in source.parts]
        self.starts: list[int] = []
        self.length = 0
        for size in self.sizes:
            self.starts.append(self.length)
            self.length += size
        self.is_remote = source.is_remote
        self.may_fork = source.may_fork

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.paths[-1])!r}, parts={len(self.paths)}, length={self.length})"

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The files that another process needs to read from it."""
        return self._source.descriptors

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
        data = self._source.read(index, offset, size)
        if len(data) < size:
            raise DamagedArchiveError(f"{self.paths[index]} became shorter while it was read.")
        return data

    def close(self) -> None:
        """Release the parts."""
        self._source.close()


class Window:
    """A forward view of a stream that serves many small reads from one large one.

    Args:
        stream: what to read.
        size: bytes to read at once.
        start: offset of what was read before.
        data: what was read before.
    """

    def __init__(self, stream: PartStream, size: int = 1 << 13, *, start: int = 0, data: bytes = b"") -> None:
        self._stream = stream
        self._size = size
        self._start = start
        self._data = data

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
