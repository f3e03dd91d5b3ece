"""The answer with a part of an archive, wherever that lies."""

from __future__ import annotations

from starlette.types import ASGIApp

from backstay.downloads.local_parts import PartResponse
from backstay.downloads.stored_parts import StoredPart, StoredPartResponse
from backstay.engine import BackupFile


def part_response(part: BackupFile | StoredPart) -> ASGIApp:
    """Return what answers one request with a part."""
    if isinstance(part, BackupFile):
        return PartResponse(part.path, part.name)
    return StoredPartResponse(part)
