"""Backups that wait: a backup that nobody takes yet is a record and its job, and no process.

As many run at once as the settings allow. Whoever starts one, steps one, ends one, or looks once a minute, starts the
processes of those that have waited longest. A backup whose process died waits in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from backstay.catalogue import Backup
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.jobs.launch import recover, tidy
from backstay.jobs.machines import is_of_here

_LOCK = "start.lock"


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """The backups that have not ended, by their numbers in the order they began.

    Attributes:
        running: those with a living process.
        waiting: those without one that are to get one; a backup that a person stopped is not among them.
    """

    running: list[int]
    waiting: list[Backup]


def start_waiting(installation: Installation, *, ending: int = 0) -> list[int]:
    """Start backups that wait, the oldest first, while fewer run than may.

    Args:
        installation: whose.
        ending: number of a backup whose process is about to end: it counts neither as running nor as waiting.

    Returns:
        The numbers of those that were started.
    """
    started: list[int] = []
    # Held while it counts and starts, so that two that do it at once don't start more than may run.
    with lock.exclusive(installation.home.jobs / _LOCK):
        unfinished = _unfinished(installation, ending)
        free = installation.configuration.jobs.maximum_running - len(unfinished.running)
        for backup in unfinished.waiting:
            if len(started) >= free:
                break
            if recover(installation, backup):
                started.append(backup.id)
    return started


def resume_unfinished(installation: Installation) -> list[int]:
    """Tidy up behind processes that died, and start backups that wait; return the numbers of those started."""
    tidy(installation)
    return start_waiting(installation)


def running_backups(installation: Installation) -> list[int]:
    """Return the numbers of the backups that a process of this machine is taking."""
    return _unfinished(installation).running


def awaited(installation: Installation, backup_id: int) -> int | None:
    """Return the number of the backup for whose end another waits; None where that one waits for none."""
    unfinished = _unfinished(installation)
    waiting = [backup.id for backup in unfinished.waiting]
    if backup_id not in waiting:
        return None
    earlier = [number for number in waiting if number < backup_id]
    return earlier[-1] if earlier else max(unfinished.running, default=None)


def _unfinished(installation: Installation, ending: int = 0) -> _Unfinished:
    running: list[int] = []
    waiting: list[Backup] = []
    paused = installation.catalogue.jobs.paused()
    for backup in sorted(installation.catalogue.backups.newest(status="run"), key=lambda backup: backup.id):
        if backup.id == ending or not is_of_here(installation, backup):
            continue
        if lock.is_alive(installation.home.job(backup.id)):
            running.append(backup.id)
        elif backup.id not in paused:
            waiting.append(backup)
    return _Unfinished(running, waiting)
