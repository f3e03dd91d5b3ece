"""What tasks about one storage do: test it, and find the backups that lie there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from backstay.catalogue import Task
from backstay.jobs.installation import Installation
from backstay.jobs.storage import measure_destination
from backstay.jobs.storage_import import import_storage
from backstay.jobs.tasks import TaskProgress

Report = Callable[[TaskProgress], None]


def test(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Write a file at a storage, read it back and delete it; ``given``: ``name``."""
    del task
    report(TaskProgress("Testing", given["name"]))
    found = measure_destination(installation, given["name"])
    proof = found.proof or "reading them back"
    message = (
        f"The storage {given['name']} works: {found.size >> 20} MiB sent in {found.sent:.2f} s, read back equal in "
        f"{found.read:.2f} s, deleted in {found.deleted:.2f} s; copies are proven by {proof}."
    )
    return {**asdict(found), "message": message}


def find_backups(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Make the records of all backups that lie at a storage; ``given``: ``name``, ``password``."""
    del task
    report(TaskProgress("Looking", given["name"]))
    found = import_storage(installation, given["name"], given.get("password") or None)
    refused = f" Not imported: {' '.join(found.refused[:5])}" if found.refused else ""
    message = f"Backups imported: {len(found.imported)}; known already: {found.known}.{refused}"
    return {
        "imported": [backup.id for backup in found.imported],
        "known": found.known,
        "refused": found.refused,
        "message": message,
    }
