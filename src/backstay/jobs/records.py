"""Backup records with their files: listing, reading, deleting."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from backstay import engine
from backstay.catalogue import ANY_MACHINE, Backup, BackupSearch
from backstay.engine import BackupFile
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.liveness import is_worked_on
from backstay.jobs.machines import is_of_here, refuse_elsewhere

LONGEST_TEXT: Final = 20_000
"""Most characters of a description or comment that is changed by hand."""


@dataclass(frozen=True, slots=True)
class ListedBackup:
    """A record in a list.

    Attributes:
        backup: the record, its ``filesexist`` and ``instep`` as they are now.
        size: bytes of its files; None where there are none, or another record claims them.
    """

    backup: Backup
    size: int | None


def get_backup(installation: Installation, backup_id: int) -> Backup:
    """Return a record; its ``instep`` says whether a process is taking the backup at this moment.

    Raises:
        NotFoundError: there is none with this number.
    """
    backup = installation.catalogue.backups.get(backup_id)
    if backup is None:
        raise NotFoundError(f"There is no backup {backup_id}: see them with 'backstay list'.")
    return _with_process(installation, backup)


def list_backups(
    installation: Installation, offset: int = 0, limit: int | None = None, matching: BackupSearch | None = None
) -> list[ListedBackup]:
    """Return records, newest first; those whose files have vanished are marked so."""
    found = installation.catalogue.backups.newest(offset, limit, matching=matching)
    snapshots = installation.catalogue.snapshots.of_many(backup.id for backup in found)
    return _listed(
        installation,
        [
            _with_process(installation, backup) if backup.id in snapshots else _looked_at(installation, backup)
            for backup in found
        ],
    )


def _with_process(installation: Installation, backup: Backup) -> Backup:
    if backup.status != "run" or not (backup.machine == ANY_MACHINE or is_of_here(installation, backup)):
        return backup
    return replace(backup, instep=is_worked_on(installation, backup))


def _looked_at(installation: Installation, backup: Backup) -> Backup:
    backup = _with_process(installation, backup)
    if backup.status != "complete" or not backup.filesexist or engine.main_file(installation.home, backup) is not None:
        return backup
    if not is_of_here(installation, backup):
        return backup
    installation.catalogue.backups.update(backup.id, filesexist=False)
    return replace(backup, filesexist=False)


def _listed(installation: Installation, found: Sequence[Backup]) -> list[ListedBackup]:
    paths = [backup.absolute_path for backup in found if backup.absolute_path]
    owners = installation.catalogue.backups.newest_with_path(paths) if paths else {}
    return [
        ListedBackup(
            backup,
            backup.total_size
            if backup.status == "complete" and backup.filesexist and owners.get(backup.absolute_path) == backup.id
            else None,
        )
        for backup in found
    ]


def backup_files(installation: Installation, backup: Backup) -> list[BackupFile]:
    """Return the parts of a complete backup that are files here, the main file last; none where they are gone.

    Those of a backup that lies elsewhere, or in a repository, `backstay.jobs.archive_of` knows.
    """
    return engine.backup_files(installation.home, backup)


def delete_backup(installation: Installation, backup_id: int) -> None:
    """Remove a backup's files, its log and its record; a running one is stopped first.

    Raises:
        NotFoundError: there is no such record.
        UsageError: the record is frozen, or its process or files are on another machine.
        StorageError: a file could not be removed, or its snapshot is locked; the record is kept.
        BackstayError: the repository in which it lies cannot be reached; the record is kept.
    """
    # Imported here: what lists and shows records starts no process, and need not load what does.
    from backstay.jobs import launch
    from backstay.jobs.waiting import start_waiting

    if get_backup(installation, backup_id).machine == ANY_MACHINE:
        from backstay.jobs.remote_runs import cancel_backup

        cancel_backup(installation, backup_id)
    _deletable(installation, backup_id)
    with launch.stopped(installation, backup_id):
        launch.end(installation, backup_id, "It was deleted while it ran.")
        engine.remove_files(installation.catalogue, installation.home, get_backup(installation, backup_id))
        installation.catalogue.backups.delete(backup_id)
        shutil.rmtree(installation.home.job(backup_id), ignore_errors=True)
    start_waiting(installation)


def delete_backup_files(installation: Installation, backup_id: int) -> None:
    """Remove a backup's files and its log; the record stays.

    Raises:
        NotFoundError: there is no such record.
        UsageError: the record is frozen, or the backup runs.
        StorageError: a file could not be removed, or its snapshot is locked.
        BackstayError: the repository in which it lies cannot be reached.
    """
    backup = _deletable(installation, backup_id)
    if backup.status == "run":
        raise UsageError(f"Backup {backup_id} is running: wait for its end, or delete it as a whole.")
    engine.remove_files(installation.catalogue, installation.home, backup)
    installation.catalogue.backups.update(backup_id, filesexist=False)


def freeze_backup(installation: Installation, backup_id: int, *, frozen: bool) -> None:
    """Protect a backup from deletion and retention, or end the protection.

    Raises:
        NotFoundError: there is no such record.
    """
    get_backup(installation, backup_id)
    installation.catalogue.backups.update(backup_id, frozen=frozen)


def describe_backup(
    installation: Installation, backup_id: int, *, description: str | None = None, comment: str | None = None
) -> None:
    """Change the texts of a backup; what is None stays.

    Raises:
        NotFoundError: there is no such record.
        UsageError: a text is longer than is kept.
    """
    get_backup(installation, backup_id)
    values = {"description": description, "comment": comment}
    changed = {name: text for name, text in values.items() if text is not None}
    for name, text in changed.items():
        if len(text) > LONGEST_TEXT:
            raise UsageError(f"The {name} of a backup has up to {LONGEST_TEXT} characters: shorten it.")
    if changed:
        installation.catalogue.backups.update(backup_id, **changed)


def read_log(installation: Installation, backup: Backup) -> str:
    """Return the log of a backup.

    Raises:
        NotFoundError: it has none, or it was deleted.
    """
    try:
        content = installation.home.log(backup.tag or "", backup.backupid or "").read_bytes()
    except FileNotFoundError:
        if not is_of_here(installation, backup):
            raise NotFoundError(f"The log of backup {backup.id} lies on the machine {backup.machine}.") from None
        raise NotFoundError(f"Backup {backup.id} has no log any more.") from None
    return content.decode("utf-8", "backslashreplace")


def _deletable(installation: Installation, backup_id: int) -> Backup:
    backup = get_backup(installation, backup_id)
    refuse_elsewhere(installation, backup)
    if backup.frozen:
        raise UsageError(f"Backup {backup_id} is frozen: end that with 'backstay freeze {backup_id} --off' first.")
    return backup
