"""Backups that lie at a destination only, as tests of what reads them need them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import Backup, CopyPart, NamedDestination
from backstay.engine.document import DocumentProfile, DocumentSite, document_bytes, document_name, make_document
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.restore import begin_restore, run_restore
from backstay.jobs.restore_sources import source_of_backup
from backstay.restore import RestorePlan, RestoreReport
from backstay.storage import open_destination
from support.destinations import Place, send


def add_storage(installation: Installation, place: Place, name: str = "nas") -> NamedDestination:
    """Name a destination in the catalogue."""
    wanted = NamedDestination(0, name, place.url, place.secrets, datetime.now(UTC))
    return installation.catalogue.destinations.create(wanted)


def store(
    installation: Installation, backup: Backup, name: str = "nas", *, folder: str = "", local: bool = False
) -> Backup:
    """Send a backup to a destination as Backstay does, and remove its local files.

    Args:
        installation: whose.
        backup: the record.
        name: of the destination.
        folder: what stands before the names of its files there.
        local: keep the local files.
    """
    destination = installation.catalogue.destinations.get(name)
    files = backup_files(installation, backup)
    document = make_document(
        backup, profile=DocumentProfile(id=backup.profile_id), site=DocumentSite(), now=datetime.now(UTC)
    )
    page = files[-1].path.parent / document_name(backup.archivename)
    page.write_bytes(document_bytes(document))
    with open_destination(destination.url, destination.secrets) as place:
        for path in (*(file.path for file in files), page):
            send(place, folder + path.name, path)
    page.unlink()
    hashes = {part["name"]: part["blake3"] for part in backup.proof["parts"]}
    now = datetime.now(UTC)
    installation.catalogue.copies.create(
        backup.id,
        name,
        created=now,
        folder=folder,
        state="stored",
        parts=[CopyPart(file.name, file.size, hashes[file.name], proof="read back") for file in files],
        sent_at=now,
        proven_at=now,
        proven_how="read back",
    )
    if not local:
        for file in files:
            file.path.unlink()
        installation.catalogue.backups.update(
            backup.id, filesexist=False, remote_filename=f"{destination.url}/{folder}{files[-1].name}"
        )
    return get_backup(installation, backup.id)


def restore_stored(installation: Installation, backup_id: int, target: Path, password: str | None = None) -> None:
    """Restore a backup from where it lies, without a warning."""
    source = source_of_backup(installation, backup_id, password)
    plan = RestorePlan(str(source.path), str(target), password=source.password, remote=source.remote)
    *_, report = run_restore(begin_restore(installation, plan), pytest.fail)
    assert isinstance(report, RestoreReport)


def tree(root: Path) -> Iterator[tuple[str, int, str]]:
    """Give path, permissions and content's hash of every file beneath a folder."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(root)), path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest()
