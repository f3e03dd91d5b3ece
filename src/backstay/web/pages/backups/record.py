"""One backup: while it runs how far it is, and then its proof, its parts, its copies, what it warned of."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from backstay.catalogue import Backup
from backstay.engine import BackupFile
from backstay.jobs.archive_of import parts_of
from backstay.jobs.records import get_backup
from backstay.jobs.stored_backups import StoredFile
from backstay.jobs.tasks import list_tasks, task_progress
from backstay.jobs.users import Role
from backstay.jobs.watching import view_of
from backstay.web.pages.backups.shown import STATES, copy_state, moment_of, proof_of, verifications
from backstay.web.progress import DOMAINS, of_backup, of_task
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_WARNINGS: Final = 100
_TASKS: Final = 5
OTHER_PAGES: Final = (
    ("files", "Files", Role.VIEWER),
    ("tables", "Tables", Role.VIEWER),
    ("restore", "Restore", Role.ADMINISTRATOR),
)
"""Path, label and least role of further pages of a complete backup."""


def _one(visit: Visit) -> Response:
    installation = visit.installation
    backup = get_backup(installation, visit.number())
    view = view_of(installation, backup)
    names = installation.catalogue.profiles.names_of([backup.profile_id])
    warnings = installation.catalogue.backups.warnings(backup.id)
    tasks = list_tasks(installation, 0, _TASKS, backup_id=backup.id)
    return visit.page(
        "backups/one.html",
        backup=backup,
        profile=names.get(backup.profile_id),
        view=view,
        live=of_backup(view),
        state=STATES[backup.meta],
        more_of_backup=OTHER_PAGES if backup.status == "complete" else (),
        proof=proof_of(backup),
        proven_at=moment_of(backup.proof.get("at")),
        verifications=verifications(backup),
        drill=backup.proof.get("drill"),
        drilled_at=moment_of(backup.proof.get("drill", {}).get("at")),
        counts=installation.catalogue.counts.get(backup.id),
        warnings=[text for _number, text in warnings[:_WARNINGS]],
        more_warnings=max(0, len(warnings) - _WARNINGS),
        snapshot=installation.catalogue.snapshots.of(backup.id),
        seconds=_seconds(backup),
        tasks=tasks,
        running=[
            of_task(task, task_progress(installation, task.id)) | {"title": task.title}
            for task in tasks
            if task.state == "running"
        ],
        **_places(visit, backup),
    )


def _places(visit: Visit, backup: Backup) -> dict[str, Any]:
    """Return where the backup's parts and copies lie, and where it could be sent."""
    installation = visit.installation
    parts = parts_of(installation, backup)
    first = parts[0] if parts else None
    is_here = first is not None and not isinstance(first, StoredFile)
    hashes = {part["name"]: part["blake3"] for part in backup.proof.get("parts", ())}
    copies = installation.catalogue.copies.of(backup.id)
    at = {copy.destination for copy in copies if copy.state == "stored"}
    # Names of storages may tell of others.
    names = [one.name for one in installation.catalogue.destinations.all()] if visit.groups is None else []
    return {
        "parts": [(one.part, one.name, one.size, hashes.get(one.name, "")) for one in parts],
        "parts_at": "" if first is None or isinstance(first, BackupFile) else first.place,
        "is_here": is_here,
        "copies": [(copy, copy_state(copy), sum(part.size for part in copy.parts)) for copy in copies],
        "stored_at": sorted(at),
        "send_to": [name for name in names if name not in at] if isinstance(first, BackupFile) else [],
    }


def _seconds(backup: Backup) -> list[tuple[str, float, int]]:
    """Return for each domain its name for a person, the seconds spent at it, and its share in percent."""
    kept = backup.proof.get("seconds", {})
    total = sum(kept.values()) or 1
    return [(DOMAINS.get(domain, domain), spent, round(100 * spent / total)) for domain, spent in kept.items()]


ROUTES = (PageRoute("GET", "/backups/{number:int}", Role.VIEWER, _one, bound="backup"),)
