"""The process of a task: ``python -m backstay.jobs.task_worker HOME TASK LOCK``.

It is started by ``tasks.begin_task`` with the lock of the task's folder already taken, does the work, and notes how
that ended.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final

from backstay.catalogue import PATIENT_SECONDS, Task, TaskState
from backstay.errors import BackstayError, DiskFullError, StoppedError
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.process_log import set_up_log
from backstay.jobs.tasks import KINDS, STOP_FILE, TaskProgress

_REPORT_SECONDS: Final = 0.2
_POLITE_SECONDS: Final = 2.0
"""For so long a task that is to stop may go on to its next report; then it is interrupted wherever it is."""
_LAST_SECONDS: Final = 60.0
"""After so many more the system ends its process."""
_FULL_DISK_SECONDS: Final = 600.0
_STOPPED = "It was stopped before its end."

# Not __name__: run as a program this module is __main__, and the log takes what is Backstay's.
_log = logging.getLogger("backstay.jobs.task_worker")


def main(arguments: list[str]) -> int:
    """Do one task; return the exit code of the process."""
    home, task_id, descriptor = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    # What this process starts must not hold the lock beyond its life.
    os.set_inheritable(descriptor, False)
    order = _Order()
    order.listen()
    lock.note_process(descriptor)
    set_up_log(logging.INFO)
    with open_installation(home, patience=PATIENT_SECONDS) as installation:
        if (installation.home.task(task_id) / STOP_FILE).exists():
            order.given = True
        os.nice(installation.configuration.jobs.niceness)
        run_task(installation, task_id, order)
    return 0


class _Order:
    """Whether this process was told to stop.

    Attributes:
        given: it was.
        deaf: the work has ended, and its end is not interrupted.
    """

    def __init__(self) -> None:
        self.given = False
        self.deaf = False

    def listen(self) -> None:
        """Listen to SIGTERM; signals of a terminal that goes away are not meant for a task."""
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGALRM, self._interrupt)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)

    def end(self) -> None:
        """Do not interrupt this process any more."""
        self.deaf = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if not self.given and not self.deaf:
            self.given = True
            signal.setitimer(signal.ITIMER_REAL, _POLITE_SECONDS)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.deaf:
            return
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _LAST_SECONDS)
        raise StoppedError(_STOPPED)


def run_task(installation: Installation, task_id: int, order: _Order) -> None:
    """Do a task to its end, and note how it ended."""
    task = installation.catalogue.tasks.find(task_id)
    if task is None or task.state != "running":
        return
    state, message, result = _done(installation, task, order)
    order.end()
    _log.info("task %d (%s) ended: %s", task.id, task.kind, state)
    deadline = time.monotonic() + _FULL_DISK_SECONDS
    while True:
        try:
            installation.catalogue.tasks.end(task.id, state, datetime.now(UTC), message, result)
        except DiskFullError:
            # Noted as soon as there is space: what it came to is worth waiting for.
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def _done(installation: Installation, task: Task, order: _Order) -> tuple[TaskState, str, dict[str, Any]]:
    try:
        module, _, name = KINDS[task.kind].partition(":")
        work = getattr(importlib.import_module(module), name)
        arguments = installation.catalogue.tasks.arguments(task.id)
        result = dict(work(installation, task, arguments, _reporter(installation.home.task(task.id), order)))
    except StoppedError:
        return "stopped", _STOPPED, {}
    except BackstayError as error:
        return "failed", str(error), {}
    except OSError as error:
        _log.exception("task %d failed", task.id)
        return "failed", f"The system refused: {error.strerror or error}.", {}
    except Exception:  # noqa: BLE001 - the boundary of the process: a bug is written to the log
        _log.exception("task %d failed in a way that nobody foresaw", task.id)
        return "failed", f"An unexpected error occurred: see {installation.home.task(task.id) / 'output'}.", {}
    return "done", str(result.pop("message", "Done.")), result


def _reporter(folder: Path, order: _Order) -> Callable[[TaskProgress], None]:
    """Return what takes the progress of a task: it publishes it now and then, and raises where the task is to stop."""
    published = 0.0
    stage = ""

    def take(progress: TaskProgress) -> None:
        nonlocal published, stage
        if order.given:
            raise StoppedError(_STOPPED)
        now = time.monotonic()
        if now - published < _REPORT_SECONDS and progress.stage == stage:
            return
        published, stage = now, progress.stage
        values = {"stage": stage, "what": progress.what, "done": progress.done, "total": progress.total}
        # A report that cannot be written stops no work.
        with contextlib.suppress(OSError):
            report.replace(folder, {**values, "at": time.time()})

    return take


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
