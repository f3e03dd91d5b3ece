"""Long work that is no backup, in a process of its own: begun, watched and stopped from the page or by a command.

A task is a row in the catalogue and a process that holds the lock of a folder as long as it lives, as that of a backup
does. It outlives whoever began it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backstay.catalogue import Task, TaskState
from backstay.errors import BackstayError, DiskFullError, StorageError, UsageError
from backstay.jobs import lock, report
from backstay.jobs.environment import child_environment
from backstay.jobs.installation import Installation

KINDS: Final[dict[str, str]] = {
    "verify": "backstay.jobs.task_kinds:verify",
    "drill": "backstay.jobs.task_kinds:drill",
    "copy": "backstay.jobs.task_kinds:copy",
    "delete": "backstay.jobs.task_kinds:delete",
    "compare": "backstay.jobs.task_kinds:compare",
    "restore": "backstay.jobs.restore_tasks:restore",
    "undo": "backstay.jobs.restore_tasks:undo",
    "confirm": "backstay.jobs.restore_tasks:confirm",
    "migrate": "backstay.jobs.restore_tasks:migrate",
    "test storage": "backstay.jobs.storage_tasks:test",
    "import storage": "backstay.jobs.storage_tasks:find_backups",
    "check repository": "backstay.jobs.repository_tasks:check",
    "prune repository": "backstay.jobs.repository_tasks:prune",
    "adopt repository": "backstay.jobs.repository_tasks:adopt",
    "count repository": "backstay.jobs.repository_tasks:count",
}
"""Where the function of each kind is, as ``module:name``; it is imported by the task's process alone.

It is called with the installation, the task, its arguments and a function that takes a ``TaskProgress``, and returns
what it came to, as JSON: ``message`` of that is the sentence that is shown. What it raises is shown as its failure. A
task that is to stop gets ``StoppedError`` from its next report of progress, or wherever it is after some seconds."""

MOST_AT_ONCE: Final = 10
KEPT: Final = timedelta(days=90)
"""A task is forgotten so long after its end."""
STOP_FILE: Final = "stop"
_STARTING: Final = timedelta(seconds=60)
_DIED = "Its process died: see the system's log."
_STOPPED = "It was stopped before its end."


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a task is.

    Attributes:
        stage: what is being done, in a word or two.
        what: the path, table or part in hand.
        done, total: bytes; a total of 0 is not known.
        at: when that was so, in Unix seconds.
    """

    stage: str
    what: str = ""
    done: int = 0
    total: int = 0
    at: float = 0.0


def begin_task(
    installation: Installation,
    kind: str,
    title: str,
    arguments: Mapping[str, Any],
    *,
    started_by: str,
    profile_id: int | None = None,
    backup_id: int | None = None,
) -> Task:
    """Begin a task in a process of its own; where the very same is under way, return that one.

    Args:
        installation: whose.
        kind: one of ``KINDS``.
        title: what is done, for a person.
        arguments: for the function of its kind, as JSON; kept encrypted, and forgotten when the task ends.
        started_by: name of the user, or of what else asked for it.
        profile_id: which profile it is about.
        backup_id: which backup it is about.

    Raises:
        UsageError: as many tasks run as may.
        StorageError: its process cannot be started.
    """
    table, now = installation.catalogue.tasks, datetime.now(UTC)
    installation.home.task(0).parent.mkdir(mode=0o700, exist_ok=True)
    with lock.exclusive(installation.home.task(0).parent / "begin.lock"):
        running = list_tasks(installation, state="running")
        same = (kind, profile_id, backup_id)
        for other in running:
            if (other.kind, other.profile_id, other.backup_id) == same and table.arguments(other.id) == arguments:
                return other
        if len(running) >= MOST_AT_ONCE:
            raise UsageError(f"{len(running)} tasks run already: wait for the end of one, or stop it.")
        for old in table.prune(now - KEPT):
            shutil.rmtree(installation.home.task(old), ignore_errors=True)
        task = table.create(
            kind, title, arguments, now, started_by=started_by, profile_id=profile_id, backup_id=backup_id
        )
        try:
            _start(installation, task)
        except (OSError, BackstayError) as error:
            with contextlib.suppress(DiskFullError):
                table.end(task.id, "failed", datetime.now(UTC), "Its process could not be started.")
            if isinstance(error, BackstayError):
                raise
            raise StorageError(
                f"The process of a task can't be started ({error.strerror}): see the system's log."
            ) from error
    return table.get(task.id)


