"""Named repositories as a person asks for them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveReader, open_archive, open_parts
from backstay.catalogue import NamedRepository
from backstay.engine import folder_of, place_of, repository_by_name, repository_opener
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.repository.archive_bytes import SnapshotArchive, hand_out
from backstay.repository.entry_formats import FORMATS, Form
from backstay.repository.exporting import write_archive, write_jps
from backstay.repository.importing import import_archive
from backstay.repository.layout import Snapshot
from backstay.repository.opened import (
    Repository,
    create_repository,
    open_repository,
    read_description,
    remove_repository,
)
from backstay.storage import parse_address

_NAME = re.compile(r"[\w-][\w.-]{0,99}")
_FOLDER = "repositories"


def is_off_this_machine(installation: Installation, storage: str) -> bool:
    """Return whether a storage lies elsewhere: all but folders do.

    Raises:
        NotFoundError: there is no storage of that name.
    """
    if not storage:
        return False
    return parse_address(installation.catalogue.destinations.get(storage).url)[0].scheme != "folder"


def add_repository(
    installation: Installation, name: str, *, storage: str = "", passphrase: str | None = None, existing: bool = False
) -> NamedRepository:
    """Make a repository, or take up one that exists, under a name.

    Args:
        installation: whose.
        name: by which commands know it, and its folder.
        storage: name of the storage where it lies; empty: on this machine.
        passphrase: encrypts it, or opens it; None: it is not encrypted.
        existing: it is there already, made under the same name by another installation.

    Raises:
        UsageError: the name is taken or cannot be one, or there is something at its place.
        NotFoundError: there is no such storage, or none to take up.
        WrongPasswordError: the passphrase does not open it.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The name of a repository has up to 100 letters, digits and . _ -, and begins with none of the dots: "
            "choose such a name."
        )
    if any(known.name == name for known in installation.catalogue.repositories.all()):
        raise UsageError(f"There is a repository named {name} already: choose another name.")
    folder = f"{_FOLDER}/{name}/" if storage else ""
    named = NamedRepository(0, name, storage, folder, "", datetime.now(UTC))
    state = installation.home.repositories / name
    new = not state.exists()
    if not storage and not existing:
        folder_of(installation.home, name).mkdir(mode=0o700, parents=True, exist_ok=True)
    store = place_of(installation.catalogue, installation.home, named)()
    try:
        make = open_repository if existing else create_repository
        with make(store, state, passphrase=passphrase) as repository:
            secret = repository.keys.secret
    except BaseException:
        store.close()
        if new:
            shutil.rmtree(state, ignore_errors=True)
        raise
    secret_text = "" if secret is None else secret.hex()
    return installation.catalogue.repositories.create(
        NamedRepository(0, name, storage, folder, secret_text, named.created)
    )


def is_encrypted(installation: Installation, name: str, storage: str) -> bool:
    """Return whether a repository that exists needs a passphrase.

    Raises:
        NotFoundError: there is none.
    """
    folder = f"{_FOLDER}/{name}/" if storage else ""
    named = NamedRepository(0, name, storage, folder, "", datetime.now(UTC))
    store = place_of(installation.catalogue, installation.home, named)()
    try:
        return read_description(store).encrypted
    finally:
        store.close()


def opened_repository(installation: Installation, name: str) -> Repository:
    """Open a repository; it is to be closed.

    Raises:
        NotFoundError: there is none of that name, or nothing at its place.
        BackstayError: it cannot be opened.
    """
    return repository_by_name(installation.catalogue, installation.home, name)


def forget_repository(installation: Installation, name: str) -> None:
    """Forget a repository; what is in it stays, but for its index.

    Raises:
        NotFoundError: there is none of that name.
    """
    named = installation.catalogue.repositories.get(name)
    installation.catalogue.repositories.delete(name)
    if named.destination:
        shutil.rmtree(installation.home.repositories / name, ignore_errors=True)


