"""Which backups are kept (engine-behaviour, quotas), and the rules that keep one of each hour, day, week and so on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.files import backup_files, main_file
from backstay.errors import BackstayError
from backstay.profiles import Settings
from backstay.storage import remove

_log = logging.getLogger(__name__)

_PERIODS: tuple[tuple[str, str], ...] = (
    ("keep_hourly", "%Y-%m-%d %H"),
    ("keep_daily", "%Y-%m-%d"),
    ("keep_weekly", "%G-%V"),
    ("keep_monthly", "%Y-%m"),
    ("keep_yearly", "%Y"),
)


def outdated(candidates: Sequence[Backup], settings: Settings, now: datetime, current_id: int) -> list[Backup]:
    """Return the backups whose files the rules of a profile give up.

    Args:
        candidates: complete backups of the profile that have files and are not frozen, newest first.
        settings: of the profile.
        now: this moment.
        current_id: the backup that was just taken: it is never given up.

    Returns:
        Those to remove, newest first. Where a rule ``keep_…`` is set, these rules alone decide; else where the
        maximum age is, it alone; else the count, and then the size over what the count keeps.
    """
    if any(getattr(settings, name) for name, _form in _PERIODS):
        kept = _periodic(candidates, settings)
    elif settings.maximum_age_enabled:
        oldest = now - timedelta(days=settings.maximum_age_days)
        kept = {
            backup.id
            for backup in candidates
            if backup.backupstart >= oldest or backup.backupstart.day == settings.maximum_age_keep_day
        }
    else:
        counted = list(candidates[: settings.count]) if settings.count_enabled else list(candidates)
        kept = {backup.id for backup in _within_size(counted, settings, current_id)}
    kept.add(current_id)
    return [backup for backup in candidates if backup.id not in kept]


def _periodic(candidates: Sequence[Backup], settings: Settings) -> set[int]:
    """Keep the newest backup of each of the newest N hours, days … that have one."""
    kept: set[int] = set()
    for name, form in _PERIODS:
        seen: set[str] = set()
        for backup in candidates:
            period = backup.backupstart.strftime(form)
            if period in seen:
                continue
            if len(seen) == getattr(settings, name):
                break
            seen.add(period)
            kept.add(backup.id)
    return kept


def _within_size(candidates: Sequence[Backup], settings: Settings, current_id: int) -> list[Backup]:
    """Keep from the newest on, up to and including the one that reaches the limit; the current one does not count."""
    if not settings.size_enabled:
        return list(candidates)
    kept = []
    total = 0
    for backup in candidates:
        if total >= settings.size:
            break
        kept.append(backup)
        total += backup.total_size if backup.id != current_id else 0
    return kept


def apply_retention(
    catalogue: Catalogue,
    home: Home,
    settings: Settings,
    current: Backup,
    now: datetime,
    *,
    on_warning: Callable[[str], None],
) -> None:
    """Give up what the rules of a profile give up; what cannot be removed is a warning, the backup stays good.

    Args:
        catalogue: of the installation.
        home: of the installation.
        settings: of the profile.
        current: the backup that was just taken.
        now: this moment.
        on_warning: told of what could not be removed.
    """
    for backup in outdated(_candidates(catalogue, home, current), settings, now, current.id):
        try:
            remove_files(catalogue, home, backup)
        except BackstayError as error:
            on_warning(f"Backup {backup.id} is given up by the retention rules, but {error}")
            continue
        catalogue.backups.update(backup.id, filesexist=False)
        _log.info("Removed the files of backup %d: the retention rules give it up", backup.id)
    if settings.obsolete:
        _forget_obsolete(catalogue, home, settings, current, on_warning=on_warning)


def _candidates(catalogue: Catalogue, home: Home, current: Backup) -> list[Backup]:
    """Return the backups the rules look at, newest first; those whose files somebody removed are marked so."""
    found = []
    for backup in catalogue.backups.newest(status="complete", profile_id=current.profile_id):
        if not backup.filesexist or backup.frozen:
            continue
        if main_file(home, backup) is None:
            catalogue.backups.update(backup.id, filesexist=False)
        else:
            found.append(backup)
    return found


def _forget_obsolete(
    catalogue: Catalogue, home: Home, settings: Settings, current: Backup, *, on_warning: Callable[[str], None]
) -> None:
    complete = catalogue.backups.newest(status="complete", profile_id=current.profile_id)
    obsolete = [backup for backup in complete if backup.meta == "obsolete" and not backup.frozen]
    for backup in obsolete[settings.obsolete :]:
        try:
            remove_files(catalogue, home, backup)
        except BackstayError as error:
            on_warning(f"The record of backup {backup.id} is given up by the retention rules, but {error}")
            continue
        catalogue.backups.delete(backup.id)


def remove_files(catalogue: Catalogue, home: Home, backup: Backup) -> None:
    """Remove the parts of a backup, unless a newer record claims them, and its log.

    Raises:
        StorageError: a file cannot be removed.
    """
    path = backup.absolute_path
    owner = catalogue.backups.newest_with_path([path]).get(path) if path else None
    # The main file first: what is left after a power cut must not look like a backup. The other parts are known by
    # name, so that they go too when this is done again.
    parts = [file.path for file in reversed(backup_files(home, backup))]
    folder = parts[0].parent if parts else Path(path).parent
    parts += [folder / str(part["name"]) for part in backup.proof.get("parts", ())]
    log = home.log(backup.tag or "", backup.backupid or "")
    remove([*parts, log] if owner == backup.id else [log])
