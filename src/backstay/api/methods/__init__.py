"""The one table of methods: server, client and reference page are made from it."""

from __future__ import annotations

from typing import Any

from backstay.api.methods import (
    backups,
    database_filters,
    file_filters,
    inclusions,
    information,
    profiles,
    records,
    updates,
)
from backstay.api.methods.model import CURRENT_LEVEL, Failure, Method, NoParameters, Parameters, Scope

METHODS: tuple[Method[Any, Any], ...] = (
    *information.METHODS,
    *backups.METHODS,
    *records.METHODS,
    *profiles.METHODS,
    *database_filters.METHODS,
    *file_filters.METHODS,
    *inclusions.METHODS,
    *updates.METHODS,
)

REMOVED_METHODS: dict[str, int] = {"getLog": 320, "startSRPBackup": 320, "updateCleanup": 319}
"""Methods of old servers that newer ones do not know (status 405), with the last API level that had them."""

_BY_NAME = {method.name.lower(): method for method in METHODS}


def find_method(name: str) -> Method[Any, Any] | None:
    """The method of a name, matched without regard to case; None if there is none."""
    return _BY_NAME.get(name.lower())


__all__ = [
    "CURRENT_LEVEL",
    "METHODS",
    "REMOVED_METHODS",
    "Failure",
    "Method",
    "NoParameters",
    "Parameters",
    "Scope",
    "find_method",
]
