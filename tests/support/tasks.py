"""Tasks that run for long, and waiting for what becomes of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from backstay.catalogue import Backup, DestinationOptions, NamedDestination, Task
from backstay.jobs.installation import Installation
from backstay.jobs.tasks import begin_task, find_task, task_progress

PATIENCE_SECONDS = 60.0


def slow_storage(installation: Installation, folder: Path, name: str = "slow") -> NamedDestination:
    """Name a folder as a storage to which a few kilobytes a second are sent."""
    folder.mkdir()
    options = DestinationOptions(bandwidth=20_000)
    wanted = NamedDestination(0, name, f"folder://{folder}", {}, datetime.now(UTC), options)
    return installation.catalogue.destinations.create(wanted)


def begin_copy(installation: Installation, backup: Backup, storage: str = "slow") -> Task:
    """Begin to send a backup to a storage."""
    arguments = {"storage": storage, "password": "a secret of the task"}
    title = f"Copy backup {backup.id} to {storage}"
    return begin_task(installation, "copy", title, arguments, started_by="anna", backup_id=backup.id)


def begin_verify(installation: Installation, backup: Backup) -> Task:
    """Begin to verify a backup."""
    return begin_task(installation, "verify", "Verify", {}, started_by="anna", backup_id=backup.id)


def ended(installation: Installation, task: Task) -> Task:
    """Wait for the end of a task."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := find_task(installation, task.id)).state == "running":
        assert time.monotonic() < deadline, "the task does not end"
        time.sleep(0.02)
    return found


def under_way(installation: Installation, task: Task) -> None:
    """Wait until a task has reported progress."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while task_progress(installation, task.id) is None:
        assert find_task(installation, task.id).state == "running", find_task(installation, task.id).message
        assert time.monotonic() < deadline, "the task reports nothing"
        time.sleep(0.02)
