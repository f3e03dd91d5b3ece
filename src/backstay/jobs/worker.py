"""The process of a job: ``python -m backstay.jobs.worker HOME BACKUP LOCK``.

It is started by ``launch`` with the lock of the job's folder already taken, runs the backup from its last checkpoint
to its end, and tells how far it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path

from backstay.engine import BackupRun, Plan, Progress, open_log
from backstay.errors import BackstayError
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation, open_installation

# Often enough for a person who watches, seldom enough to cost nothing.
_REPORT_SECONDS = 0.1
_TURN_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    """Run one job; return the exit code of the process."""
    home, backup_id, descriptor = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    # What this process starts (pg_dump, say) must not hold the lock beyond its life.
    os.set_inheritable(descriptor, False)
    lock.note_process(descriptor)
    stopped = _listen_for_stop()
    with open_installation(home) as installation, contextlib.suppress(BackstayError):
        os.nice(installation.configuration.jobs.niceness)
        _run(installation, backup_id, stopped)
        return 0
    return 1


def _listen_for_stop() -> list[int]:
    """Note the signals that ask for an end; those of a terminal that goes away are not meant for a job."""
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    return received


def _run(installation: Installation, backup_id: int, stopped: list[int]) -> None:
    catalogue = installation.catalogue
    job, backup = catalogue.jobs.get(backup_id), catalogue.backups.get(backup_id)
    if job is None or backup is None or backup.status != "run" or not job.plan:
        return
    plan = Plan.from_json(job.plan)
    folder = installation.home.job(backup_id)
    handler = open_log(installation.home.log(plan.tag, plan.backupid), plan.settings.log_level)
    root = logging.getLogger("backstay")
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    if not _wait_for_turn(installation, backup_id, folder, stopped):
        return
    run = BackupRun(catalogue, installation.home, backup, plan, job.checkpoint)
    try:
        if _drive(run, folder, stopped):
            catalogue.jobs.wipe(backup_id)
    except BaseException:
        # A failed backup is not tried again; one whose process is killed never comes here.
        catalogue.jobs.wipe(backup_id)
        raise
    finally:
        root.removeHandler(handler)
        handler.close()


def _wait_for_turn(installation: Installation, backup_id: int, folder: Path, stopped: list[int]) -> bool:
    """Wait until fewer backups that began earlier run than may run at once; return False where a stop came first."""
    while True:
        earlier = [
            backup.id
            for backup in installation.catalogue.backups.newest(status="run")
            if backup.id < backup_id and lock.is_alive(installation.home.job(backup.id))
        ]
        if len(earlier) < installation.configuration.jobs.maximum_running:
            return True
        if stopped:
            return False
        report.publish(folder, Progress("init", step=f"Waiting for the end of backup {earlier[-1]}"))
        time.sleep(_TURN_SECONDS)


def _drive(run: BackupRun, folder: Path, stopped: list[int]) -> bool:
    """Run to the end and tell how far it is; return whether the end was reached."""
    steps = run.run()
    told: Progress | None = None
    told_at = 0.0
    latest: Progress | None = None
    try:
        for latest in steps:
            now = time.monotonic()
            if told is None or latest.domain != told.domain or now - told_at >= _REPORT_SECONDS:
                run.warnings.flush()
                report.publish(folder, latest)
                told, told_at = latest, now
            if stopped:
                steps.close()
                return False
    finally:
        if latest is not None:
            report.publish(folder, latest)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
