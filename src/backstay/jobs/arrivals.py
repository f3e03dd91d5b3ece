"""Archives of remote sites that are arriving on this machine: noted, so that none is left by a worker that died.

Where several machines share a catalogue another may have brought the run to its end, with files of its own.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from backstay.catalogue import ANY_MACHINE, Home
from backstay.engine import remove_parts
from backstay.errors import StorageError
from backstay.jobs import lock
from backstay.jobs.installation import Installation

_PREFIX: Final = "arriving-"


def note(home: Home, backup_id: int, archive: Path) -> None:
    """Note where an archive arrives."""
    _noted(home, backup_id).write_bytes(os.fsencode(archive))


def forget(home: Home, backup_id: int) -> None:
    """Note that an archive has arrived, or was removed."""
    _noted(home, backup_id).unlink(missing_ok=True)


def remove_left(installation: Installation) -> None:
    """Remove what has arrived here of backups that another machine has brought to their ends, or that are gone."""
    home, catalogue = installation.home, installation.catalogue
    for noted in home.jobs.glob(f"{_PREFIX}*"):
        number = noted.name.removeprefix(_PREFIX)
        backup = catalogue.backups.get(int(number)) if number.isdecimal() else None
        if backup is not None and backup.machine == ANY_MACHINE:
            continue
        with lock.tried(home.job(int(number))) as taken, contextlib.suppress(StorageError, OSError):
            if not taken:
                continue
            if backup is None or backup.machine != catalogue.machine or backup.status != "complete":
                remove_parts(Path(os.fsdecode(noted.read_bytes())))
            noted.unlink()


def _noted(home: Home, backup_id: int) -> Path:
    return home.jobs / f"{_PREFIX}{backup_id}"