def _start(installation: Installation, task: Task) -> None:
    folder = installation.home.task(task.id)
    descriptor = lock.take(folder)
    if descriptor is None:
        raise StorageError(f"The folder {folder} is in use by another process: see which one.")
    try:
        installation.catalogue.tasks.begin(task.id, datetime.now(UTC))
        with (folder / "output").open("wb") as output:
            # -P: the folder the caller stands in must not be searched for code.
            command = [sys.executable, "-P", "-m", "backstay.jobs.task_worker"]
            process = subprocess.Popen(
                [*command, str(installation.home.path), str(task.id), str(descriptor)],
                cwd="/",
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[descriptor],
            )
    finally:
        os.close(descriptor)
    # Waited for in the background, so that no zombie is left while the caller lives.
    threading.Thread(target=process.wait, name=f"task-{task.id}", daemon=True).start()


def find_task(installation: Installation, task_id: int) -> Task:
    """Return a task as it is now: one whose process died has failed.

    Raises:
        NotFoundError: there is none of that number.
    """
    return _as_it_is(installation, installation.catalogue.tasks.get(task_id))


def list_tasks(
    installation: Installation,
    offset: int = 0,
    limit: int | None = None,
    *,
    state: TaskState | None = None,
    backup_id: int | None = None,
) -> list[Task]:
    """Return tasks as they are now, newest first; see ``TaskTable.newest``."""
    for task in installation.catalogue.tasks.newest(state="running"):
        _as_it_is(installation, task)
    return installation.catalogue.tasks.newest(offset, limit, state=state, backup_id=backup_id)


def task_progress(installation: Installation, task_id: int) -> TaskProgress | None:
    """Return how far a task is, or None before its first report."""
    try:
        return TaskProgress(**report.values(installation.home.task(task_id)))
    except TypeError:
        return None


def stop_task(installation: Installation, task_id: int, *, patience: float = 0.0) -> Task:
    """Ask a task to stop; it ends at its next safe place.

    Args:
        installation: whose.
        task_id: its number; one that has ended stays as it is.
        patience: seconds for which its end is waited for.

    Returns:
        The task as it is then.

    Raises:
        NotFoundError: there is none of that number.
        UsageError: another machine does it.
    """
    folder = installation.home.task(task_id)
    task = find_task(installation, task_id)
    if task.state == "running" and task.machine != installation.catalogue.machine:
        raise UsageError(f"Task {task_id} runs on the machine {task.machine}: stop it there.")
    if task.state == "running" and folder.is_dir():
        with contextlib.suppress(OSError):
            (folder / STOP_FILE).touch()
        # One that has not noted its number yet sees the file when it does.
        if (number := lock.process_number(folder)) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (task := find_task(installation, task_id)).state == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    return task


def _as_it_is(installation: Installation, task: Task) -> Task:
    if task.state != "running" or task.machine != installation.catalogue.machine:
        return task
    if not _may_be_dead(installation, task):
        return task
    folder = installation.home.task(task.id)
    with lock.tried(folder) as taken:
        # Read again under the lock: it may have ended just before.
        current = installation.catalogue.tasks.find(task.id)
        if not taken or current is None or current.state != "running":
            return current or task
        asked = (folder / STOP_FILE).exists()
        ended: tuple[TaskState, datetime, str] = (
            "stopped" if asked else "failed",
            datetime.now(UTC),
            _STOPPED if asked else _DIED,
        )
        # On a full disk it is noted by whoever looks next.
        with contextlib.suppress(DiskFullError):
            installation.catalogue.tasks.end(task.id, *ended)
        return replace(current, state=ended[0], ended=ended[1], message=ended[2])


def _may_be_dead(installation: Installation, task: Task) -> bool:
    folder = installation.home.task(task.id)
    if task.started is not None and folder.is_dir():
        return not lock.is_alive(folder)
    # Whoever began it died before its process was started.
    return datetime.now(UTC) - task.created > _STARTING
