"""Draining the workers of a home: they take nothing new, and what is under way comes to its end.

Who is to drain is a file by its name. A process that takes the name anew, and so was started since, removes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backstay.catalogue import Home
from backstay.jobs.installation import Installation
from backstay.jobs.waiting import running_backups
from backstay.queue import members


def begin(home: Home, name: str) -> Callable[[], bool]:
    """Note that a process begins to work under a name, whoever had it before.

    Returns:
        A function that says whether it may take something new.
    """
    path = _file(home, name)
    path.unlink(missing_ok=True)
    return lambda: not path.exists()


def drain(installation: Installation) -> list[str]:
    """Let all workers of this home take nothing new from now on; return their names."""
    home, catalogue = installation.home, installation.catalogue
    if catalogue.is_shared:
        here = [worker for worker in catalogue.workers.all() if worker.machine == catalogue.machine]
        names = [members.lease_name(worker.id) for worker in here]
    else:
        names = sorted(members.names(home))
    for name in names:
        path = _file(home, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    return names


def under_way(installation: Installation, names: list[str]) -> int:
    """Return how many backups of this machine are taken, and of other servers by workers of these names."""
    held = [run.holder.partition("/")[0] for run in installation.catalogue.remote_queue.open()]
    return len(running_backups(installation)) + sum(holder in names for holder in held)


def _file(home: Home, name: str) -> Path:
    return home.queue / "draining" / name
