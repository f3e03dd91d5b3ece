"""What a repository takes, counted now or when it was counted last: counting reads the lists of all its backups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backstay.archives.parts import disk_errors
from backstay.catalogue import Home
from backstay.jobs.installation import Installation
from backstay.repository.opened import Repository
from backstay.repository.usage import Usage, usage

_FILE = "usage.json"


@dataclass(frozen=True, slots=True)
class CountedUsage:
    """What a repository took at some moment.

    Attributes:
        at: when it was counted.
        size: bytes of the files of all backups, as if each were kept whole.
        stored: bytes that the repository took.
        frees: identity of a backup → the bytes that deleting it would give back.
        damaged: backups that could not be read at all.
    """

    at: datetime
    size: int
    stored: int
    frees: Mapping[str, int]
    damaged: int

    @property
    def ratio(self) -> float:
        """How many times more the backups would take as archives without compression."""
        return self.size / self.stored if self.stored else 0.0


def count_usage(installation: Installation, name: str, repository: Repository) -> Usage:
    """Add up what a repository takes, and keep that for who has no time to count.

    Args:
        installation: whose.
        name: of the repository.
        repository: open.

    Raises:
        BackstayError: it cannot be read.
    """
    found = usage(repository)
    frees = {
        snapshot.id: freed for snapshot, freed in zip(found.snapshots, found.frees, strict=True) if freed is not None
    }
    values = {
        "at": datetime.now(UTC).isoformat(),
        "size": found.size,
        "stored": found.stored,
        "frees": frees,
        "damaged": len(found.damaged),
    }
    path = _path(installation.home, name)
    new = path.with_suffix(".new")
    # Nothing is lost with it: it is counted again.
    with disk_errors(path):
        new.write_text(json.dumps(values), encoding="utf-8")
        new.replace(path)
    return found


def counted_usage(installation: Installation, name: str) -> CountedUsage | None:
    """Return what a repository took when it was counted last; None where it never was."""
    try:
        values = json.loads(_path(installation.home, name).read_bytes())
        return CountedUsage(datetime.fromisoformat(values.pop("at")), **values)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _path(home: Home, name: str) -> Path:
    return home.repositories / name / _FILE
