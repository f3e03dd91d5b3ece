"""Repositories that prove themselves: a share of each is read every day, and what is damaged is told by an alarm.

Packs that were not read for longest are read first, so that all of them come round within the days that are set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstay.archives.names import shown
from backstay.catalogue import NamedRepository, Observation, Task
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.jobs.tasks import begin_task

if TYPE_CHECKING:
    from backstay.repository.checking import CheckReport, Damage
    from backstay.repository.opened import Repository

EVERY = timedelta(days=1)
"""How often a share of a repository is read."""
_BY = "Backstay"
_NAMED = 5
_MOST_KEPT = 100

_log = logging.getLogger(__name__)


def begin_due(installation: Installation, now: datetime) -> list[Task]:
    """Begin to prove the repositories of which nothing was read for a day, each in a process of its own.

    Safe to call from several processes at once: each repository is begun by one of them.

    Args:
        installation: whose.
        now: this moment.

    Returns:
        What was begun.
    """
    span = timedelta(days=installation.configuration.repositories.reread_days)
    begun: list[Task] = []
    if not span:
        return begun
    observations = installation.catalogue.observations
    for named in installation.catalogue.repositories.all():
        if named.created + EVERY > now or not _is_of_here(installation, named):
            continue
        before = observations.find("repository", named.name)
        if not observations.claim("repository", named.name, now, EVERY):
            continue
        proven = _moment(before, named.created)
        given = {"name": named.name, "share": min((now - proven) / span, 1.0)}
        title = f"Read a share of the repository {named.name}"
        try:
            begun.append(begin_task(installation, "check repository", title, given, started_by=_BY))
        except BackstayError as error:
            _log.warning("The repository %s is not proven today: %s", named.name, error)
    return begun


def _is_of_here(installation: Installation, named: NamedRepository) -> bool:
    """Return whether a repository can be read by this machine: one on a disk of another machine can't."""
    return bool(named.destination) or (installation.home.repositories / named.name).is_dir()


def _moment(seen: Observation | None, otherwise: datetime) -> datetime:
    """Return when a share of a repository was read last."""
    try:
        return max(datetime.fromisoformat(str(seen.details["proven"])), otherwise) if seen else otherwise
    except (KeyError, ValueError, TypeError):
        return otherwise


def check_repository(
    installation: Installation,
    name: str,
    share: float,
    *,
    repository: Repository | None = None,
    on_step: Callable[[str, int, int], None] = lambda *_: None,
) -> CheckReport:
    """Check a repository, and note what was found for the alarms.

    Args:
        installation: whose.
        name: of the repository.
        share: of it that is read, from 0 to 1.
        repository: it, where it is open already.
        on_step: called with what is being done, and the bytes done and in all.

    Raises:
        NotFoundError: there is no such repository.
        BackstayError: it cannot be read.
    """
    # Imported here: whoever looks once a minute whether something is due reads no repository.
    from backstay.jobs.repositories import opened_repository
    from backstay.repository.checking import check

    installation.catalogue.repositories.get(name)
    begun = datetime.now(UTC)
    before = installation.catalogue.observations.find("repository", name)
    try:
        if repository is not None:
            found = check(repository, read_data=share, on_step=on_step)
        else:
            with opened_repository(installation, name) as opened:
                found = check(opened, read_data=share, on_step=on_step)
    except BackstayError as error:
        kept = before.details.get("proven") if before else None
        _note(installation, name, begun, "unread", {"reason": str(error), "proven": kept})
        raise
    # What is only looked at is not read: the share of the next day does not grow smaller by that.
    proven = begun.isoformat() if share else (before.details.get("proven") if before else None)
    details: dict[str, Any] = {"proven": proven, "read": found.read}
    if not found.ok:
        names = _names(installation, name)
        hit = sorted({_name_of(one.backup, names) for one in found.damages if one.backup})
        details.update(reason=_told(found.damages, names), backups=hit[:_MOST_KEPT])
    _note(installation, name, begun, "" if found.ok else "damaged", details)
    return found


def _note(installation: Installation, name: str, at: datetime, problem: str, details: Mapping[str, Any]) -> None:
    installation.catalogue.observations.note(Observation("repository", name, at, at, problem, details))


def _told(damages: Sequence[Damage], names: Mapping[str, int]) -> str:
    """Name the first files that are hit, and their backups."""
    hit = [(one.backup, one.path) for one in damages if one.backup is not None]
    if not hit:
        return damages[0].message.removesuffix(".")
    told = [
        f"{'a part of the list of files' if path is None else shown(path)} of {_name_of(backup, names)}"
        for backup, path in hit[:_NAMED]
    ]
    return ", ".join(told) + (f" and {len(hit) - _NAMED} more" if len(hit) > _NAMED else "")


def _names(installation: Installation, name: str) -> dict[str, int]:
    """Return the numbers of the records of the backups in a repository."""
    return {row.snapshot: row.backup_id for row in installation.catalogue.snapshots.at(name)}


def _name_of(snapshot: str, names: Mapping[str, int]) -> str:
    return f"backup {names[snapshot]}" if snapshot in names else f"the backup {snapshot}"