def delete_repository(installation: Installation, name: str) -> None:
    """Delete a repository with all backups in it; their records have no files any more.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: a backup in it is frozen.
        RepositoryError: somebody writes to it.
        StorageError: the service refuses, as it does while files are locked.
    """
    for row in installation.catalogue.snapshots.at(name):
        _refuse_frozen(installation, row.backup_id)
    remove_repository(opened_repository(installation, name))
    installation.catalogue.repositories.delete(name)


def remove_backups(installation: Installation, name: str, prefixes: Sequence[str]) -> list[str]:
    """Let go of backups of a repository; a record that is one of them has no files any more.

    Args:
        installation: whose.
        name: of the repository.
        prefixes: of the backups' identities there: all are found before one of them is gone.

    Returns:
        The identities.

    Raises:
        NotFoundError: there is no such repository or backup.
        UsageError: a backup is frozen, or several begin so.
        StorageError: the service refuses, as it does while a snapshot is locked; those before it are gone.
    """
    with opened_repository(installation, name) as repository:
        found = [repository.find(prefix) for prefix in prefixes]
        records = {row.snapshot: row.backup_id for row in installation.catalogue.snapshots.at(name)}
        for identity in found:
            if identity in records:
                _refuse_frozen(installation, records[identity])
        for identity in found:
            repository.remove_snapshot(identity)
            if identity in records:
                installation.catalogue.snapshots.delete(records[identity])
    return found


def _refuse_frozen(installation: Installation, backup_id: int) -> None:
    backup = installation.catalogue.backups.get(backup_id)
    if backup is not None and backup.frozen:
        raise UsageError(f"Backup {backup_id} is frozen: end that with 'backstay freeze {backup_id} --off' first.")


def import_backup(
    installation: Installation,
    name: str,
    archive: str,
    *,
    storage: str = "",
    password: str | None = None,
    description: str = "",
    on_step: Callable[[str, int], None] = lambda *_: None,
) -> Snapshot:
    """Put an archive into a repository.

    Args:
        installation: whose.
        name: of the repository.
        archive: path of an archive, number of a backup, or ``NAME:FILE`` at a storage.
        storage: name of the storage from which a backup is read.
        password: of an encrypted archive.
        description: of the backup; empty: that of its record, or the archive's name.
        on_step: called with the path in hand, and the bytes of content read so far.

    Raises:
        NotFoundError: there is no such repository or archive.
        ArchiveError: the archive is damaged; nothing was imported.
    """
    with opened_repository(installation, name) as repository:
        opened, record = opened_archive(installation, archive, storage, password)
        with opened:
            record["description"] = description or record["description"] or record["archive"]
            return import_archive(repository, opened, record, on_step=on_step)


def opened_archive(
    installation: Installation, archive: str, storage: str, password: str | None
) -> tuple[ArchiveReader, dict[str, Any]]:
    """Open an archive that is to be imported.

    Args:
        installation: whose.
        archive: see `import_backup`.
        storage: likewise.
        password: likewise.

    Returns:
        The archive, and what is known of its backup: always ``description``, ``comment``, ``archive`` (its name) and
        ``format``.

    Raises:
        NotFoundError: there is none.
        ArchiveError: it cannot be read.
    """
    record: dict[str, Any] = {"description": "", "comment": "", "imported": True}
    is_stored = archive.isascii() and (archive.isdigit() or ":" in archive)
    if not storage and (not is_stored or Path(archive).exists()):
        opened = open_archive(archive, password=password)
        name = opened.parts[-1].name
    else:
        opened = _opened_stored(installation, archive, storage, password, record)
        name = opened.parts[-1].name.rpartition(":")[2]
    return opened, {**record, "archive": name, "format": opened.format}


