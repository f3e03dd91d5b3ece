"""What there is of an archive that is being written: finding it, and removing it."""

from __future__ import annotations

import glob
from pathlib import Path

from backstay.archives import ArchiveSummary, find_parts
from backstay.storage import remove

WORK = "work"
"""The folder in a job's folder that holds all that is kept beside the archive while it is written."""


def summary_of_closed(archive: Path) -> ArchiveSummary:
    """Return what is known of an archive that was closed by a process that died before it could say so."""
    parts = find_parts(archive)
    size = sum(part.stat().st_size for part in parts)
    return ArchiveSummary(parts, total_size=size, entries=0, uncompressed_size=0, manifest_hash="")


def parts_of(archive: Path) -> list[Path]:
    """Return what there is of an archive; its name is random, so that whatever begins with it is its own."""
    return sorted(archive.parent.glob(f"{glob.escape(archive.stem)}.*"))


def remove_parts(archive: Path) -> None:
    """Remove what there is of an archive.

    Raises:
        StorageError: a file cannot be removed.
    """
    remove(parts_of(archive))
