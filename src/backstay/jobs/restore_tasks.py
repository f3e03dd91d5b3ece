"""Restores as tasks: begun from the page or with ``--background``, done in processes of their own.

A restore is written down before its task begins, so that one whose process dies is found, and can be resumed or taken
back like any other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from backstay.catalogue import Task
from backstay.errors import BackstayError, RestoreError
from backstay.jobs.installation import Installation
from backstay.jobs.migrate import backup_remotely
from backstay.jobs.restore import (
    begin_restore,
    confirm_overdue,
    confirm_restore,
    note_task,
    pending_restore,
    resume_restore,
    run_restore,
    undo_restore,
)
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_preview import Preview, preview
from backstay.jobs.restore_report import plain, report_json, report_sentence
from backstay.jobs.restore_sources import source_of_server
from backstay.jobs.tasks import TaskProgress, begin_task
from backstay.restore import RestoreProgress, RestoreRun

Report = Callable[[TaskProgress], None]

_STAGES: Final = {
    "download": "Downloading",
    "files": "Making files ready",
    "database": "Loading the database",
    "swap": "Changing places",
}
_TITLES: Final = {"restore": "Bring back", "undo": "Take back the restore of", "confirm": "Confirm the restore of"}


def begin_in_background(
    installation: Installation,
    looked: Preview,
    existing: str,
    *,
    started_by: str,
    backup_id: int | None = None,
    profile_id: int | None = None,
) -> tuple[str, Task]:
    """Write a restore down that was looked at, and let a task do it.

    Args:
        installation: whose.
        looked: what it would change, as the person who asked for it was shown.
        existing: what becomes of tables that are there: ``ask``, which was done, or a word of `POLICIES`.
        started_by: name of the user.
        backup_id: which backup is restored, where it is one of this installation.
        profile_id: whose it is.

    Returns:
        The name of the restore, and the task.

    Raises:
        BackstayError: it cannot be begun; nothing is left of it.
    """
    looked.check(existing)
    run = begin_restore(installation, looked.decided(existing, asked=True))
    name = run.journal.name
    run.journal.close()
    try:
        task = work_in_background(
            installation, name, "restore", started_by=started_by, backup_id=backup_id, profile_id=profile_id
        )
    except BackstayError:
        undo_restore(installation, resume_restore(installation, name), lambda _warning: None)
        raise
    return name, task


def work_in_background(
    installation: Installation,
    name: str,
    what: Literal["restore", "undo", "confirm"],
    *,
    started_by: str,
    backup_id: int | None = None,
    profile_id: int | None = None,
) -> Task:
    """Let a task finish a restore that was begun, take it back or confirm it.

    Raises:
        NotFoundError: there is no such restore.
        RestoreError: something works on it already.
        UsageError: as many tasks run as may.
    """
    pending = pending_restore(installation, name)
    if pending.running:
        raise RestoreError(f"The restore {name} is being worked on: wait for the end of that, or stop it.")
    title = f"{_TITLES[what]} {plain(Path(pending.target).name or pending.target)}"
    task = begin_task(
        installation,
        what,
        title,
        {"name": name},
        started_by=started_by,
        backup_id=backup_id,
        profile_id=profile_id,
    )
    note_task(installation, name, task.id)
    return task


# What the processes of the tasks do; see `tasks.KINDS`.


def restore(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Do a restore that was written down, from wherever it is; ``given``: ``name``."""
    del task
    return _finish(installation, resume_restore(installation, str(given["name"])), report)


def undo(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Take a restore back; ``given``: ``name``."""
    del task
    run = resume_restore(installation, str(given["name"]))
    report(TaskProgress("Taking back", run.plan.target))
    warnings: list[str] = []
    name, target = run.journal.name, plain(run.plan.target)
    undo_restore(installation, run, warnings.append)
    message = f"The restore of {target} is taken back: what was there before is there again."
    return {"restore": name, "target": target, "warnings": warnings, "message": message}


def confirm(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Remove what a restore replaced, for good; ``given``: ``name``."""
    del task
    run = resume_restore(installation, str(given["name"]))
    report(TaskProgress("Removing what was replaced", run.plan.target))
    name, target = run.journal.name, plain(run.plan.target)
    confirm_restore(run)
    message = f"The restore of {target} is confirmed: what it replaced is gone."
    return {"restore": name, "target": target, "message": message}


def migrate(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Move a site here from a server of the API.

    ``given``: ``url``, ``secret``, ``profile`` of a fresh backup or the number of a ``backup`` there, ``options`` as
    `RestoreOptions.to_json` gives them, ``password``, ``connections``, ``delete_files``.
    """
    from backstay.client import Client

    url, secret = str(given["url"]), str(given["secret"])
    options = RestoreOptions.from_json(given["options"])
    with Client(url, secret) as client:
        number = given.get("backup") or backup_remotely(
            client,
            int(given["profile"]),
            "Taken to move the site",
            lambda reply: report(
                TaskProgress("Backing up on the server", f"{reply.progress} % {reply.domain} {reply.step}")
            ),
        )
        password, connections = given.get("password") or None, int(given.get("connections") or 1)
        source = source_of_server(client, (url, secret), number, password, connections)
        looked = preview(installation, replace(make_plan(source, options), moved_from=url))
        looked.check(options.existing)
        run = begin_restore(installation, looked.decided(options.existing, asked=True))
        note_task(installation, run.journal.name, task.id)
        result = _finish(installation, run, report)
        if given.get("delete_files"):
            client.delete_files(number)
    return result


def _finish(installation: Installation, run: RestoreRun, report: Report) -> dict[str, Any]:
    started, warnings = time.monotonic(), list[str]()
    name, result = run.journal.name, dict[str, Any]()
    # Closed before the end is noted: what works beside it ends with it.
    with closing(run_restore(run, warnings.append)) as steps:
        for step in steps:
            if isinstance(step, RestoreProgress):
                report(TaskProgress(_STAGES[step.stage], step.what, step.done, step.total))
            else:
                result = report_json(step)
    for done in confirm_overdue(installation, warnings.append):
        warnings.append(f"What the restore {done} replaced was kept long enough and is removed now.")
    result["message"] = report_sentence(result)
    # A restore that replaced nothing is over, and keeps its name in the list of tasks alone.
    return {**result, "restore": name, "seconds": round(time.monotonic() - started, 3), "warnings": warnings}
