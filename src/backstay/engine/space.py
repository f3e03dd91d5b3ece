"""Whether a backup can fit at all, checked before it begins."""

from __future__ import annotations

from pathlib import Path

from backstay.engine.contents import Survey
from backstay.errors import DiskFullError
from backstay.storage import free_space

# Deflate makes at most this many bytes of one (RFC 1951: 258 bytes of two bits).
_LARGEST_RATIO = 1032
# What every entry takes besides its path and content, in the format that takes least (archive formats, 1.3).
_LEAST_HEADER = 20


def least_size(found: Survey) -> int:
    """Return the bytes below which an archive of what was found cannot be, however well it is compressed."""
    compressed = (found.size - found.stored) // _LARGEST_RATIO
    return found.stored + compressed + (found.files + found.links) * _LEAST_HEADER + found.names


def check_space(folder: Path, found: Survey, written: int) -> None:
    """Refuse a backup that cannot fit; one that may fit is let begin, and fails cleanly where it does not.

    Args:
        folder: where the archive goes.
        found: what will be packed.
        written: bytes of the archive that lie there already.

    Raises:
        DiskFullError: there is less space than the archive takes at the very least.
    """
    free = free_space(folder) + written
    if free < (least := least_size(found)):
        raise DiskFullError(
            f"There are {free >> 20} MiB free in {folder} and the archive will take {least >> 20} MiB at the least "
            f"({found.size >> 20} MiB of files): free some space there, or set another output folder."
        )
