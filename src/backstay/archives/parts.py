"""The files a split archive lies in: their names, and writing them.

A part is a plain slice of one stream of bytes: ``base.j01``, ``base.j02`` … and last, with the archive's own
extension, ``base.jpa`` (format notes, sections 1.6, 2.8 and 3.2). While an archive is being written even its last part
has a numbered name, so that what has the archive's own name is whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from backstay.archives.names import shown
from backstay.errors import ArchiveError, DiskFullError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINIMUM_PART_SIZE = 65536
_WRITE_SIZE = 1 << 20
_AT_ONCE = 1024


class Position(NamedTuple):
    """A place in a split archive: the number of the part, from 1, and the offset in it."""

    part: int
    offset: int


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn what the operating system says into errors a user can read.

    Args:
        path: what is being written.

    Raises:
        DiskFullError: where there is no space left.
        ArchiveError: where something else stands in the way.
    """
    try:
        yield
    except OSError as error:
        name = shown(os.fspath(path))
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            message = f"There is no space left to write {name}: free some space there and try again."
            raise DiskFullError(message) from error
        raise ArchiveError(f"{name} cannot be written: {error.strerror or error}.") from error


def sync_folder(folder: Path) -> None:
    """Make names that were made, changed or removed in a folder survive a power cut."""
    with disk_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def part_path(main: Path, number: int) -> Path:
    """Give the name of a numbered part: ``site.jpa`` and 3 give ``site.j03``."""
    return main.with_suffix(f"{main.suffix[:2]}{number:02d}")


def numbered_parts(main: Path) -> dict[int, Path]:
    """Find the numbered parts that lie beside an archive, by number."""
    pattern = re.compile(re.escape(main.stem + main.suffix[:2]) + r"(\d{2,})", re.ASCII)
    found = {}
    with os.scandir(main.parent) as entries:
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match and part_path(main, int(match[1])).name == entry.name:
                found[int(match[1])] = main.parent / entry.name
    return found


