"""An archive that is read while it is still being downloaded: a read waits for the bytes that are not there yet."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from backstay.archives import ArchiveReader, open_parts
from backstay.archives.part_stream import read_piece
from backstay.errors import ArchiveError, StoppedError

_LOOK_SECONDS = 0.02
_UNFINISHED = ".part"


class Arrival:
    """How many bytes of an archive are there, from its beginning; seen by every process that was forked since."""

    def __init__(self) -> None:
        # The memory is released with the object, when no process has it any more.
        self._memory = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")

    @property
    def count(self) -> int:
        """Bytes that are there without a gap."""
        return self._memory[0]

    @count.setter
    def count(self, number: int) -> None:
        self._memory[0] = number

    @property
    def is_over(self) -> bool:
        """Whether nothing more will arrive."""
        return bool(self._memory[1])

    def end(self) -> None:
        """Note that nothing more will arrive."""
        self._memory[1] = 1


class ArrivingParts:
    """The parts of an archive, some of it not there yet; a `backstay.archives.PartSource`.

    Args:
        folder: where they arrive, each under ``NAME.part`` until it is whole.
        parts: name and size of each, in order.
        arrival: says what is there.
    """

    descriptors: tuple[int, ...] = ()
    is_remote = False
    may_fork = True

    def __init__(self, folder: Path, parts: Sequence[tuple[str, int]], arrival: Arrival) -> None:
        self._open: tuple[int, int] = (-1, -1)
        self._paths = [folder / name for name, _size in parts]
        self.parts = [(str(folder / name), size) for name, size in parts]
        self._starts = list(accumulate((size for _name, size in parts), initial=0))
        self._arrival = arrival

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read a piece of a part; wait for it where it is not there yet.

        Raises:
            StoppedError: it will not arrive.
        """
        wanted = self._starts[part] + offset + size
        while self._arrival.count < wanted:
            if self._arrival.is_over and self._arrival.count < wanted:
                raise StoppedError("The download was stopped.")
            time.sleep(_LOOK_SECONDS)
        try:
            if self._open[0] != part:
                self.close()
                self._open = (part, _open(self._paths[part]))
            return read_piece(self._open[1], offset, size)
        except OSError as error:
            raise ArchiveError(f"{self._paths[part]} cannot be read: {error.strerror}.") from error

    def close(self) -> None:
        """Close what is open."""
        index, descriptor = self._open
        if index >= 0:
            os.close(descriptor)
            self._open = (-1, -1)


def _open(path: Path) -> int:
    for name in (path, path.with_name(path.name + _UNFINISHED), path):
        try:
            return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # It may get its name at this very moment.
            continue
    raise FileNotFoundError(path)


def open_arriving(
    folder: Path, parts: Sequence[tuple[str, int]], arrival: Arrival, password: str | None
) -> ArchiveReader:
    """Open an archive that arrives; this waits for as much of it as its format asks for.

    Raises:
        ArchiveError: it is no archive, or damaged, or the password is wrong.
        StoppedError: not enough of it will arrive.
    """
    return open_parts(ArrivingParts(folder, parts, arrival), password=password)
