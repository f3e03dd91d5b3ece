"""Disks that fail at a chosen moment: the n-th read, write or sync, whichever process of a backup makes it."""

from __future__ import annotations

import builtins
import errno
import io
import mmap
import os
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_STATE = struct.Struct("<QH")
_ROOM = 4096


class FailingDisk:
    """Lets the n-th call of one kind fail for files under a folder, and all later ones of that kind for the same file.

    The count lies in memory that forked processes share with this one.
    """

    def __init__(self, operation: str, number: int, folder: Path) -> None:
        """Prepare; ``install`` begins.

        Args:
            operation: a function of ``os`` whose first argument is an open file; or ``file read`` or ``file write``,
                for what file objects do.
            number: which call fails, from 1; 0: none, they are only counted.
            folder: files elsewhere, and those that backups lock, are not counted.
        """
        self._operation = operation
        self._number = number
        self._folder = folder
        self._lock = threading.Lock()
        self._shared = mmap.mmap(-1, _ROOM)

    @property
    def calls(self) -> int:
        """How many calls there were."""
        count: int = _STATE.unpack_from(self._shared)[0]
        return count

    @property
    def failed(self) -> Path | None:
        """The file whose read, write or sync failed."""
        length: int = _STATE.unpack_from(self._shared)[1]
        return Path(os.fsdecode(self._shared[_STATE.size : _STATE.size + length])) if length else None

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between the program and the disk."""
        if self._operation.startswith("file "):
            for module in (io, builtins):
                patch.setattr(module, "open", self._open_function(open))
            return
        real = getattr(os, self._operation)

        def call(descriptor: int, *arguments: Any) -> Any:
            self.check(descriptor)
            return real(descriptor, *arguments)

        patch.setattr(os, self._operation, call)

    def check(self, descriptor: int) -> None:
        """Count a call.

        Raises:
            OSError: it is the one that fails.
        """
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self._folder) or path.suffix == ".lock":
            return
        with self._lock:
            count, length = _STATE.unpack_from(self._shared)
            name = os.fsencode(path)
            if count + 1 == self._number:
                length = len(name)
                self._shared[_STATE.size : _STATE.size + length] = name
            _STATE.pack_into(self._shared, 0, count + 1, length)
            fails = self.failed == path
        if fails:
            # As the system says it: a call with an open file tells no name.
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _open_function(self, real: Any) -> Any:
        disk, writes = self, self._operation == "file write"

        class Raw(io.FileIO):
            def readinto(self, buffer: WriteableBuffer, /) -> int:
                if not writes:
                    disk.check(self.fileno())
                return super().readinto(buffer)

            def readall(self) -> bytes:
                if not writes:
                    disk.check(self.fileno())
                return super().readall()

            def write(self, data: ReadableBuffer, /) -> int:
                if writes:
                    disk.check(self.fileno())
                return super().write(data)

        def opened(file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **options: Any) -> Any:
            if "b" not in mode or "+" in mode or ("r" in mode) is writes:
                return real(file, mode, buffering, *arguments, **options)
            raw = Raw(file, mode.replace("b", ""))
            if buffering == 0:
                return raw
            return io.BufferedWriter(raw) if writes else io.BufferedReader(raw)

        return opened
