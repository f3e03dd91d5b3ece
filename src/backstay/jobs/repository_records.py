"""Archives put into repositories as backups of the catalogue, which are used like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveReader, open_parts
from backstay.archives.part_stream import LocalParts
from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.catalogue import Backup, SnapshotPart, SnapshotRow
from backstay.engine import snapshot_path
from backstay.errors import UsageError
from backstay.jobs.archive_facts import moment_in, page_about
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.repositories import opened_archive, opened_repository
from backstay.repository.archive_bytes import hand_out
from backstay.repository.entry_formats import FORMATS, Form
from backstay.repository.importing import import_archive
from backstay.repository.layout import Snapshot
from backstay.repository.opened import Repository

OnStep = Callable[[str, int], None]
"""Called with the path in hand, and the bytes of content read so far."""


def import_as_backup(
    installation: Installation,
    name: str,
    archive: str,
    *,
    storage: str = "",
    password: str | None = None,
    description: str = "",
    profile_id: int | None = None,
    on_step: OnStep = lambda *_: None,
) -> tuple[Snapshot, Backup]:
    """Put an archive into a repository, and make a record of it.

    It is handed out under the name, in the format (JPS as JPA) and in parts of the size that it has now.

    Args:
        installation: whose.
        name: of the repository.
        archive: path of an archive, number of a backup, or ``NAME:FILE`` at a storage.
        storage: name of the storage from which a backup is read.
        password: of an encrypted archive.
        description: of the backup; empty: that of its record, or the archive's name.
        profile_id: whose backup it becomes, kept by the rules of that profile; None: that of its record, or none.
        on_step: see `OnStep`.

    Raises:
        NotFoundError: there is no such repository, archive or profile.
        ArchiveError: the archive is damaged; nothing was imported.
    """
    if profile_id:
        installation.catalogue.profiles.get(profile_id)
    with opened_repository(installation, name) as repository:
        opened, record = opened_archive(installation, archive, storage, password)
        with opened:
            record["description"] = description or record["description"] or record["archive"]
            begun = _begun(installation, opened, record, archive)
            form, stem = _form_of(opened, str(record["description"])), Path(record["archive"]).stem
            about = {**record, "part_size": form.part_size, "backupstart": begun.isoformat()}
            snapshot = import_archive(repository, opened, about, on_step=on_step)
        backup_id = _record(installation, record, begun, profile_id)
        try:
            parts = note_snapshot(installation, name, repository, snapshot, backup_id, form, stem)
        except BaseException:
            installation.catalogue.backups.delete(backup_id)
            raise
    proof: dict[str, Any] = {"entries": snapshot.entries, "parts": [_plain(part) for part in parts]}
    source = installation.catalogue.backups.get(int(record["backup_id"])) if "backup_id" in record else None
    if source is None or source.proof.get("imported"):
        proof["imported"] = f"the repository {name}"
    now = datetime.now(UTC)
    installation.catalogue.backups.update(
        backup_id, status="complete", backupend=now, instep=False, filesexist=True, proof=proof
    )
    return snapshot, get_backup(installation, backup_id)


def import_parts(
    installation: Installation,
    name: str,
    parts: Sequence[Path],
    backup_id: int,
    *,
    password: str | None = None,
    identity: str | None = None,
    on_step: OnStep = lambda *_: None,
) -> Snapshot:
    """Put an archive that lies here in parts into a repository, as the archive of a record.

    The record gets the archive's name, sizes and snapshot; whether it is complete, the caller says.

    Args:
        installation: whose.
        name: of the repository.
        parts: files in order, the main file last.
        backup_id: number of the record.
        password: of an encrypted archive.
        identity: of the snapshot, of 16 hexadecimal digits that nobody else has; one that is there already is taken as
            it is: whoever wrote it died. None: one is made.
        on_step: see `OnStep`.

    Raises:
        NotFoundError: there is no such repository or record.
        UsageError: the record has a snapshot already.
        ArchiveError: the archive is damaged; nothing was imported.
    """
    backup = get_backup(installation, backup_id)
    row = installation.catalogue.snapshots.of(backup_id)
    if row is not None and row.snapshot != identity:
        raise UsageError(f"Backup {backup_id} lies in a repository already: delete it first.")
    record = {
        "description": backup.description,
        "comment": backup.comment,
        "imported": True,
        "archive": parts[-1].name,
        "backup_id": backup.id,
        "profile_id": backup.profile_id,
        "type": backup.type,
        "backupstart": backup.backupstart.isoformat(),
    }
    with opened_repository(installation, name) as repository:
        with open_parts(LocalParts(parts), password=password) as opened:
            form = _form_of(opened, backup.description)
            if identity is not None and identity in repository.snapshot_ids():
                snapshot = repository.snapshot(identity)
            else:
                about = {**record, "format": opened.format, "part_size": form.part_size}
                snapshot = import_archive(repository, opened, about, identity=identity, on_step=on_step)
        note_snapshot(installation, name, repository, snapshot, backup_id, form, parts[-1].stem)
    return snapshot


def note_snapshot(
    installation: Installation,
    name: str,
    repository: Repository,
    snapshot: Snapshot,
    backup_id: int,
    form: Form,
    stem: str,
) -> list[SnapshotPart]:
    """Note in a record that it is a snapshot, and as which archive that is handed out for ever.

    Args:
        installation: whose.
        name: of the repository.
        repository: open.
        snapshot: of it.
        backup_id: number of the record.
        form: of the archive.
        stem: name of the archive without its extension.

    Returns:
        The parts of the archive.
    """
    archive = hand_out(repository, snapshot, form, stem)
    parts = [SnapshotPart(part, size) for part, size in archive.parts]
    catalogue = installation.catalogue
    catalogue.snapshots.create(SnapshotRow(backup_id, name, snapshot.id, form._asdict(), tuple(parts), snapshot.added))
    catalogue.backups.update(
        backup_id,
        archivename=parts[-1].name,
        absolute_path=str(snapshot_path(installation.home, name, backup_id, parts[-1].name)),
        multipart=len(parts) if form.part_size else 0,
        total_size=sum(part.size for part in parts),
        filesexist=True,
    )
    return parts


def _plain(part: SnapshotPart) -> dict[str, Any]:
    return {"name": part.name, "size": part.size, "blake3": ""}


def _form_of(archive: ArchiveReader, comment: str) -> Form:
    """Return as what an archive is handed out: as what it is, but for what is encrypted."""
    sizes = archive.part_sizes
    part_size = max(*sizes, MINIMUM_PART_SIZE) if len(sizes) > 1 else 0
    if archive.format not in FORMATS:
        return Form("jpa", part_size)
    return Form(archive.format, part_size, comment if archive.format == "zip" else "")


def _begun(installation: Installation, archive: ArchiveReader, record: dict[str, Any], named: str) -> datetime:
    """Return when the backup in an archive was begun, as far as that is known."""
    if "backup_id" in record:
        return get_backup(installation, int(record["backup_id"])).backupstart
    if (found := moment_in(page_about(archive).get("backup_date"))) is not None:
        return found
    with suppress(OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(Path(named).stat().st_mtime, UTC)
    return datetime.now(UTC)


def _record(installation: Installation, record: dict[str, Any], begun: datetime, profile_id: int | None) -> int:
    own = int(record.get("profile_id", 0))
    return installation.catalogue.backups.create(
        profile_id=own if profile_id is None else profile_id,
        backupstart=begun,
        type=str(record.get("type", "full")),
        description=str(record["description"]),
        comment=str(record.get("comment", "")),
    ).id
