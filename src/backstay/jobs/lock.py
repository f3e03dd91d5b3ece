"""The lock that distinguishes a living job from a dead one.

A job holds an operating-system lock on a file in its folder for as long as its process lives, however it ends. The
lock is taken by whoever starts the process and handed over with the open file: there is no moment in which a job that
is starting looks dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_NAME = "lock"
_POLL_SECONDS = 0.02


def take(folder: Path) -> int | None:
    """Take the lock of a job's folder.

    Args:
        folder: made where it is missing.

    Returns:
        The open file descriptor that holds the lock, or None where another process holds it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while not _locked(descriptor, fcntl.LOCK_EX):
        # Whoever only asks whether a job is alive holds the lock too, for a moment, but lets others ask.
        if not _locked(descriptor, fcntl.LOCK_SH):
            os.close(descriptor)
            return None
    # The number of a process that is gone may be another's by now: nobody must be asked to stop that one.
    os.ftruncate(descriptor, 0)
    return descriptor


@contextlib.contextmanager
def tried(folder: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a job's folder while it can be had at once, or within some seconds; gives whether it could."""
    deadline = time.monotonic() + patience
    while (descriptor := take(folder)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Lock an open file, or turn its lock into one of another kind, if that can be had at once; return whether."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(folder: Path) -> bool:
    """Return whether a process holds the lock of a job's folder."""
    try:
        descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock that is given back at once: two askers do not take each other for the job.
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def note_process(descriptor: int) -> None:
    """Write this process's number into the lock file, for those who want to stop it."""
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def noted_at(folder: Path) -> float:
    """Return when a process last took the lock, in Unix seconds; 0 where none ever did."""
    try:
        return (folder / _NAME).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def process_number(folder: Path) -> int | None:
    """Return the number of the process that holds the lock; None where there is none, or it has not written it yet."""
    if not is_alive(folder):
        return None
    content = (folder / _NAME).read_bytes()
    return int(content) if content.isdigit() else None


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file for a short while; waits until it is free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
