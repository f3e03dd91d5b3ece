"""Backups as tests take them: through the jobs room, to the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backstay.archives import open_archive
from backstay.catalogue import Backup
from backstay.demo.compare import compare_trees
from backstay.engine.contents import is_own
from backstay.jobs import lock
from backstay.jobs.backup import StepState, acknowledge, start_backup, step_backup
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.worker import run_job
from support.jobs import prepare

PATIENCE_SECONDS = 120.0


def begin(installation: Installation, site: Path, database: str = "none", **overrides: Any) -> StepState:
    """Start a backup of a site; overrides are settings by dotted key, dots written as double underscores."""
    profile = profile_of_site(installation, site, database)
    values = {key.replace("__", "."): value for key, value in overrides.items()}
    return start_backup(installation, profile_id=profile.id, overrides=values, origin="cli", tag="cli")


def finish(installation: Installation, state: StepState) -> StepState:
    """Step a backup to its end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while state.has_run:
        assert time.monotonic() < deadline, f"the backup does not end: {state}"
        acknowledge(installation, state)
        state = step_backup(installation, state.backupid)
    return state


def take(installation: Installation, site: Path, database: str = "none", **overrides: Any) -> Backup:
    """Take a backup in this process, which saves the start of another, to its good end; return its record."""
    backup_id = prepare(installation, site, database, **overrides)
    run_job(installation, backup_id)
    return get_backup(installation, backup_id)


def extract_site(installation: Installation, backup_id: int, target: Path, password: str | None = None) -> Path:
    """Extract what a backup holds of the site itself into a fresh folder; a warning fails the test."""
    files = backup_files(installation, get_backup(installation, backup_id))
    with open_archive(files[-1].path, password=password) as archive:
        archive.extract(target, select=lambda entry: not is_own(entry.path), on_warning=_refuse)
    return target


def assert_gives_back(
    installation: Installation, backup_id: int, site: Path, target: Path, password: str | None = None
) -> None:
    """Fail unless a complete backup extracts equal to its site, and nothing but its parts lies among the archives."""
    backup = get_backup(installation, backup_id)
    assert (backup.status, backup.error) == ("complete", "")
    extract_site(installation, backup_id, target, password)
    # An archive has no place for what a restoration knows of the root itself.
    shutil.copystat(site, target)
    shutil.rmtree(target / "installation", ignore_errors=True)
    comparison = compare_trees(site, target)
    assert comparison.differences == []
    assert comparison.files > 0


def assert_failed_and_left_nothing(installation: Installation, backup_id: int, folder: Path | None = None) -> str:
    """Fail unless a backup says that it failed and why, and nothing of it is left; return the reason."""
    backup = get_backup(installation, backup_id)
    assert (backup.status, backup.filesexist) == ("fail", False)
    assert backup.error
    assert [path.name for path in (folder or installation.home.archives).iterdir()] == []
    assert not (installation.home.job(backup_id) / "work").exists()
    return backup.error


def kill(installation: Installation, backup_id: int) -> bool:
    """Kill the process of a job and wait until it is gone; return whether there was one."""
    folder = installation.home.job(backup_id)
    while (number := lock.process_number(folder)) is None:
        if not lock.is_alive(folder):
            return False
        time.sleep(0.002)
    os.kill(number, signal.SIGKILL)
    while lock.is_alive(folder):
        time.sleep(0.002)
    return True


def _refuse(warning: object) -> None:
    pytest.fail(f"a warning: {warning}")


def make_files_and_noise(root: Path) -> Path:
    """Make a small site with one large file."""
    make_files(root, count=12)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(5_000_000))
    return root


def make_database(path: Path, rows: int) -> str:
    """Make a SQLite database of one table; return its URL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"row {number} " * 20,) for number in range(rows)])
        connection.commit()
    return f"sqlite:///{path}"


def make_files(root: Path, count: int = 40, size: int = 2000) -> Path:
    """Make a small site of files with some of everything."""
    root.mkdir(parents=True)
    for number in range(count):
        folder = root / f"folder {number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number}.txt").write_bytes((f"line {number} of a file\n" * (size // 20 + number)).encode())
    (root / "empty").mkdir()
    (root / "link").symlink_to("folder 1")
    (root / "private").mkdir(mode=0o700)
    (root / "private/key.php").write_bytes(b"<?php // \x00\xff")
    (root / "private/key.php").chmod(0o400)
    return root
