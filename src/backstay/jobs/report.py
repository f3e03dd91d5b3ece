"""How far a job is, where every process over the same home can read it: one small file, replaced as a whole.

It is not synced to the disk: after a power cut the checkpoint counts, not the report.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backstay.engine import Progress
from backstay.jobs import lock

_NAME = "progress.json"


def publish(folder: Path, progress: Progress) -> None:
    """Replace the report; its modification time is the job's heartbeat."""
    replace(folder, asdict(progress))


def replace(folder: Path, values: Mapping[str, Any]) -> None:
    """Replace a report by these values."""
    temporary = folder / f".{_NAME}"
    temporary.write_text(json.dumps(values))
    temporary.replace(folder / _NAME)


def read(folder: Path) -> Progress | None:
    """Return the latest report of a backup, or None before the first."""
    try:
        return Progress(**values(folder))
    except TypeError:
        return None


def values(folder: Path) -> dict[str, Any]:
    """Return the values of the latest report; none before the first."""
    try:
        found = json.loads((folder / _NAME).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def silence(folder: Path) -> float:
    """Return how many seconds ago a job last gave a sign of life: its latest report, or the start of its process."""
    return time.time() - max(version(folder)[1] / 1e9, lock.noted_at(folder))


def version(folder: Path) -> tuple[int, int]:
    """Return something that changes with each report; costs one look at the folder."""
    try:
        status = os.stat(folder / _NAME)  # noqa: PTH116 - asked fifty times a second: a Path would cost more than the look
    except FileNotFoundError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
