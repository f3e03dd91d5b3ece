"""What tasks about one backup do: verify, drill, copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from backstay.catalogue import Task
from backstay.errors import UsageError
from backstay.jobs.comparing import compare_backups
from backstay.jobs.drill import drill_backup, drill_error
from backstay.jobs.installation import Installation
from backstay.jobs.records import delete_backup, delete_backup_files
from backstay.jobs.storage import copy_backup, delete_copies
from backstay.jobs.tasks import TaskProgress
from backstay.jobs.verification import damage_error, verify_backup
from backstay.restore import DrillReport
from backstay.steps import finished

Report = Callable[[TaskProgress], None]

_DRILL_STAGES = {"download": "Downloading", "files": "Restoring files", "database": "Restoring databases"}
_COMPARE = "compare "
"""Begins what a drill compares, where else it restores."""


def verify(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Read all of a backup and compare it with what was written; ``given``: ``storage``, ``password``."""
    number = _backup(task)
    found = finished(
        verify_backup(installation, number, storage=given.get("storage", ""), password=given.get("password") or None),
        lambda step: report(TaskProgress("Reading", step.path, step.bytes, step.total)),
    )
    if found.problems:
        raise damage_error(installation, found)
    how = "every content equals its hash" if found.compared else "its structure is whole; it has no manifest"
    return {**found.to_json(), "message": f"Backup {number} is good: {found.entries} entries; {how}."}


def drill(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Restore a backup where nobody needs it, and compare; ``given``: ``storage``, ``database``, ``password``."""
    number = _backup(task)
    steps = drill_backup(
        installation,
        number,
        server=given.get("database", ""),
        password=given.get("password") or None,
        storage=given.get("storage", ""),
    )
    # Closed before its end is noted: with it goes what it restored.
    with closing(steps):
        for step in steps:
            if isinstance(step, DrillReport):
                return _drilled(number, step)
            is_compared = step.what.startswith(_COMPARE)
            stage = "Comparing" if is_compared else _DRILL_STAGES.get(step.stage, step.stage)
            report(TaskProgress(stage, step.what.removeprefix(_COMPARE), step.done, step.total))
    raise UsageError(f"Backup {number} could not be drilled.")


def _drilled(number: int, found: DrillReport) -> dict[str, Any]:
    if found.verdict != "passed":
        raise drill_error(number, found)
    what = f"{found.files} entries, {found.tables} tables and {found.rows} rows"
    return {**found.to_json(), "message": f"Backup {number} passed its drill: {what} came back as they were."}


def copy(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Send a backup to a storage; ``given``: ``storage``."""
    number = _backup(task)
    stored = finished(
        copy_backup(installation, number, str(given.get("storage", ""))),
        lambda sent: report(TaskProgress("Sending", sent.part, sent.done, sent.total)),
    )
    where = f"Backup {number} is stored at {stored.destination}, proven by {stored.proven_how}."
    return {"storage": stored.destination, "parts": len(stored.parts), "message": where}


def compare(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Compare a backup with an earlier one; ``given``: ``with``, its number."""
    number, other = _backup(task), int(given["with"])
    found = finished(
        compare_backups(installation, other, number),
        lambda step: report(TaskProgress(f"Reading backup {step.backup_id}", f"{step.entries} paths")),
    )
    files = f"{found.added.count} added, {found.changed.count} changed, {found.removed.count} removed"
    return {**found.to_json(), "message": f"From backup {other} to backup {number}: {files}."}


def delete(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Delete a backup with its copies at storages; ``given``: ``files_only``."""
    number = _backup(task)
    report(TaskProgress("Deleting at storages"))
    delete_copies(installation, number)
    report(TaskProgress("Deleting here"))
    (delete_backup_files if given.get("files_only") else delete_backup)(installation, number)
    what = f"The files of backup {number} are" if given.get("files_only") else f"Backup {number} is"
    return {"message": f"{what} deleted, here and at its storages."}


def _backup(task: Task) -> int:
    if task.backup_id is None:
        raise UsageError("This task needs the number of a backup.")
    return task.backup_id
