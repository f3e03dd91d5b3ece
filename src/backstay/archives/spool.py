"""A file beside an archive that grows with it, and is cut back to the last checkpoint after a crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from backstay.archives.parts import disk_errors
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

_KEPT = 4096


class Spool:
    """Collects records on disk.

    Args:
        path: the file.
        offset: where to go on; 0 to begin.

    Raises:
        ArchiveError: if the file is gone, or shorter than that.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._pending: list[bytes] = []
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if offset else os.O_CREAT)
        if offset and not path.exists():
            raise ArchiveError(f"{path} is gone: the archive has to be started anew.")
        with disk_errors(path):
            self._file = os.open(path, flags, 0o600)
        if os.fstat(self._file).st_size < offset:
            os.close(self._file)
            raise ArchiveError(f"{path} is shorter than it was: the archive has to be started anew.")
        os.ftruncate(self._file, offset)
        os.lseek(self._file, offset, os.SEEK_SET)

    def append(self, record: bytes) -> None:
        """Add a record."""
        self._pending.append(record)
        self.offset += len(record)
        if len(self._pending) >= _KEPT:
            self.flush()

    def flush(self) -> None:
        """Hand all records to the operating system."""
        data = memoryview(b"".join(self._pending))
        with disk_errors(self.path):
            while data:
                data = data[os.write(self._file, data) :]
        self._pending.clear()

    def sync(self) -> None:
        """Make all records survive a power cut."""
        self.flush()
        with disk_errors(self.path):
            os.fsync(self._file)

    def open(self) -> BinaryIO:
        """Read everything from the beginning."""
        self.flush()
        return self.path.open("rb")

    def close(self) -> None:
        """Release the file and leave it where it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)
