"""Giving back the space of what no backup of a repository needs, by itself, after a backup."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from backstay.catalogue import Home
from backstay.engine.snapshots import let_go_since
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.jobs.repositories import opened_repository
from backstay.repository.pruning import prune

_EVERY_SECONDS = 86400.0

_log = logging.getLogger("backstay.jobs.worker")


def tidy_repository(installation: Installation, name: str) -> bool:
    """Prune a repository from which backups were let go of, at most once a day; what goes wrong is only logged.

    Args:
        installation: whose.
        name: of the repository.

    Returns:
        Whether it was pruned.
    """
    note = let_go_since(installation.home, name)
    stamp = _stamp(installation.home, name)
    with contextlib.suppress(OSError):
        if time.time() - stamp.stat().st_mtime < _EVERY_SECONDS:
            return False
    if not note.exists():
        return False
    try:
        # First this: what is let go of meanwhile is for the next time.
        note.unlink(missing_ok=True)
        stamp.touch()
        with opened_repository(installation, name) as repository:
            done = prune(repository)
    except (BackstayError, OSError) as error:
        _log.warning("The repository %s could not be pruned this time: %s", name, error)
        return False
    _log.info("Pruned the repository %s: %s", name, done)
    return True


def _stamp(home: Home, name: str) -> Path:
    return home.repositories / name / "pruned"
