"""What the last backup of a site saw of each path: what has not changed since is not opened by the next.

It is a file of this machine, in the order of the walk, so that two walks are laid side by side and nothing but the
place in it is kept in memory. It is a cache: where it is missing, cut short or damaged, files are read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3
from isal import isal_zlib

from backstay.archives.parts import disk_errors

_MAGIC = b"BSTYSEE1"
_FRAME = struct.Struct("<II16s")
_FRAME_BYTES = 256 << 10
_LARGEST_FRAME = 256 << 20
# Size, times, inode, device, mode; length of the key and of the line, bytes of the content deflated, the day on which
# it was read last.
_HEAD = struct.Struct("<QqqQQIIIQI")
_IMPLIED = 1 << 31
_DAY_SECONDS = 86400
_RACY_NS = 2_000_000_000
_WORD = 16
_PACKS = ".packs"


class Status(NamedTuple):
    """All by which a change of a path is known."""

    size: int
    mtime: int
    ctime: int
    inode: int
    device: int
    mode: int


def status_of(status: os.stat_result, mode: int, *, implied: bool = False) -> Status:
    """Give all by which a change of a path is known.

    Args:
        status: of the path.
        mode: as it is stored, which for a link may be that of what it points to.
        implied: a folder that its content implies.
    """
    stored = mode | _IMPLIED if implied else mode
    return Status(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, stored)


def may_change_unseen(status: os.stat_result, now: int) -> bool:
    """Say whether a path may change once more without its times showing it, because they are from this moment.

    Args:
        status: of the path.
        now: Unix nanoseconds, from before the path was read.
    """
    before = now - _RACY_NS
    return status.st_ctime_ns > before or before < status.st_mtime_ns < now + _RACY_NS


class Seen(NamedTuple):
    """What the last backup saw of a path that is the same still.

    Attributes:
        record: all of it, as it is kept.
        text: its line in the repository.
        size: bytes of its content; 0 for what is no file.
        deflated: bytes of it deflated, its end included; 0 for what is no file.
    """

    record: bytes
    text: bytes
    size: int
    deflated: int

    @property
    def is_known(self) -> bool:
        """True."""
        return True


def pack_seen(key: bytes, status: Status, text: bytes, deflated: int) -> bytes:
    """Make the record of a path that was read today."""
    return b"".join((_HEAD.pack(*status, len(key), len(text), deflated, today()), key, text))


def today() -> int:
    """Give this day, counted from 1 January 1970."""
    return int(time.time()) // _DAY_SECONDS


class SeenWriter:
    """Writes what a backup sees, beside what the last one saw.

    Args:
        path: where it goes when the backup is complete.
        about: what must be the same for it to be used.
    """

    def __init__(self, path: Path, about: bytes) -> None:
        self._path = path
        self._staged = path.with_name(f".{path.name}")
        with disk_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._staged.open("wb")
            self._file.write(_MAGIC)
        self._pending: list[bytes] = []
        self._bytes = 0
        self._word = secrets.token_bytes(_WORD)
        self.add(about + self._word)
        self._end_frame()

    def add(self, record: bytes) -> None:
        """Add the record of a path behind those before."""
        self._pending.append(record)
        self._bytes += len(record)
        if self._bytes >= _FRAME_BYTES:
            self._end_frame()

    def _end_frame(self) -> None:
        data = isal_zlib.compress(b"".join(self._pending), 0, -15)
        frame = _FRAME.pack(len(data), self._bytes, blake3(data).digest(length=16))
        with disk_errors(self._path):
            self._file.write(frame)
            self._file.write(data)
        self._pending.clear()
        self._bytes = 0

    def finish(self, packs: list[str]) -> None:
        """Put it in the place of what the last backup saw.

        Args:
            packs: the packs in which all that it names lies.
        """
        if self._pending:
            self._end_frame()
        with disk_errors(self._path):
            self._file.close()
            self._path.with_suffix(_PACKS).write_text("\n".join([self._word.hex(), *packs]))
            self._staged.replace(self._path)

    def discard(self) -> None:
        """Leave what the last backup saw as it is."""
        self._file.close()
        self._staged.unlink(missing_ok=True)


class SeenReader:
    """Reads what the last backup saw, along with the walk of this one.

    Args:
        path: the file.
        about: what must be the same for it to be used.
        reread_days: within so many days each file is read again.

    Attributes:
        packs: in which all that it names lies; none where that is not known.
    """

    def __init__(self, path: Path, about: bytes, reread_days: int) -> None:
        self._days = reread_days
        self.packs: set[str] = set()
        self._today = today()
        self._file: BinaryIO | None = None
        self._data = b""
        self._fields: tuple[int, ...] = ()
        self._key = b""
        self._at = self._text = self._end = 0
        with contextlib.suppress(OSError):
            self._file = path.open("rb")
            if self._file.read(len(_MAGIC)) != _MAGIC or not self._fill() or self._data[:-_WORD] != about:
                self.close()
            self._read_packs(path)
        self._data = b""
        self._end = 0
        self._next()

    def _read_packs(self, path: Path) -> None:
        """Read the packs, which are in a file of their own; one of another file of the same name says nothing."""
        with contextlib.suppress(OSError, ValueError):
            word, *packs = path.with_suffix(_PACKS).read_text().split("\n")
            if bytes.fromhex(word) == self._data[-_WORD:]:
                self.packs = set(packs)

    def take(self, key: bytes, status: Status) -> Seen | None:
        """Give what was seen of a path, if it is as it was then and need not be read today.

        Args:
            key: its place in the order of the walk; each call comes behind the one before.
            status: of it.
        """
        while self._key < key:
            if self._file is None:
                return None
            self._next()
        fields = self._fields
        if self._key != key or fields[:6] != status:
            return None
        day = fields[9] + 1
        # A share of the inodes is due each day, whenever the files were read first.
        if day + -(fields[3] + day) % self._days <= self._today:
            return None
        data, deflated = self._data, fields[8]
        record = data[self._at : self._end]
        return Seen(record, data[self._text : self._end], fields[0] if deflated else 0, deflated)

    def _next(self) -> None:
        """Go to the next record."""
        at = self._end
        if at >= len(self._data):
            if not self._fill():
                self.close()
                return
            at = 0
        self._fields = fields = _HEAD.unpack_from(self._data, at)
        begin = at + _HEAD.size
        self._at, self._text = at, begin + fields[6]
        self._end = self._text + fields[7]
        self._key = self._data[begin : self._text]

    def _fill(self) -> bool:
        """Read the next frame; False where there is none, or it is not what was written."""
        self._data = next(self._frames(), b"")
        return bool(self._data)

    def _frames(self) -> Iterator[bytes]:
        head = self._file.read(_FRAME.size) if self._file else b""
        if self._file is None or len(head) < _FRAME.size:
            return
        length, size, digest = _FRAME.unpack(head)
        if max(length, size) <= _LARGEST_FRAME:
            data = self._file.read(length)
            if blake3(data).digest(length=16) == digest:
                yield isal_zlib.decompress(data, -15)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
