"""The processes that share the work of one home: each holds a lock on a file of its own for as long as it lives.

Where several machines share a catalogue, leases stand in for the locks (``leases.py``).
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

from backstay.catalogue import Home
from backstay.jobs import lock
from backstay.jobs.installation import Installation

_PREFIX = "member-"
_FOREGROUND = "foreground-"
_LEASE = "worker-"


@dataclass(frozen=True, slots=True)
class Member:
    """This process, as the others see it.

    Attributes:
        name: unique among those that live.
        descriptor: the open file that holds its lock.
    """

    name: str
    descriptor: int

    def leave(self) -> None:
        """Give the lock back: the others may take over what is not finished."""
        os.close(self.descriptor)


def join(home: Home, *, foreground: bool = False) -> Member:
    """Take the first name that no living process has.

    Args:
        home: whose work is shared.
        foreground: the process does only what it was started for, and nothing of what is scheduled.
    """
    for number in itertools.count(1):
        name = f"{_FOREGROUND if foreground else _PREFIX}{number}"
        descriptor = lock.take(home.queue / name)
        if descriptor is not None:
            lock.note_process(descriptor)
            return Member(name, descriptor)
    raise AssertionError  # there is always one more number


def lives(home: Home, name: str) -> bool:
    """Return whether a process has this name now; names that ``join`` does not give have none."""
    return name.startswith(_PREFIX) and "/" not in name and lock.is_alive(home.queue / name)


def names(home: Home) -> set[str]:
    """Return the names of all processes that live, those in the foreground too."""
    folders = (folder for prefix in (_PREFIX, _FOREGROUND) for folder in home.queue.glob(f"{prefix}*"))
    return {folder.name for folder in folders if lock.is_alive(folder)}


def lease_name(number: int) -> str:
    """Return the name of the process with a lease, where machines share a catalogue."""
    return f"{_LEASE}{number}"


def anyone_lives(installation: Installation) -> bool:
    """Return whether any process works on the queue of an installation, so that scheduled runs begin on time."""
    return living(installation) > 0


def living(installation: Installation) -> int:
    """Return how many processes work on the queue of an installation, on whatever machine."""
    if installation.catalogue.is_shared:
        return sum(worker.lives for worker in installation.catalogue.workers.all())
    return sum(lock.is_alive(folder) for folder in installation.home.queue.glob(f"{_PREFIX}*"))
