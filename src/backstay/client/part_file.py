"""A part while it is downloaded: ``name.part`` and the journal ``name.part.json`` that says what of it is there.

The journal is written after the bytes it lists were synced, so it never promises what a power cut could take.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from blake3 import blake3

from backstay.errors import DiskFullError, StorageError, UsageError, VerificationError

SYNC_EVERY_BYTES = 128 * 1024 * 1024
SYNC_EVERY_SECONDS = 5.0
_PIECE = 1 << 20


@dataclass(slots=True)
class Run:
    """A stretch of a part that one connection fetches: bytes from ``start`` to ``end``, there up to ``position``."""

    start: int
    position: int
    end: int

    @property
    def done(self) -> bool:
        """Whether all of it is there."""
        return self.position >= self.end


class Blake3OfFile:
    """The BLAKE3 of a file whose bytes are written in their order."""

    def __init__(self) -> None:
        self._digest = blake3()
        self._done = 0

    def restart(self) -> None:
        """Forgets what was written."""
        self._digest, self._done = blake3(), 0

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._digest.update(data)
        self._done += len(data)

    def read(self, descriptor: int, size: int) -> None:
        """Takes the first bytes of an open file, which an earlier try has written."""
        self.restart()
        while self._done < size and (piece := os.pread(descriptor, min(_PIECE, size - self._done), self._done)):
            self.add(piece)

    def of(self, path: Path) -> str:
        """The hash of a finished file, 64 hexadecimal digits; it is read where its bytes did not pass here."""
        with storage_errors(path), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if self._done != size:
                self.read(file.fileno(), size)
        return self._digest.hexdigest()


@dataclass
class PartFile:
    """The file of a part that is being downloaded.

    Attributes:
        target: where the finished part goes.
        size: bytes that it must have.
        identity: what must be the same for a resumed download: record, part, name and size.
        on_bytes: called with the number of bytes just written.
        runs: what is there and what is not.
        segments: how many segments were written, for a download by segments.
        validator: the server's own mark of the file's version (``ETag``), if it has one.
        digest: takes what is written, and what was before; None where several connections write.
    """

    target: Path
    size: int
    identity: dict[str, Any]
    on_bytes: Callable[[int], None]
    runs: list[Run] = field(default_factory=list)
    segments: int = 0
    validator: str = ""
    digest: Blake3OfFile | None = None
    _descriptor: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _unsynced: int = 0
    _synced_at: float = 0.0

    @property
    def path(self) -> Path:
        """The unfinished file."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def journal(self) -> Path:
        """The file that says what of it is there."""
        return self.target.with_name(self.target.name + ".part.json")

    def __enter__(self) -> Self:
        with storage_errors(self.path):
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise UsageError(f"Another download is writing {self.path}: wait for it, or stop it.") from None
        self._load()
        self._synced_at = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                with contextlib.suppress(StorageError):
                    self.save()
        finally:
            os.close(self._descriptor)

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return sum(run.position - run.start for run in self.runs)

    def _load(self) -> None:
        """Resumes where the journal says, if it is of this very part and the file holds as much."""
        try:
            stored = json.loads(self.journal.read_text("utf-8"))
            runs = [Run(*map(int, run)) for run in stored["runs"]]
            borders = [0, *(run.end for run in runs)]
            fits = all(
                run.start == before and run.start <= run.position <= run.end
                for run, before in zip(runs, borders, strict=False)
            )
            written = max((run.position for run in runs if run.position > run.start), default=0)
            whole = fits and borders[-1] == self.size and os.fstat(self._descriptor).st_size >= written
            if stored["identity"] == self.identity and whole:
                self.runs, self.segments = runs, int(stored["segments"])
                self.validator = str(stored["validator"])
                if self.digest is not None and len(runs) == 1:
                    self.digest.read(self._descriptor, runs[0].position)
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.restart()

    def restart(self) -> None:
        """Forgets what is there."""
        with storage_errors(self.path):
            self.journal.unlink(missing_ok=True)
            os.ftruncate(self._descriptor, 0)
        self.runs, self.segments, self.validator = [Run(0, 0, self.size)], 0, ""
        if self.digest is not None:
            self.digest.restart()

    def split(self, count: int, smallest: int) -> None:
        """Divides what is not there yet among connections, if it is one run that nothing has arrived of."""
        if len(self.runs) != 1 or self.runs[0].position > 0:
            return
        count = max(1, min(count, self.size // smallest))
        borders = [self.size * index // count for index in range(count + 1)]
        self.runs = [Run(start, start, end) for start, end in pairwise(borders)]

    def write(self, run: Run, data: bytes, *, segment: int = 0) -> None:
        """Writes bytes at the position of a run and moves it on.

        Args:
            run: where the bytes belong.
            data: the bytes.
            segment: number of the segment they are, in a download by segments.

        Raises:
            DiskFullError: there is no space left.
            StorageError: the disk refuses otherwise.
        """
        view, position = memoryview(data), run.position
        with storage_errors(self.path):
            while view:
                written = os.pwrite(self._descriptor, view, position)
                view, position = view[written:], position + written
        if self.digest is not None:
            self.digest.add(data)
        with self._lock:
            run.position = position
            self.segments = segment
            self._unsynced += len(data)
            late = time.monotonic() - self._synced_at > SYNC_EVERY_SECONDS
            if self._unsynced >= SYNC_EVERY_BYTES or late:
                self._save()
        self.on_bytes(len(data))

    def save(self) -> None:
        """Syncs what is there and says so in the journal."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        stored = {
            "identity": self.identity,
            "runs": [[run.start, run.position, run.end] for run in self.runs],
            "segments": self.segments,
            "validator": self.validator,
        }
        fresh = self.journal.with_name(self.journal.name + ".new")
        with storage_errors(self.journal):
            os.fsync(self._descriptor)
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(stored, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.journal)
        self._unsynced, self._synced_at = 0, time.monotonic()

    def finish(self) -> Path:
        """Checks the size, syncs, and gives the file its name.

        Raises:
            VerificationError: it has another size than it must have.
        """
        with storage_errors(self.target):
            size = os.fstat(self._descriptor).st_size
            if size != self.size:
                self.restart()
                raise VerificationError(
                    f"{self.target.name} has {size} bytes and not {self.size} as the server says: download it again."
                )
            os.fsync(self._descriptor)
            self.path.rename(self.target)
            self.journal.unlink(missing_ok=True)
            sync_folder(self.target.parent)
        return self.target


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder safe from a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into an error for people."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"There is no space left to write {path}: free some and try again.") from error
        reason = error.strerror or type(error).__name__
        raise StorageError(f"{path} cannot be written: {reason}.") from error
