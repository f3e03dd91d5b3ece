"""Backups that are snapshots of a repository, as tests of what reads them need them."""

from __future__ import annotations

from pathlib import Path

from backstay.catalogue import Backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, delete_backup
from backstay.jobs.repositories import add_repository
from backstay.jobs.repository_records import import_as_backup


def add_sites(installation: Installation, *, storage: str = "", passphrase: str | None = None) -> None:
    """Make the repository ``sites``."""
    add_repository(installation, "sites", storage=storage, passphrase=passphrase)


def into_repository(installation: Installation, backup: Backup, password: str | None = None) -> Backup:
    """Put a backup into the repository ``sites`` as a backup of its own, and delete the one with the archive."""
    _snapshot, made = import_as_backup(installation, "sites", str(backup.id), password=password)
    delete_backup(installation, backup.id)
    return made


def packs_of(installation: Installation, name: str = "sites") -> list[Path]:
    """List the packs of a repository on this machine."""
    return sorted((installation.home.repositories / name / "files/packs").glob("*"))


def damage(installation: Installation, noise: bytes, name: str = "sites") -> None:
    """Flip a bit in what a repository holds of a file of noise, which is kept as it is."""
    for pack in packs_of(installation, name):
        content = bytearray(pack.read_bytes())
        at = content.find(noise[1000:1100])
        if at >= 0:
            content[at] ^= 1
            pack.write_bytes(content)
            return
    raise AssertionError("no pack holds that file")


def has_files(installation: Installation, backup: Backup) -> bool:
    """Whether a backup has files of this machine."""
    return bool(backup_files(installation, backup))
