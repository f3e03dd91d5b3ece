"""The process of a job: ``python -m backstay.jobs.worker HOME BACKUP LOCK``, or ``… SOCKET``, where it receives these.

It is started by ``job_process`` with the lock of the job's folder already taken, runs the backup from its last
checkpoint to its end, and reports how far it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from backstay.catalogue import PATIENT_SECONDS, Job
from backstay.engine import BackupRun, Plan, Progress, log_header, open_log
from backstay.errors import BackstayError
from backstay.jobs import lock, report
from backstay.jobs.announcing import announce
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.job_process import received
from backstay.jobs.waiting import start_waiting

# Often enough for a person who watches, seldom enough to cost nothing.
_REPORT_SECONDS = 0.1

# Not __name__: run as a program this module is __main__, and the log takes what is Backstay's.
_log = logging.getLogger("backstay.jobs.worker")


def main(arguments: list[str]) -> int:
    """Run one job; return the exit code of the process."""
    given = received(int(arguments[0])) if len(arguments) == 1 else _given(*arguments)
    if given is None:
        return 0
    home, backup_id, descriptor = given
    # What this process starts (pg_dump, say) must not hold the lock beyond its life.
    os.set_inheritable(descriptor, False)
    stopped = _listen_for_stop()
    lock.note_process(descriptor)
    with open_installation(home, patience=PATIENT_SECONDS) as installation, contextlib.suppress(BackstayError):
        os.nice(installation.configuration.jobs.niceness)
        run_job(installation, backup_id, lambda: bool(stopped))
        return 0
    return 1


def _given(home: str, backup_id: str, descriptor: str) -> tuple[Path, int, int]:
    return Path(home), int(backup_id), int(descriptor)


def _listen_for_stop() -> list[int]:
    """Note the signals that ask for an end; those of a terminal that goes away are not meant for a job."""
    received: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    return received


def run_job(installation: Installation, backup_id: int, stopped: Callable[[], bool] = lambda: False) -> None:
    """Take a backup from its last checkpoint to its end.

    Args:
        installation: whose.
        backup_id: number of its record; one that has ended is left alone.
        stopped: whether somebody asked it to stop.

    Raises:
        BackstayError: the backup failed; its record says why.
    """
    catalogue = installation.catalogue
    job, backup = catalogue.jobs.get(backup_id), catalogue.backups.get(backup_id)
    if job is None or backup is None or backup.status != "run" or not job.plan:
        return
    plan = Plan.from_json(job.plan)
    folder = installation.home.job(backup_id)
    with _logging(installation.home.log(plan.tag, plan.backupid), plan, job.attempts):
        run = BackupRun(catalogue, installation.home, backup, plan, job.checkpoint)
        announce(installation, backup_id, "started")
        try:
            seconds: dict[str, float] = {}
            if _drive(run, folder, stopped, seconds):
                _keep_seconds(installation, backup_id, seconds)
            else:
                _put_off(installation, job)
        finally:
            _end(installation, backup_id)
            # Whoever stopped it starts the next: a machine that shuts down starts none.
            if not stopped():
                start_waiting(installation, ending=backup_id)
        if plan.settings.repository:
            # Imported here: few backups need it.
            from backstay.jobs.repository_tidying import tidy_repository

            tidy_repository(installation, plan.settings.repository)
        if plan.settings.drill:
            # Imported here because it needs all that restores need, and few backups need it.
            from backstay.jobs.drill import drill_after_backup

            drill_after_backup(installation, backup_id, plan.settings)


def _end(installation: Installation, backup_id: int) -> None:
    """Wipe what only a running job needs, and announce how it ended."""
    ended = installation.catalogue.backups.get(backup_id)
    if ended is not None and ended.status == "run":
        return  # one whose end could not be noted keeps its plan, and is resumed like one that died
    installation.catalogue.jobs.wipe(backup_id)
    if ended is not None:
        announce(installation, backup_id, "succeeded" if ended.status == "complete" else "failed")


def _keep_seconds(installation: Installation, backup_id: int, seconds: Mapping[str, float]) -> None:
    """Keep with the proof of a backup how long it was at each domain; of one that was resumed, since then."""
    kept = {domain: round(spent, 2) for domain, spent in seconds.items()}
    with contextlib.suppress(BackstayError):
        installation.catalogue.backups.update_proof(backup_id, lambda proof: {**proof, "seconds": kept})


def _put_off(installation: Installation, job: Job) -> None:
    """Note that a job was stopped on request: that is no death, and does not count as one."""
    installation.catalogue.jobs.update(job.backup_id, attempts=max(0, job.attempts - 1))


@contextlib.contextmanager
def _logging(path: Path, plan: Plan, attempt: int) -> Iterator[None]:
    """Write the backup's log while it runs; a log that cannot be written stops no backup."""
    handler: logging.Handler = logging.NullHandler()
    with contextlib.suppress(OSError):
        handler = open_log(path, plan.settings.log_level)
    root = logging.getLogger("backstay")
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    for line in log_header(plan, attempt):
        _log.info("%s", line)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _drive(run: BackupRun, folder: Path, stopped: Callable[[], bool], seconds: dict[str, float]) -> bool:
    """Run to the end and report how far it is; return whether the end was reached.

    Args:
        run: what is done.
        folder: of the job.
        stopped: whether somebody asked it to stop.
        seconds: gets how long it was at each domain.
    """
    domain, since = "init", time.monotonic()
    published: Progress | None = None
    published_at = 0.0
    latest: Progress | None = None
    with contextlib.closing(run.run()) as steps:
        for latest in steps:
            now = time.monotonic()
            if latest.domain != domain:
                seconds[domain] = seconds.get(domain, 0.0) + now - since
                domain, since = latest.domain, now
            if published is None or latest.domain != published.domain or now - published_at >= _REPORT_SECONDS:
                _publish(folder, latest)
                published, published_at = latest, now
            if stopped():
                return False
    seconds[domain] = seconds.get(domain, 0.0) + time.monotonic() - since
    if latest is not None:
        _publish(folder, latest)
    return True


def _publish(folder: Path, progress: Progress) -> None:
    # A report that cannot be written fails no backup: where the disk is full, the backup itself will say so.
    with contextlib.suppress(OSError):
        report.publish(folder, progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
