"""Looking at what lies outside the catalogue: storages, disks and archives."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backstay.alarms.facts import storages_of, thresholds_of
from backstay.catalogue import Backup, NamedDestination, Observation
from backstay.engine import main_file
from backstay.errors import (
    AuthenticationError,
    BackstayError,
    ConnectionFailedError,
    PermissionDeniedError,
)
from backstay.jobs.installation import Installation
from backstay.jobs.machines import is_of_here, place_name
from backstay.storage import open_destination

_PATIENCE_SECONDS = 20.0
# Nothing is there: a place that can be reached says so without listing what it holds.
_NOWHERE = "backstay-is-it-there/"

_log = logging.getLogger(__name__)


def look_around(installation: Installation, now: datetime) -> list[Observation]:
    """Return what is to be seen of the storages that profiles name, of disks, and of the newest archives.

    Takes twenty seconds at the most, and a little for each archive.
    """
    profiles = installation.catalogue.profiles.configurations()
    archives = [one for one in installation.catalogue.newest.archives() if is_of_here(installation, one)]
    used = {name for _number, _name, configuration in profiles for name in storages_of(configuration)}
    asked = [one for one in installation.catalogue.destinations.all() if one.name in used]
    wanted = {number: thresholds_of(configuration).free_space for number, _name, configuration in profiles}
    return [
        *_ask_storages(asked, now),
        *_look_at_archives(installation, archives, now),
        *_look_at_disks(installation, archives, wanted, now),
    ]


def _look_at_archives(installation: Installation, archives: Iterable[Backup], now: datetime) -> Iterator[Observation]:
    """Give the newest good backups whose archive is not whole here though it should be."""
    for backup in archives:
        if backup.filesexist and not _is_whole(installation, backup):
            yield Observation("files", str(backup.id), now, now, "gone")


def _is_whole(installation: Installation, backup: Backup) -> bool:
    if installation.catalogue.snapshots.of(backup.id) is not None:
        # Whether a repository is whole, its check says.
        return True
    main = main_file(installation.home, backup)
    if main is None:
        return False
    try:
        return all(
            main.with_name(str(part["name"])).stat().st_size == part["size"] for part in backup.proof.get("parts", ())
        )
    except OSError:
        return False


def _look_at_disks(
    installation: Installation, archives: Iterable[Backup], wanted: Mapping[int, int], now: datetime
) -> Iterator[Observation]:
    """Give the disks of Backstay's own folder and of the folders that archives went to last, each disk once."""
    home = installation.home.path
    disks = {home.stat().st_dev: _Disk(home, max(wanted.values(), default=0), 0)}
    for backup in archives:
        folder = Path(backup.absolute_path).parent
        with suppress(OSError):
            disk = disks.setdefault(folder.stat().st_dev, _Disk(folder, 0, 0))
            disk.wanted = max(disk.wanted, wanted.get(backup.profile_id, 0))
            disk.needed = max(disk.needed, backup.total_size)
    for disk in disks.values():
        with suppress(OSError):
            usage = shutil.disk_usage(disk.folder)
            room = {"free": usage.free, "total": usage.total, "wanted": disk.wanted, "needed": disk.needed}
            yield Observation("disk", place_name(installation, disk.folder), now, now, "", room)


@dataclass(slots=True)
class _Disk:
    """A disk by a folder on it: the percent that should be free, and the bytes that the next archive may take."""

    folder: Path
    wanted: int
    needed: int


def _ask_storages(destinations: list[NamedDestination], now: datetime) -> list[Observation]:
    """Ask all storages at once whether they work; one that does not answer is not waited for."""
    answers: dict[str, Observation] = {}

    def ask(destination: NamedDestination) -> None:
        problem, reason = _problem_of(destination)
        answers[destination.name] = Observation("storage", destination.name, now, now, problem, {"reason": reason})

    threads = [threading.Thread(target=ask, args=[one], daemon=True) for one in destinations]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = {"reason": f"It did not answer within {_PATIENCE_SECONDS:.0f} seconds."}
    return [
        answers.get(one.name) or Observation("storage", one.name, now, now, "unreachable", silent)
        for one in destinations
    ]


def _problem_of(destination: NamedDestination) -> tuple[str, str]:
    """Return what is wrong with a storage, in a word and in a sentence; nothing where it works."""
    try:
        with open_destination(destination.url, destination.secrets) as opened:
            next(iter(opened.list(_NOWHERE)), None)
    except (AuthenticationError, PermissionDeniedError) as error:
        return "refused", str(error)
    except ConnectionFailedError as error:
        return "unreachable", str(error)
    except BackstayError as error:
        return "failing", str(error)
    except Exception as error:  # noqa: BLE001 - what goes wrong there is reported, and not the end of the check
        _log.exception("Asking the storage %s", destination.name)
        return "failing", f"It can't be asked ({type(error).__name__})."
    return "", ""
