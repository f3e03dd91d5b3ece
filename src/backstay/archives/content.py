"""What is read to be packed: files that may change meanwhile, text in memory, streams that were deflated before."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from typing import TYPE_CHECKING, NamedTuple, Protocol

from blake3 import blake3

from backstay.archives import codec
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes, read_attributes
from backstay.archives.long_paths import reachable, reaching
from backstay.archives.parts import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstay.archives.entries import DeflatedFile, Source

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadableError(Exception):
    """A source cannot be read; its message is the end of a sentence that names it."""


class FileContent(NamedTuple):
    """The content of a small file.

    Attributes:
        data: the bytes.
        mode: ``st_mode`` at the time of reading.
        mtime: whole Unix seconds, likewise.
        warning: what is not stored as it was, as the end of a sentence; None if all is.
        attributes: owner and the like, likewise.
        status: likewise.
    """

    data: bytes
    mode: int
    mtime: int
    warning: str | None
    attributes: Attributes
    status: os.stat_result


CHANGED = "changed while it was read: what is stored may be neither its old content nor its new"


def read_file(path: str, expected: int, mtime: int) -> FileContent | None:
    """Read a small file so that content, mode and time belong together.

    Args:
        path: the file.
        expected: its size in bytes, as the scan has seen it.
        mtime: its time in whole seconds, likewise.

    Returns:
        None if it has grown beyond what is read in one piece.

    Raises:
        UnreadableError: if it has gone, cannot be read or is no regular file.
    """
    try:
        descriptor = reaching(_open, path)
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    try:
        data = os.read(descriptor, expected + 1)
        # One look after reading is enough where all is as it was: the time would show a change.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("is not a regular file any more")
        if len(data) == status.st_size == expected and status.st_mtime_ns // 1_000_000_000 == mtime:
            attributes, warning = read_attributes(status, descriptor)
            return FileContent(data, status.st_mode, mtime, warning, attributes, status)
        return _read_again(descriptor)
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    return os.open(path, _FLAGS)


def _read_again(descriptor: int) -> FileContent | None:
    before = os.fstat(descriptor)
    if before.st_size > codec.WHOLE_LIMIT:
        return None
    pieces = []
    offset = 0
    while piece := os.pread(descriptor, before.st_size - offset, offset):
        pieces.append(piece)
        offset += len(piece)
    after = os.fstat(descriptor)
    changed = after.st_size != offset or after.st_mtime_ns != before.st_mtime_ns
    attributes, warning = read_attributes(after, descriptor)
    mtime = after.st_mtime_ns // 1_000_000_000
    return FileContent(b"".join(pieces), after.st_mode, mtime, CHANGED if changed else warning, attributes, after)


def original_attributes(source: Source) -> tuple[Attributes, str | None]:
    """Read the attributes of a source that has an original; see `read_attributes`."""
    try:
        with reachable(source.original or "") as place:
            status = os.lstat(place)
            attributes, warning = read_attributes(status, place)
    except OSError:
        # It has gone; who packs it has said so, or it was read before.
        return NO_ATTRIBUTES, None
    # The names of a copy's original are not names of the copy: what was written since would not be in it.
    attributes = attributes._replace(inode="")
    if status.st_mtime_ns // 1_000_000_000 != source.mtime:
        attributes = attributes._replace(nanoseconds=0)
    return attributes, warning


def _reason(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


class LargeContent(Protocol):
    """Content too large for one piece; blocks of it are read from many threads."""

    size: int
    mode: int
    mtime: int
    attributes: Attributes
    warning: str | None

    def identity(self) -> list[int]:
        """Say what must be the same for a half written entry to be continued."""

    def block(self, offset: int, length: int) -> bytes:
        """Read a block; a shorter one means that the content has become shorter.

        Raises:
            UnreadableError: if it cannot be read.
        """

    def changed(self) -> bool:
        """Say whether it has changed since it was opened."""

    def close(self) -> None:
        """Release it."""


class LargeFile:
    """A large file on disk.

    Raises:
        UnreadableError: if it cannot be read or is no regular file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._descriptor = reaching(_open, path)
        except OSError as error:
            raise UnreadableError(_reason(error)) from error
        self._status = os.fstat(self._descriptor)
        if not stat.S_ISREG(self._status.st_mode):
            os.close(self._descriptor)
            raise UnreadableError("is not a regular file any more")
        self.size = self._status.st_size
        self.mode = self._status.st_mode
        self.mtime = self._status.st_mtime_ns // 1_000_000_000
        self.attributes, self.warning = read_attributes(self._status, self._descriptor)

    def identity(self) -> list[int]:
        """Size, inode, device and time."""
        status = self._status
        return [status.st_size, status.st_ino, status.st_dev, status.st_mtime_ns]

    def block(self, offset: int, length: int) -> bytes:
        """Read a block."""
        try:
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
                data += more
        except OSError as error:
            raise UnreadableError(_reason(error)) from error
        return data

    def status(self) -> os.stat_result:
        """Give its status now."""
        return os.fstat(self._descriptor)

    def changed(self) -> bool:
        """Look at size and time again."""
        status = self.status()
        return (status.st_size, status.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class LargeData:
    """Large content in memory."""

    def __init__(self, data: bytes, mode: int, mtime: int) -> None:
        self._data = data
        self.size = len(data)
        self.mode = mode
        self.mtime = mtime
        self.attributes = NO_ATTRIBUTES
        self.warning: str | None = None

    def identity(self) -> list[int]:
        """Size and hash."""
        return [self.size, int.from_bytes(blake3(self._data).digest(length=8), "little")]

    def block(self, offset: int, length: int) -> bytes:
        """Cut out a block."""
        return self._data[offset : offset + length]

    def changed(self) -> bool:
        """It cannot change."""
        return False

    def close(self) -> None:
        """There is nothing to release."""


class InflatedSpool(LargeFile):
    """A deflated file made long again on disk, for a format that wants it cut and deflated otherwise.

    Args:
        spool: the deflated file.
        folder: where to put the content; it has no name there.
    """

    def __init__(self, spool: DeflatedFile, source: Source, folder: Path) -> None:
        with contextlib.ExitStack() as stack:
            # The file lives as long as its descriptor, which `close` closes.
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            with disk_errors(folder):
                for piece in inflated(spool):
                    file.write(piece)
            self._descriptor = os.dup(file.fileno())
        self._status = os.fstat(self._descriptor)
        self._spool = spool
        self.size = spool.size
        self.mode = source.mode
        self.mtime = source.mtime
        self.attributes = NO_ATTRIBUTES
        self.warning = None

    def identity(self) -> list[int]:
        """Sizes and CRC-32."""
        return [self._spool.size, self._spool.compressed_size, self._spool.crc32]


def inflated(spool: DeflatedFile) -> Iterator[bytes]:
    """Inflate a deflated file.

    Raises:
        DamagedArchiveError: if it is not what it should be.
    """
    with open(spool.path, "rb") as file:  # noqa: PTH123 - the path may hold any bytes
        yield from codec.inflate_pieces(iter(lambda: file.read(codec.BLOCK_SIZE), b""), spool.size)


def open_large(source: Source, folder: Path, *, inflate: bool) -> LargeContent:
    """Open content that is too large for one piece.

    Args:
        source: a file of some kind.
        folder: where temporary files go.
        inflate: make a deflated file long again, rather than give its compressed bytes.

    Raises:
        UnreadableError: if it cannot be read.
    """
    if source.data is not None:
        return LargeData(source.data, source.mode, source.mtime)
    if source.deflated is None:
        return LargeFile(source.file or "")
    if inflate:
        return InflatedSpool(source.deflated, source, folder)
    return LargeFile(source.deflated.path)
