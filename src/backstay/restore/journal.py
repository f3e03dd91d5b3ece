"""The journal of one restore: JSON lines in a private folder, each on disk before what it announces is begun.

Whoever finds the journal after a crash knows how far the restore was, and what has to be done to finish it or to take
it back. A lock held on the folder distinguishes a restore that runs from one that died.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backstay.errors import NotFoundError, RestoreError

_JOURNAL = "journal.jsonl"
_LOCK = "lock"
_UNFINISHED_SECONDS = 3600.0
_PATIENCE_SECONDS = 3.0
_LOOK_SECONDS = 0.05


class Journal:
    """The journal of one restore, open and locked; use it in a ``with`` statement.

    Args:
        folder: of this restore alone.

    Attributes:
        folder: the same; work files of the restore may lie in it.
        name: what the restore is called.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._lock = _locked(folder / _LOCK, self.name)
        self.lines = read_lines(folder)
        self._cut_torn_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def lock(self) -> int:
        """Descriptor of the lock: a process that has it too keeps others out until it ends."""
        return self._lock

    def append(self, step: str, **facts: Any) -> None:
        """Write a line; it is on disk when the call returns."""
        line = {"step": step, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts}
        descriptor = os.open(self.folder / _JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write_whole(descriptor, json.dumps(line).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not self.lines:
            sync_folder(self.folder)
        self.lines.append(line)

    def last(self, step: str, **facts: Any) -> dict[str, Any] | None:
        """Return the last line of a step, of those that hold certain facts; None where there is none."""
        wanted = {"step": step, **facts}
        found = (line for line in reversed(self.lines) if wanted.items() <= line.items())
        return next(found, None)

    def remove(self) -> None:
        """Remove the journal with its folder: the restore is over."""
        # The journal goes first: a folder without one is nothing that anybody would resume.
        (self.folder / _JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def _cut_torn_line(self) -> None:
        """Cut off a line that a power cut left half written, so that the next one is a line of its own."""
        path = self.folder / _JOURNAL
        with suppress(FileNotFoundError), path.open("r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write a line, or nothing of it: a disk that is nearly full takes a piece without a word."""
    before = os.fstat(descriptor).st_size
    if os.write(descriptor, line) < len(line):
        os.ftruncate(descriptor, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _locked(path: Path, name: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The processes of a restore that was killed end a moment after it.
            if time.monotonic() < until:
                time.sleep(_LOOK_SECONDS)
                continue
            os.close(descriptor)
            raise RestoreError(f"The restore {name} is running: wait for its end, or stop it.") from None
        return descriptor


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Read the journal in a folder, without its lock; a last line that is torn is left out.

    Raises:
        RestoreError: a line before the last cannot be read.
    """
    try:
        content = (folder / _JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise RestoreError(f"The journal in {folder} is damaged: look there for what was done.") from error


def new_journal(folder: Path) -> Journal:
    """Make the journal of a new restore.

    Args:
        folder: that holds the journals of all restores; made where it is missing.
    """
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    path = folder / name
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_unfinished(folder)
    path.mkdir(mode=0o700)
    sync_folder(folder)
    return Journal(path)


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes left that died before they wrote their first line, or after they removed their last."""
    for path in folder.glob("*-*-????????"):
        old = time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS
        if old and not (path / _JOURNAL).exists():
            shutil.rmtree(path, ignore_errors=True)


def open_journals(folder: Path) -> list[Path]:
    """Return the folders of all restores that are not over yet, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / _JOURNAL).is_file())


def is_held(folder: Path) -> bool:
    """Return whether a process works on the restore whose journal lies in a folder."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def reopen_journal(folder: Path, name: str) -> Journal:
    """Open the journal of a restore that is not over yet.

    Raises:
        NotFoundError: there is no such restore.
        RestoreError: it is running.
    """
    path = folder / name
    if "/" in name or not (path / _JOURNAL).is_file():
        raise NotFoundError(f"There is no restore {name}: see them with 'backstay restore --pending'.")
    return Journal(path)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
