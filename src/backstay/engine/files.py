"""The files that a backup record stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backstay.archives import find_parts
from backstay.catalogue import Backup, Catalogue, Home
from backstay.errors import MissingPartError


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One part of a backup's archive.

    Attributes:
        part: its number, from 1; the main file is last.
        name: base name.
        path: where it lies.
        size: in bytes, as it is on the disk now.
    """

    part: int
    name: str
    path: Path
    size: int


def main_file(home: Home, backup: Backup) -> Path | None:
    """Return where the main file lies: where it was written, or in the folder for archives it was moved to."""
    if not backup.absolute_path:
        return None
    written = Path(backup.absolute_path)
    for path in (written, home.archives / written.name):
        if path.is_file():
            return path
    return None


def backup_files(home: Home, backup: Backup) -> list[BackupFile]:
    """Return the parts of a complete backup, in order, the main file last; none where they are gone."""
    main = main_file(home, backup)
    if backup.status != "complete" or main is None:
        return []
    known = [main.with_name(part["name"]) for part in backup.proof.get("parts", [])]
    try:
        paths = [path for path in known if path.is_file()] if known else find_parts(main)
    except MissingPartError:
        paths = [main]
    return [BackupFile(number, path.name, path, path.stat().st_size) for number, path in enumerate(paths, 1)]


def is_here(catalogue: Catalogue, home: Home, backup: Backup) -> bool:
    """Return whether the archive of a backup is there: as a file of this machine, or as a snapshot of a repository."""
    return main_file(home, backup) is not None or catalogue.snapshots.of(backup.id) is not None


def snapshot_path(home: Home, repository: str, backup_id: int, archivename: str) -> Path:
    """Return what the record of a snapshot names as its archive's path: no other has it, and no file lies there."""
    return home.repositories / repository / "archives" / str(backup_id) / archivename
