"""One run of a schedule: its backup, begun once whatever dies meanwhile, or its proofs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from backstay.catalogue import Backup, Run
from backstay.catalogue.schedules import DueRun
from backstay.errors import BackstayError, BackupRunningError
from backstay.jobs import lock
from backstay.jobs.backup import start_backup
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import queue_run
from backstay.jobs.schedules import look_up
from backstay.jobs.waiting import start_waiting

_LOOK_SECONDS: Final = 1.0


def due(installation: Installation, now: datetime) -> list[dict[str, Any]]:
    """Make the runs that are due, and queue those of sites on other servers.

    Args:
        installation: whose.
        now: this moment.

    Returns:
        The others that nobody has begun, as plain data.
    """
    look_up(installation, now)
    found = installation.catalogue.runs.due(now)
    for run in found:
        if run.remote:
            _queue_remote(installation, run, now)
    return [
        {
            "id": run.id,
            "schedule": run.schedule_id,
            "due": run.due.isoformat(),
            "profile": run.profile_id,
            "machine": run.machine,
            "what": run.what,
        }
        for run in found
        if not run.remote
    ]


def _queue_remote(installation: Installation, run: DueRun, now: datetime) -> None:
    """Queue the backup of a site on another server; where one of it is not done, the run waits for another look."""
    try:
        queue_run(installation, run.profile_id, run_id=run.id, origin="cli", tag="cli")
    except BackupRunningError:
        return
    except BackstayError as error:
        installation.catalogue.runs.begin(run.id, now)
        installation.catalogue.runs.end(run.id, "failed", str(error), now)


def begin(installation: Installation, run_id: int, now: datetime) -> bool:
    """Begin a run, or find it begun.

    Returns:
        False where it must wait, because a backup of its profile runs already.
    """
    run = installation.catalogue.runs.get(run_id)
    if run is None or run.backup_id is not None or run.ended is not None:
        return True
    schedule = installation.catalogue.schedules.get(run.schedule_id)
    if schedule.what != "backup":
        return True
    try:
        start_backup(installation, profile_id=schedule.profile_id, origin="cli", tag="cli", run_id=run_id)
    except BackupRunningError:
        return False
    except BackstayError as error:
        installation.catalogue.runs.begin(run_id, now)
        installation.catalogue.runs.end(run_id, "failed", str(error), now)
    return True


def finish(
    installation: Installation, run_id: int, *, now: Callable[[], datetime], wait: Callable[[float], None]
) -> None:
    """Follow a run to its end and note what came of it.

    Args:
        installation: whose.
        run_id: which run; one that has ended, or is gone, is left alone.
        now: returns this moment.
        wait: waits for so many seconds.
    """
    runs = installation.catalogue.runs
    run = runs.get(run_id)
    if run is None or not runs.begin(run_id, now()):
        return
    if run.backup_id is not None:
        state, message = _backup_result(_followed(installation, run.backup_id, wait), run.backup_id)
    else:
        state, message = _proof_result(installation, run, wait)
    runs.end(run_id, state, message, now())


def _followed(installation: Installation, backup_id: int, wait: Callable[[float], None]) -> Backup | None:
    """Wait for the end of a backup, and see to it that it has a process; None where it was deleted."""
    while True:
        backup = installation.catalogue.backups.get(backup_id)
        if backup is None or backup.status != "run":
            return backup
        if not lock.is_alive(installation.home.job(backup_id)):
            start_waiting(installation)
        wait(_LOOK_SECONDS)


def _proof_result(installation: Installation, run: Run, wait: Callable[[float], None]) -> tuple[Any, str]:
    # Imported here: what proves is slow to load, and most runs are backups.
    from backstay.jobs.proofs import prove

    try:
        return "done", prove(installation, run, wait=wait)
    except BackstayError as error:
        return "failed", str(error)


def _backup_result(backup: Backup | None, backup_id: int) -> tuple[Any, str]:
    if backup is None:
        return "failed", f"Backup {backup_id} was deleted."
    if backup.status == "fail":
        return "failed", backup.error
    warnings = f", with {backup.warning_count} warnings" if backup.warning_count else ""
    return "done", f"Backup {backup_id} is complete{warnings}."
