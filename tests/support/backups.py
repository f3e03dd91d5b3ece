"""Backups as tests take them: through the jobs room, to the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from backstay.catalogue import Backup
from backstay.jobs import Installation, StepState, acknowledge, get_backup, profile_of_site, start_backup, step_backup

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
    """Take a backup that must come to a good end; return its record."""
    state = finish(installation, begin(installation, site, database, **overrides))
    assert state.error == ""
    return get_backup(installation, state.backup_id)


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
