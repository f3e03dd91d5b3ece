"""What there is of an archive that is being written: finding it, and removing it when the backup comes to nothing."""

from __future__ import annotations

import glob
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveSummary, find_parts
from backstay.engine.plan import Plan
from backstay.errors import StorageError
from backstay.storage import remove

WORK = "work"
"""The folder in a job's folder that holds all that is kept beside the archive while it is written."""


def summary_of_closed(archive: Path) -> dict[str, Any]:
    """Return what is known of an archive that was closed by a process that died before it could say so."""
    parts = find_parts(archive)
    size = sum(part.stat().st_size for part in parts)
    summary = ArchiveSummary(parts, total_size=size, entries=0, uncompressed_size=0, manifest_hash="")
    return {**asdict(summary), "parts": [str(part) for part in parts]}


def parts_of(archive: Path) -> list[Path]:
    """Return what there is of an archive; its name is random, so that whatever begins with it is its own."""
    return sorted(archive.parent.glob(f"{glob.escape(archive.stem)}.*"))


def remove_parts(archive: Path) -> None:
    """Remove what there is of an archive.

    Raises:
        StorageError: a file cannot be removed.
    """
    remove(parts_of(archive))


def discard(plan: Plan, folder: Path) -> list[str]:
    """Remove every part of the archive of a backup that will not be resumed, and its spools.

    Args:
        plan: of the backup.
        folder: of its job.

    Returns:
        A sentence for each thing that could not be removed.
    """
    shutil.rmtree(folder / WORK, ignore_errors=True)
    try:
        remove_parts(Path(plan.archive))
    except StorageError as error:
        return [str(error)]
    return []
