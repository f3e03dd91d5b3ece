"""What tasks about one repository do: check it, prune it, count what it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backstay.catalogue import Task
from backstay.errors import VerificationError
from backstay.jobs.installation import Installation
from backstay.jobs.repositories import opened_repository
from backstay.jobs.repository_adoption import adopt_backups
from backstay.jobs.repository_proofs import check_repository
from backstay.jobs.repository_usage import count_usage
from backstay.jobs.tasks import TaskProgress
from backstay.repository import pruning

Report = Callable[[TaskProgress], None]

_SHOWN = 5


def check(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Look whether a repository is whole; ``given``: ``name``, and ``share`` of it that is read, from 0 to 1."""
    del task
    name = str(given["name"])
    with opened_repository(installation, name) as repository:
        found = check_repository(
            installation,
            name,
            float(given.get("share", 0.0)),
            repository=repository,
            on_step=lambda what, done, total: report(TaskProgress("Checking", what, done, total)),
        )
        count_usage(installation, name, repository)
    if not found.ok:
        problems = " ".join(one.message for one in found.damages[:_SHOWN])
        more = f" And {len(found.damages) - _SHOWN} more." if len(found.damages) > _SHOWN else ""
        raise VerificationError(f"The repository {name} is damaged: {problems}{more}")
    message = f"The repository {name} is good: {found.backups} backups, {found.packs} packs."
    return {"backups": found.backups, "packs": found.packs, "read": found.read, "message": message}


def prune(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Give back the space of what no backup of a repository needs; ``given``: ``name``."""
    del task
    name = str(given["name"])
    with opened_repository(installation, name) as repository:
        done = pruning.prune(repository, on_step=lambda what: report(TaskProgress("Pruning", what)))
        count_usage(installation, name, repository)
    found = {
        "deleted": done.deleted,
        "freed": done.freed,
        "copied": done.copied,
        "waiting": done.waiting,
        "locked": done.locked,
        "kept": list(done.kept),
    }
    waiting = f" {done.waiting} wait for the end of who writes now." if done.waiting else ""
    locked = f" {done.locked} are locked by the storage." if done.locked else ""
    message = f"Packs deleted: {done.deleted}, {done.freed >> 20} MiB.{waiting}{locked}"
    return {**found, "message": message}


def count(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Count what the backups of a repository take, and what deleting each would free; ``given``: ``name``."""
    del task
    name = str(given["name"])
    report(TaskProgress("Counting", name))
    with opened_repository(installation, name) as repository:
        found = count_usage(installation, name, repository)
    message = f"{len(found.snapshots)} backups of {found.size >> 20} MiB take {found.stored >> 20} MiB."
    return {"backups": len(found.snapshots), "size": found.size, "stored": found.stored, "message": message}


def adopt(installation: Installation, task: Task, given: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Make the records of backups in a repository that have none; ``given``: ``name``."""
    del task
    name = str(given["name"])
    report(TaskProgress("Looking", name))
    found = adopt_backups(installation, name)
    refused = f" Left out: {' '.join(found.refused[:_SHOWN])}" if found.refused else ""
    message = f"Records made: {len(found.adopted)}; known already: {found.known}.{refused}"
    return {
        "adopted": [one.id for one in found.adopted],
        "known": found.known,
        "refused": found.refused,
        "message": message,
    }
