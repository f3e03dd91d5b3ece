"""Backups taken inside the process of the test, where faults can be played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backstay.jobs.backup import prepare_backup
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site


def prepare(installation: Installation, site: Path, database: str = "none", **overrides: Any) -> int:
    """Make the record and job of a backup that nobody takes yet; return its number.

    Overrides are settings by dotted key, dots written as double underscores.
    """
    profile = profile_of_site(installation, site, database)
    values = {key.replace("__", "."): value for key, value in overrides.items()}
    return prepare_backup(installation, profile_id=profile.id, overrides=values, origin="cli", tag="cli").id
