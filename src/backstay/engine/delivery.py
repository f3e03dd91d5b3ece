"""Sending a finished backup to every storage of its profile, and removing the local archive where that is wished."""

from __future__ import annotations

import logging
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.document import BackupDocument, DocumentProfile, DocumentSite, make_document
from backstay.engine.files import is_here
from backstay.engine.plan import ROOT_KEY, Plan
from backstay.engine.progress import Progress
from backstay.engine.sending import Sent, send_copy, withdraw_copies
from backstay.engine.warnings import Warnings
from backstay.errors import BackstayError, BackupFailedError, NotFoundError
from backstay.steps import converted

_log = logging.getLogger(__name__)


def deliver(
    catalogue: Catalogue, backup: Backup, plan: Plan, work: Path, warnings: Warnings
) -> Generator[Progress, None, bool]:
    """Send a proven backup to every storage of its profile.

    Args:
        catalogue: of the installation.
        backup: its record, with its proof.
        plan: of the backup.
        work: a folder for what is sent besides the parts.
        warnings: receives a warning for what could not be sent.

    Returns:
        Whether it lies, proven, at all of them; False where the profile names none.

    Raises:
        BackupFailedError: it could not be sent, and the profile says that the backup has failed then.
    """
    settings = plan.settings
    stored = []
    document = document_of(catalogue, backup, plan)
    for name in settings.destination_names:
        try:
            destination = catalogue.destinations.get(name)
            sending = send_copy(
                catalogue,
                backup.id,
                destination,
                Path(plan.archive).parent,
                document,
                work,
                patience=60.0 * settings.storage_patience,
            )
            yield from converted(sending, _progress)
        except Exception as error:
            if not isinstance(error, BackstayError):
                _log.exception("Sending to %s", name)
            message = f"The backup was not stored at {name}: {error}"
            if settings.abort_on_fail:
                raise BackupFailedError(message) from error
            warnings.add(f"{message} The archive is kept here; send it with 'backstay copy {backup.id} --to {name}'.")
        else:
            stored.append(name)
    return bool(stored) and len(stored) == len(settings.destination_names)


def complete(catalogue: Catalogue, backup_id: int, *, kept_here: bool) -> None:
    """Say in the record that a proven backup is complete, and that its files lie on this machine."""
    catalogue.backups.update(
        backup_id,
        status="complete",
        backupend=datetime.now(UTC),
        filesexist=kept_here,
        instep=False,
        error="",
        machine=catalogue.machine,
    )


def complete_unsent(catalogue: Catalogue, home: Home, backup: Backup, reason: str) -> None:
    """Complete a proven backup whose sending comes to nothing; what has not arrived whole is removed.

    Args:
        catalogue: of the installation.
        home: of the installation.
        backup: its record, with its proof, whose job nobody runs.
        reason: why it is not sent any more, for the record.
    """
    warnings = Warnings(catalogue, backup.id)
    if catalogue.snapshots.of(backup.id) is None:
        warnings.add(f"The backup is whole, but was not stored everywhere it should be: {reason}")
    else:
        warnings.add(f"The backup is whole, but the rules of retention were not applied after it: {reason}")
    for problem in withdraw_copies(catalogue, backup.id):
        warnings.add(problem)
    warnings.flush()
    complete(catalogue, backup.id, kept_here=is_here(catalogue, home, backup))


def document_of(catalogue: Catalogue, backup: Backup, plan: Plan | None = None) -> BackupDocument:
    """Return the document that goes next to a backup.

    Args:
        catalogue: of the installation.
        backup: its record, with its proof.
        plan: of the backup where it is known still; else the site is read from the profile.
    """
    try:
        profile = catalogue.profiles.get(backup.profile_id)
        name, root = profile.description, profile.configuration.get(ROOT_KEY, "")
    except NotFoundError:
        name = root = ""
    site = DocumentSite(host=plan.host, platform=plan.platform, root=plan.settings.root) if plan else None
    return make_document(
        backup,
        profile=DocumentProfile(id=backup.profile_id, name=name),
        site=site or DocumentSite(root=root),
        now=datetime.now(UTC),
    )


def _progress(sent: Sent) -> Progress:
    share = min(1.0, sent.done / sent.total) if sent.total else 1.0
    return Progress("finale", step="Post-processing", substep=sent.part, fraction=share)
