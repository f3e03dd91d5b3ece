"""Starting the process of a job, finding jobs that died, and stopping one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Final

from backstay.catalogue import Backup
from backstay.engine import Plan, discard
from backstay.jobs import lock
from backstay.jobs.installation import SECRET_VARIABLE, Installation

_STOP_SECONDS: Final = 20.0

_log = logging.getLogger(__name__)


def launch(installation: Installation, backup_id: int) -> bool:
    """Start the process that takes a backup, from its last checkpoint where there is one.

    Returns:
        False where a process takes it already.
    """
    folder = installation.home.job(backup_id)
    descriptor = lock.take(folder)
    if descriptor is None:
        return False
    try:
        job = installation.catalogue.jobs.get(backup_id)
        installation.catalogue.jobs.update(backup_id, attempts=(job.attempts if job else 0) + 1)
        environment = {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE}
        # -P: the folder the caller stands in must not be searched for code.
        command = [sys.executable, "-P", "-m", "backstay.jobs.worker"]
        with (folder / "output").open("ab") as output:
            process = subprocess.Popen(
                [*command, str(installation.home.path), str(backup_id), str(descriptor)],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[descriptor],
            )
    finally:
        os.close(descriptor)
    # Waited for in the background, so that no zombie is left while the caller lives.
    threading.Thread(target=process.wait, name=f"backup-{backup_id}", daemon=True).start()
    return True


def recover(installation: Installation, backup: Backup) -> None:
    """Take up a backup whose process died; give it up where that was tried often enough."""
    job = installation.catalogue.jobs.get(backup.id)
    if job is None or not job.plan:
        give_up(installation, backup, "Its job is not known any more.")
        return
    attempts = Plan.from_json(job.plan).settings.attempts
    if job.attempts >= attempts:
        give_up(installation, backup, f"Its process died {job.attempts} times: see the log, and the system's own.")
    elif launch(installation, backup.id):
        _log.warning("backup %d had died and is taken up again (attempt %d)", backup.id, job.attempts + 1)


def resume_dead(installation: Installation) -> list[int]:
    """Take up every backup that says it runs and whose process is gone; return their numbers."""
    found = []
    for backup in installation.catalogue.backups.newest(status="run"):
        if not lock.is_alive(installation.home.job(backup.id)):
            recover(installation, backup)
            found.append(backup.id)
    return found


def give_up(installation: Installation, backup: Backup, reason: str) -> None:
    """Mark a dead backup as failed and remove what there is of its archive."""
    folder = installation.home.job(backup.id)
    descriptor = lock.take(folder)
    if descriptor is None:
        return
    try:
        job = installation.catalogue.jobs.get(backup.id)
        if job is not None and job.plan:
            discard(Plan.from_json(job.plan), folder)
        installation.catalogue.backups.update(
            backup.id,
            status="fail",
            error=reason,
            backupend=datetime.now(UTC),
            filesexist=False,
            multipart=0,
            instep=False,
        )
        installation.catalogue.jobs.wipe(backup.id)
    finally:
        os.close(descriptor)


def stop(installation: Installation, backup_id: int) -> bool:
    """Stop the process of a backup at its next safe place; return whether there was one.

    The backup stays as it is and can be taken up again.
    """
    folder = installation.home.job(backup_id)
    found = False
    asked: int | None = None
    deadline = time.monotonic() + _STOP_SECONDS
    while lock.is_alive(folder):
        found = True
        number = lock.process_number(folder)
        if number is not None and number != asked:
            _signal(number, signal.SIGTERM)
            asked = number
        if number is not None and time.monotonic() > deadline:
            _signal(number, signal.SIGKILL)
        time.sleep(0.02)
    return found


def _signal(number: int, signal_number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal_number)
