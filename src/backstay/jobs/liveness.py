"""Whether a backup that has not ended is being worked on, and how far it is: the one place that knows where to look.

A backup of a site of this machine is a process with a lock, and a file. One of a remote site is a run that any worker
may hold, and what that worker has written of it in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstay.catalogue import ANY_MACHINE, Backup
from backstay.engine import Progress
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation


def is_worked_on(installation: Installation, backup: Backup) -> bool:
    """Return whether a process or worker has a backup at this moment."""
    if backup.machine != ANY_MACHINE:
        return lock.is_alive(installation.home.job(backup.id))
    run = installation.catalogue.remote_runs.of_backup(backup.id)
    return run is not None and bool(run.holder)


def latest_report(installation: Installation, backup: Backup) -> Progress | None:
    """Return how far a backup is; None before its first report."""
    here = report.read(installation.home.job(backup.id))
    if backup.machine != ANY_MACHINE or (here is not None and lock.is_alive(installation.home.job(backup.id))):
        return here
    run = installation.catalogue.remote_runs.of_backup(backup.id)
    if run is None:
        return here
    return _progress(run.progress) if run.holder else Progress("init", "Waiting for its turn")


def _progress(values: Mapping[str, Any]) -> Progress | None:
    try:
        return Progress(**{name: value for name, value in values.items() if name != "at"})
    except TypeError:
        return None
