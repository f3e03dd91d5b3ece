"""Starting the process of a job, finding jobs that died, and stopping one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from typing import Final

from backstay.catalogue import Backup
from backstay.engine import WORK, Plan, complete_unsent, discard, withdraw_copies
from backstay.errors import BackupRunningError
from backstay.jobs import arrivals, lock, report
from backstay.jobs.announcing import announce
from backstay.jobs.installation import Installation
from backstay.jobs.job_process import start

_STOP_SECONDS: Final = 20.0
_SECOND_LOOK_SECONDS: Final = 3.0

_log = logging.getLogger(__name__)


def launch(installation: Installation, backup_id: int) -> bool:
    """Start the process that takes a backup, from its last checkpoint where there is one.

    Returns:
        False where a process takes it already, or it has ended.
    """
    folder = installation.home.job(backup_id)
    descriptor = lock.take(folder)
    if descriptor is None:
        return False
    try:
        # Asked under the lock: what was read before may have been true of a process that has finished since.
        backup, job = installation.catalogue.backups.get(backup_id), installation.catalogue.jobs.get(backup_id)
        if backup is None or backup.status != "run" or job is None:
            return False
        installation.catalogue.jobs.update(backup_id, attempts=job.attempts + 1)
        process = start(installation.home.path, folder, backup_id, descriptor)
    finally:
        os.close(descriptor)
    # Waited for in the background, so that no zombie is left while the caller lives.
    threading.Thread(target=process.wait, name=f"backup-{backup_id}", daemon=True).start()
    return True


def recover(installation: Installation, backup: Backup) -> bool:
    """Start the process of a backup that has none; note it as failed where it died too often.

    Returns:
        Whether a process was started.
    """
    job = installation.catalogue.jobs.get(backup.id)
    if job is None or not job.plan:
        mark_failed(installation, backup.id, "Its job is not known any more.")
        return False
    attempts = Plan.from_json(job.plan).settings.attempts
    if job.attempts >= attempts:
        mark_failed(
            installation, backup.id, f"Its process died {job.attempts} times: see the log, and the system's own."
        )
        return False
    if not launch(installation, backup.id):
        return False
    if job.attempts:
        _log.warning("backup %d had died and is resumed (attempt %d)", backup.id, job.attempts + 1)
    return True


def tidy(installation: Installation) -> None:
    """Wipe what is left of jobs that have ended and whose processes died before they could do so."""
    arrivals.remove_left(installation)
    for backup_id in installation.catalogue.jobs.ended(installation.catalogue.machine):
        folder = installation.home.job(backup_id)
        with lock.tried(folder) as taken:
            if taken:
                shutil.rmtree(folder / WORK, ignore_errors=True)
                installation.catalogue.jobs.wipe(backup_id)


def mark_failed(installation: Installation, backup_id: int, reason: str) -> bool:
    """Mark a dead backup as failed and remove what there is of its archive; return whether it was dead."""
    with lock.tried(installation.home.job(backup_id)) as taken:
        return taken and end(installation, backup_id, reason)


def end(installation: Installation, backup_id: int, reason: str) -> bool:
    """Mark a backup as failed whose lock the caller holds; return whether it was running, as far as its record goes."""
    backup, job = installation.catalogue.backups.get(backup_id), installation.catalogue.jobs.get(backup_id)
    if backup is None or backup.status != "run":
        return False
    plan = Plan.from_json(job.plan) if job and job.plan else None
    complete = bool(plan is not None and backup.proof.get("ok") and not plan.settings.abort_on_fail)
    if plan is not None and complete:
        # What is proven is not lost because it could not be sent.
        complete_unsent(installation.catalogue, installation.home, backup, reason)
    else:
        left = discard(installation.catalogue, installation.home, backup, plan) if plan is not None else []
        left += withdraw_copies(installation.catalogue, backup_id, stored_too=True)
        installation.catalogue.backups.end(backup_id, error=" ".join([reason, *left]))
    installation.catalogue.jobs.wipe(backup_id)
    announce(installation, backup_id, "succeeded" if complete else "failed")
    return True


def is_stuck(installation: Installation, backup_id: int) -> bool:
    """Return whether the process of a backup has given no sign of life for as long as the settings allow."""
    folder = installation.home.job(backup_id)
    limit = installation.configuration.jobs.stuck_after * 60
    if not limit or not lock.is_alive(folder) or report.silence(folder) < limit:
        return False
    # Looked at twice: after a sleep of the whole machine, or a change of its clock, each backup seems to have hung.
    deadline = time.monotonic() + _SECOND_LOOK_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if report.silence(folder) < limit:
            return False
    return lock.is_alive(folder)


@contextlib.contextmanager
def stopped(installation: Installation, backup_id: int, patience: float = _STOP_SECONDS) -> Iterator[None]:
    """Stop a backup and keep everyone from resuming it; see ``stop``."""
    while True:
        stop(installation, backup_id, patience)
        with lock.tried(installation.home.job(backup_id)) as taken:
            if taken:
                yield
                return


def stop(installation: Installation, backup_id: int, patience: float = _STOP_SECONDS) -> bool:
    """Stop the process of a backup at its next safe place; return whether there was one.

    The backup stays as it is and can be resumed.

    Args:
        installation: whose.
        backup_id: number of its record.
        patience: seconds after which the process is killed.

    Raises:
        BackupRunningError: it does not end, not even when it is killed.
    """
    folder = installation.home.job(backup_id)
    found = False
    asked: int | None = None
    deadline = time.monotonic() + patience
    while lock.is_alive(folder):
        found = True
        number = lock.process_number(folder)
        if number is not None and number != asked:
            _signal(number, signal.SIGTERM)
            asked = number
        if number is not None and time.monotonic() > deadline:
            _signal(number, signal.SIGKILL)
        if time.monotonic() > deadline + _STOP_SECONDS:
            raise BackupRunningError(
                f"The process of backup {backup_id} can't be ended: it waits for a disk or a network file system "
                "that does not answer. Mend that first."
            )
        time.sleep(0.02)
    return found


def _signal(number: int, signal_number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal_number)