class PartWriter:
    """Writes one stream of bytes over the parts of an archive.

    Args:
        main: the archive's own path.
        part_size: bytes of a part, 0 for a single file.
    """

    def __init__(self, main: Path, part_size: int) -> None:
        if part_size and part_size < MINIMUM_PART_SIZE:
            raise UsageError(f"A part size of {part_size} bytes is too small: give at least {MINIMUM_PART_SIZE}, or 0.")
        self.main = main
        self.part_size = part_size
        self.part = 0
        self.offset = 0
        self._before = 0
        self._descriptor = -1
        self._pending: list[bytes | bytearray | memoryview] = []
        self._pending_size = 0
        self._unsynced: set[int] = set()

    @property
    def position(self) -> Position:
        """Where the next byte goes, if it still fits into the part."""
        return Position(self.part, self.offset)

    @property
    def total(self) -> int:
        """Bytes written so far, all parts together."""
        return self._before + self.offset

    def create(self) -> None:
        """Make the first part.

        Raises:
            ArchiveError: if an archive or a part of this name is there already.
        """
        with disk_errors(self.main.parent):
            taken = self.main.exists() or numbered_parts(self.main)
        if taken:
            raise ArchiveError(f"{self.main} is there already: give another name, or delete it with its parts.")
        self._open_next()

    def reopen(self, position: Position) -> None:
        """Resume writing at a place, after a crash: what was written behind it is cut off.

        Raises:
            ArchiveError: if what was written before that place is not there any more.
        """
        wanted = part_path(self.main, position.part)
        parts = numbered_parts(self.main)
        if self.main.exists():
            # The crash came after the last part had got its final name.
            if position.part in parts:
                self.main.unlink()
            else:
                self.main.rename(wanted)
        parts = numbered_parts(self.main)
        for number in range(1, position.part + 1):
            if number not in parts:
                raise ArchiveError(f"{part_path(self.main, number)} is gone: the archive has to be started anew.")
        if wanted.stat().st_size < position.offset:
            raise ArchiveError(f"{wanted} is shorter than it was: the archive has to be started anew.")
        self._before = sum(parts[number].stat().st_size for number in range(1, position.part))
        self.part, self.offset = position
        self._cut(parts)

    def reserve(self, size: int) -> None:
        """Open a new part unless a block of this many bytes, and one more, fits into the present one."""
        if self.part_size and self.offset and self.part_size - self.offset <= size:
            self._open_next()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append data; it is cut wherever a part ends.

        Raises:
            DiskFullError: if there is no space left.
        """
        size = len(data)
        if self.part_size and self.offset + size > self.part_size:
            self._write_over_parts(memoryview(data))
            return
        self._pending.append(data)
        self._pending_size += size
        self.offset += size
        if self._pending_size >= _WRITE_SIZE:
            self.flush()

    def _write_over_parts(self, view: memoryview) -> None:
        while view:
            if self.offset >= self.part_size:
                self._open_next()
            free = self.part_size - self.offset
            self._pending.append(view[:free])
            self.offset += len(view[:free])
            view = view[free:]
        self.flush()

    def append(self, data: bytes) -> None:
        """Append data to the present part even beyond its size (an end mark that belongs to the last part)."""
        self._pending.append(data)
        self._pending_size += len(data)
        self.offset += len(data)

    def patch(self, position: Position, data: bytes) -> None:
        """Write over bytes that were written before; they lie in one part."""
        self.flush()
        path = part_path(self.main, position.part)
        self._unsynced.add(position.part)
        with disk_errors(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, data, position.offset)
            finally:
                os.close(descriptor)

    def flush(self) -> None:
        """Hand all bytes to the operating system."""
        if not self._pending:
            return
        self._unsynced.add(self.part)
        with disk_errors(part_path(self.main, self.part)):
            for start in range(0, len(self._pending), _AT_ONCE):
                self._write_all(self._pending[start : start + _AT_ONCE])
        self._pending.clear()
        self._pending_size = 0

    def _write_all(self, pieces: list[bytes | bytearray | memoryview]) -> None:
        written = os.writev(self._descriptor, pieces)
        if written < sum(map(len, pieces)):
            view = memoryview(b"".join(pieces))[written:]
            while view:
                view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        """Make all that was written so far survive a power cut."""
        self.flush()
        for number in sorted(self._unsynced):
            path = part_path(self.main, number)
            with disk_errors(path):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        self._unsynced.clear()
        sync_folder(self.main.parent)

    def rewind(self, position: Position) -> None:
        """Cut off all that was written from a place on."""
        self.flush()
        for number in range(position.part, self.part):
            self._before -= part_path(self.main, number).stat().st_size
        self.part, self.offset = position
        self._cut(numbered_parts(self.main))

    def _cut(self, parts: dict[int, Path]) -> None:
        self._close_descriptor()
        for number, path in parts.items():
            if number > self.part:
                path.unlink()
                self._unsynced.discard(number)
        path = part_path(self.main, self.part)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(self._descriptor, self.offset)
        os.lseek(self._descriptor, self.offset, os.SEEK_SET)
        self._unsynced.add(self.part)

    def finish(self) -> list[Path]:
        """Give the last part its final name and make everything survive a power cut.

        Returns:
            All parts in order.
        """
        self.sync()
        self._close_descriptor()
        part_path(self.main, self.part).rename(self.main)
        sync_folder(self.main.parent)
        return [*self.paths(1, self.part - 1), self.main]

    def paths(self, first: int, last: int) -> list[Path]:
        """Give the numbered names from one number to another."""
        return [part_path(self.main, number) for number in range(first, last + 1)]

    def remove(self) -> None:
        """Delete every part."""
        self.release()
        for path in numbered_parts(self.main).values():
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Release the open file without writing anything more."""
        self._pending.clear()
        self._pending_size = 0
        self._close_descriptor()

    def _open_next(self) -> None:
        self.flush()
        self._close_descriptor()
        path = part_path(self.main, self.part + 1)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with disk_errors(path):
            self._descriptor = os.open(path, flags, 0o600)
        self._before += self.offset
        self.part += 1
        self.offset = 0
        self._unsynced.add(self.part)

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
