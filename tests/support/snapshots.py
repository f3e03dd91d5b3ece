"""Backups in a repository as tests take and read them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Backup, SnapshotRow
from backstay.demo.compare import compare_trees
from backstay.engine.contents import is_own
from backstay.jobs.installation import Installation
from backstay.jobs.repositories import add_repository, export_backup, open_stored, opened_repository
from backstay.repository.checking import check
from support.backups import take

NAME = "house"


def make_repository(installation: Installation, name: str = NAME, passphrase: str | None = None) -> str:
    """Make a repository on this machine, with pieces of its usual size; return its name."""
    return add_repository(installation, name, passphrase=passphrase).name


def take_into(installation: Installation, site: Path, database: str = "none", **overrides: Any) -> Backup:
    """Take a backup into the repository in this process, to its good end; return its record."""
    backup = take(installation, site, database, backstay__repository=NAME, **overrides)
    assert (backup.status, backup.error) == ("complete", "")
    return backup


def row_of(installation: Installation, backup_id: int) -> SnapshotRow:
    """Return the snapshot of a backup, which has one."""
    row = installation.catalogue.snapshots.of(backup_id)
    assert row is not None
    return row


def assert_snapshot_gives_back(installation: Installation, backup_id: int, site: Path, target: Path) -> None:
    """Fail unless a snapshot extracts equal to its site."""
    row = row_of(installation, backup_id)
    with open_stored(installation, row.repository, row.snapshot) as archive:
        archive.extract(target, select=lambda entry: not is_own(entry.path), on_warning=_refuse)
    shutil.copystat(site, target)
    shutil.rmtree(target / "installation", ignore_errors=True)
    comparison = compare_trees(site, target)
    assert comparison.differences == []
    assert comparison.files > 0
    shutil.rmtree(target)


def assert_sound(installation: Installation, snapshots: set[str]) -> None:
    """Fail unless the repository is good, with all its data, and holds just these snapshots."""
    with opened_repository(installation, NAME) as repository:
        report = check(repository, read_data=1.0)
        assert report.damages == []
        assert set(repository.snapshot_ids()) == snapshots


def exported(installation: Installation, backup_id: int, folder: Path) -> Path:
    """Write a snapshot as an archive; return its main file."""
    row = row_of(installation, backup_id)
    folder.mkdir(parents=True, exist_ok=True)
    with opened_repository(installation, row.repository) as repository:
        return export_backup(repository, row.repository, row.snapshot, folder)[-1]


def _refuse(warning: object) -> None:
    pytest.fail(f"a warning: {warning}")