def _opened_stored(
    installation: Installation, archive: str, storage: str, password: str | None, record: dict[str, Any]
) -> ArchiveReader:
    # Imported here: it loads what restores need, which takes as long as all the rest of these commands.
    from backstay.jobs.archive_of import open_backup
    from backstay.jobs.records import get_backup
    from backstay.jobs.stored_backups import open_named

    if not archive.isdigit():
        return open_named(installation, f"{storage}:{archive}" if storage else archive, password)
    backup = get_backup(installation, int(archive))
    record.update(
        description=backup.description,
        comment=backup.comment,
        backup_id=backup.id,
        profile_id=backup.profile_id,
        type=backup.type,
        backupstart=backup.backupstart.isoformat(),
    )
    return open_backup(installation, backup.id, storage, password)


def archive_of(
    repository: Repository, name: str, snapshot: Snapshot, form: Form, *, damaged: bool = False
) -> SnapshotArchive:
    """Return a backup of a repository as an archive, under the name that it always has.

    Raises:
        UsageError: there is no such format or part size.
        DamagedRepositoryError: its list of files cannot be read.
    """
    return hand_out(repository, snapshot, form, _stem(name, snapshot), damaged=damaged)


def open_stored(installation: Installation, name: str, identity: str) -> ArchiveReader:
    """Open a backup of a repository as an archive where it lies; every file is compared with its hash when it is read.

    Args:
        installation: whose.
        name: of the repository.
        identity: of the backup, or its first digits.

    Raises:
        NotFoundError: there is no such repository or backup.
        DamagedRepositoryError: the backup cannot be read at all.
    """
    return stored_opener(installation, name, identity)()


def stored_opener(installation: Installation, name: str, identity: str) -> Callable[[], ArchiveReader]:
    """Return what does that without the catalogue, as a forked process must."""
    opened = repository_opener(installation.catalogue, installation.home, name)

    def opened_archive() -> ArchiveReader:
        repository = opened()
        try:
            snapshot = repository.snapshot(repository.find(identity))
            # Zeros for what is damaged: the archive's reader finds out which files that hits, and reads the others.
            archive = hand_out(repository, snapshot, Form("jpa"), _stem(name, snapshot), damaged=True, owns=True)
        except BaseException:
            repository.close()
            raise
        return open_parts(archive)

    return opened_archive


def _stem(name: str, snapshot: Snapshot) -> str:
    return f"{name}-{snapshot.created:%Y%m%d-%H%M%S}-{snapshot.id[:8]}"


def export_backup(
    repository: Repository,
    name: str,
    identity: str,
    folder: Path,
    *,
    format: str = "jpa",  # noqa: A002 - it is what everyone calls it
    part_size: int = 0,
    password: str | None = None,
    on_step: Callable[[int, int], None] = lambda *_: None,
) -> list[Path]:
    """Write a backup of a repository as an archive into a folder.

    Args:
        repository: where it is.
        name: of the repository.
        identity: of the backup, or its first digits.
        folder: where the archive's parts go.
        format: ``jpa``, ``zip`` or ``jps``.
        part_size: bytes of a part, 0 for a single file.
        password: of a JPS archive.
        on_step: called with the bytes done and in all.

    Returns:
        The parts in order.

    Raises:
        NotFoundError: there is no such backup.
        UsageError: there is no such format, or a password is missing or too much.
        ArchiveError: the archive is there already, or cannot be written.
    """
    if format != "jps" and password:
        raise UsageError(f"{format.upper()} archives are not encrypted: choose jps, or give no password.")
    snapshot = repository.snapshot(repository.find(identity))
    if format == "jps":
        if not password:
            raise UsageError("JPS archives are encrypted: give a password, or choose another format.")
        main = folder / f"{_stem(name, snapshot)}.jps"
        return write_jps(repository, snapshot, main, password, part_size=part_size, on_step=on_step)
    if format not in FORMATS:
        raise UsageError(f"There is no archive format {format}: choose one of jpa, zip, jps.")
    comment = str(snapshot.record.get("description", ""))
    archive = archive_of(repository, name, snapshot, Form(format, part_size, comment))
    return write_archive(archive, folder, on_step=on_step)
