"""What the server does for each method of the API: one function a method, by the method's name."""

from __future__ import annotations

from backstay.server.handlers import (
    backups,
    configuration,
    databases,
    files,
    inclusions,
    information,
    profiles,
    records,
)
from backstay.server.handlers.model import Call, Handler, PartOfArchive, Scheduling

HANDLERS: dict[str, Handler] = {
    **information.HANDLERS,
    **backups.HANDLERS,
    **records.HANDLERS,
    **profiles.HANDLERS,
    **configuration.HANDLERS,
    **databases.HANDLERS,
    **files.HANDLERS,
    **inclusions.HANDLERS,
}

__all__ = ["HANDLERS", "Call", "Handler", "PartOfArchive", "Scheduling", "StoredPartOfArchive"]
