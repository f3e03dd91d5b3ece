"""Limits how many backups run at once: the rest wait for a slot, in the order they began."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from backstay.engine import Progress
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation

_LOOK_SECONDS = 0.5


def wait_for_slot(installation: Installation, backup_id: int, folder: Path, stopped: Callable[[], bool]) -> int | None:
    """Wait for a slot.

    A slot is a lock on one of as many files as backups may run, which says whose it is; it ends with its process.

    Args:
        installation: whose.
        backup_id: of the backup that wants a slot.
        folder: of its job, where what it waits for is reported.
        stopped: whether somebody asked it to end.

    Returns:
        The open file that holds the slot, or None where it was asked to end first.
    """
    files = [
        installation.home.jobs / f"turn-{number}.lock"
        for number in range(installation.configuration.jobs.maximum_running)
    ]
    while True:
        running = {holder for path in files if (holder := _holder(path)) is not None}
        earlier_ones = [earlier for earlier in _waiting(installation, running) if earlier < backup_id]
        if not earlier_ones and (slot := _take_slot(files, backup_id)) is not None:
            return slot
        if stopped():
            return None
        awaited = earlier_ones[-1] if earlier_ones else max(running, default=0)
        with contextlib.suppress(OSError):
            report.publish(folder, Progress("init", step=f"Waiting for the end of backup {awaited}"))
        time.sleep(_LOOK_SECONDS)


def _waiting(installation: Installation, running: set[int]) -> list[int]:
    """Return the numbers of backups whose processes live and have no slot, in order."""
    found = (backup.id for backup in installation.catalogue.backups.newest(status="run"))
    home = installation.home
    return sorted(number for number in found if number not in running and lock.is_alive(home.job(number)))


def _take_slot(files: list[Path], backup_id: int) -> int | None:
    for path in files:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        # The lock is what counts; whose it is only tells the others what they wait for.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(backup_id).encode(), 0)
        return descriptor
    return None


def _holder(path: Path) -> int | None:
    """Return the number of the backup whose slot a file is, or None where it is free."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        content = os.pread(descriptor, 20, 0)
        return int(content) if content.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
