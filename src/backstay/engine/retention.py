"""Which backups are kept (engine-behaviour, quotas), and the rules that keep one of each hour, day, week and so on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.files import backup_files, is_here
from backstay.engine.snapshots import let_go_of_snapshot
from backstay.errors import BackstayError
from backstay.profiles import Settings
from backstay.storage import remove

_log = logging.getLogger(__name__)

_PERIODS: tuple[tuple[str, str], ...] = (
    ("hourly", "%Y-%m-%d %H"),
    ("daily", "%Y-%m-%d"),
    ("weekly", "%G-%V"),
    ("monthly", "%Y-%m"),
    ("yearly", "%Y"),
)


@dataclass(frozen=True, slots=True)
class RetentionContext:
    """What the steps of retention at the end of a backup work on.

    Attributes:
        catalogue: of the installation.
        home: of the installation.
        settings: of the profile, whose rules these are.
        current: the backup that was just taken.
        now: this moment.
        on_warning: called with one sentence for what could not be removed.
    """

    catalogue: Catalogue
    home: Home
    settings: Settings
    current: Backup
    now: datetime
    on_warning: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of retention for one kind of place; a rule that is None, or 0, is off.

    Attributes:
        keep: for each form of a period (``strftime``), of how many such periods the newest backup is kept.
        maximum_age: what is older is not kept.
        keep_day: day of the month whose backups are kept for ever where there is a maximum age.
        count: backups that are kept.
        size: bytes that are kept.
    """

    keep: tuple[tuple[str, int], ...] = ()
    maximum_age: timedelta | None = None
    keep_day: int = 0
    count: int | None = None
    size: int | None = None


def local_rules(settings: Settings) -> Rules:
    """Return the rules of a profile for archives in its output folder."""
    return _rules(settings, "")


def remote_rules(settings: Settings) -> Rules:
    """Return the rules of a profile for copies at each of its storages; all are off where it has none."""
    own = _rules(settings, "remote_")
    if own == Rules() and settings.remote_as_local:
        return local_rules(settings)
    return own


def _rules(settings: Settings, prefix: str) -> Rules:
    def value(name: str) -> Any:
        return getattr(settings, prefix + name)

    keep = tuple((form, int(value(f"keep_{name}"))) for name, form in _PERIODS)
    aged = bool(value("maximum_age_enabled"))
    return Rules(
        keep=keep if any(count for _form, count in keep) else (),
        maximum_age=timedelta(days=value("maximum_age_days")) if aged else None,
        keep_day=value("maximum_age_keep_day") if aged else 0,
        count=value("count") if value("count_enabled") else None,
        size=value("size") if value("size_enabled") else None,
    )


def outdated(candidates: Sequence[Backup], rules: Rules, now: datetime, current_id: int) -> list[Backup]:
    """Return the backups whose files the rules no longer keep.

    Args:
        candidates: complete backups of the profile that have files and are not frozen, newest first.
        rules: of the profile, for the place where the files lie.
        now: this moment.
        current_id: the backup that was just taken: it is always kept.

    Returns:
        Those to remove, newest first. Where a rule ``keep_…`` is set, these rules alone decide; else where the
        maximum age is, it alone; else the count, and then the size over what the count keeps.
    """
    if rules.keep:
        kept = _periodic(candidates, rules)
    elif rules.maximum_age is not None:
        oldest = now - rules.maximum_age
        kept = {
            backup.id
            for backup in candidates
            if backup.backupstart >= oldest or backup.backupstart.day == rules.keep_day
        }
    else:
        kept = {backup.id for backup in _within_size(candidates[: rules.count], rules, current_id)}
    kept.add(current_id)
    return [backup for backup in candidates if backup.id not in kept]


def _periodic(candidates: Sequence[Backup], rules: Rules) -> set[int]:
    """Keep the newest backup of each of the newest N hours, days … that have one."""
    kept: set[int] = set()
    for form, count in rules.keep:
        seen: set[str] = set()
        for backup in candidates:
            period = backup.backupstart.strftime(form)
            if period in seen:
                continue
            if len(seen) == count:
                break
            seen.add(period)
            kept.add(backup.id)
    return kept


def _within_size(candidates: Sequence[Backup], rules: Rules, current_id: int) -> list[Backup]:
    """Keep from the newest on, up to and including the one that reaches the limit; the current one does not count."""
    if rules.size is None:
        return list(candidates)
    kept = []
    total = 0
    for backup in candidates:
        if total >= rules.size:
            break
        kept.append(backup)
        total += backup.total_size if backup.id != current_id else 0
    return kept


def apply_retention(context: RetentionContext) -> None:
    """Remove local files that the rules of a profile no longer keep; what cannot be removed is a warning."""
    catalogue, home, current = context.catalogue, context.home, context.current
    candidates = _candidates(catalogue, home, current)
    for backup in outdated(candidates, local_rules(context.settings), context.now, current.id):
        try:
            remove_files(catalogue, home, backup)
        except BackstayError as error:
            context.on_warning(f"Backup {backup.id} is no longer kept by the retention rules, but {error}")
            continue
        catalogue.backups.update(backup.id, filesexist=False)
        _log.info("Removed the files of backup %d: the retention rules no longer keep it", backup.id)


def _candidates(catalogue: Catalogue, home: Home, current: Backup) -> list[Backup]:
    """Return the backups the rules look at, newest first; those whose files somebody removed are marked so."""
    found = []
    for backup in catalogue.backups.newest(status="complete", profile_id=current.profile_id):
        if not backup.filesexist or backup.frozen:
            continue
        if is_here(catalogue, home, backup):
            found.append(backup)
        elif backup.machine == catalogue.machine:
            catalogue.backups.update(backup.id, filesexist=False)
    return found


def forget_obsolete(context: RetentionContext) -> None:
    """Remove the oldest records that have no files anywhere; what cannot be removed is a warning."""
    kept = context.settings.obsolete
    if not kept:
        return
    catalogue = context.catalogue
    complete = catalogue.backups.newest(status="complete", profile_id=context.current.profile_id)
    # A copy whose deletion is still to be finished is known by its record alone.
    unfinished = {copy.backup_id for copy in catalogue.copies.all()}
    obsolete = [
        backup for backup in complete if backup.meta == "obsolete" and not backup.frozen and backup.id not in unfinished
    ]
    for backup in obsolete[kept:]:
        try:
            remove_files(catalogue, context.home, backup)
        except BackstayError as error:
            context.on_warning(
                f"The record of backup {backup.id} is no longer kept by the retention rules, but {error}"
            )
            continue
        catalogue.backups.delete(backup.id)


def remove_files(catalogue: Catalogue, home: Home, backup: Backup) -> None:
    """Remove the parts of a backup, unless a newer record claims them, or let go of its snapshot; and remove its log.

    Raises:
        StorageError: a file cannot be removed.
        BackstayError: the repository of its snapshot cannot be reached.
    """
    log = home.log(backup.tag or "", backup.backupid or "")
    if let_go_of_snapshot(catalogue, home, backup.id):
        remove([log])
        return
    path = backup.absolute_path
    owner = catalogue.backups.newest_with_path([path]).get(path) if path else None
    # The main file first: what is left after a power cut must not look like a backup. The other parts are known by
    # name, so that they go too when this is done again.
    parts = [file.path for file in reversed(backup_files(home, backup))]
    folder = parts[0].parent if parts else Path(path).parent
    parts += [folder / str(part["name"]) for part in backup.proof.get("parts", ())]
    remove([*parts, log] if owner == backup.id else [log])
