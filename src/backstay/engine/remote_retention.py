"""Which copies are kept at each storage, and the deletions there that are still to be finished."""

from __future__ import annotations

import logging
from collections.abc import Callable

from backstay.catalogue import Backup, Catalogue, Copy
from backstay.engine.retention import RetentionContext, outdated, remote_rules
from backstay.engine.sending import remove_copy
from backstay.errors import BackstayError

_log = logging.getLogger(__name__)


def apply_remote_retention(context: RetentionContext) -> None:
    """Remove the copies that the rules of a profile no longer keep, at each storage by itself.

    What a storage refuses is a warning, and tried again at the next run. A copy that is locked still is left alone
    until its lock has ended.
    """
    catalogue, settings, current = context.catalogue, context.settings, context.current
    _finish_deletions(catalogue, current, context.on_warning)
    backups = catalogue.backups.newest(status="complete", profile_id=current.profile_id)
    copies = catalogue.copies.of_many(backup.id for backup in backups)
    rules = remote_rules(settings)
    for name in dict.fromkeys(copy.destination for found in copies.values() for copy in found):
        stored = {
            copy.backup_id: copy
            for found in copies.values()
            for copy in found
            if copy.destination == name and copy.state == "stored"
        }
        candidates = [
            backup
            for backup in backups
            if backup.id in stored and not backup.frozen and (settings.remote_latest or backup.id != current.id)
        ]
        for backup in outdated(candidates, rules, context.now, current.id):
            copy = stored[backup.id]
            if copy.locked_until is not None and copy.locked_until > context.now:
                _log.info("Kept the copy of backup %d at %s: it is locked until %s", backup.id, name, copy.locked_until)
                continue
            _remove(catalogue, copy, context.on_warning)


def _finish_deletions(catalogue: Catalogue, current: Backup, on_warning: Callable[[str], None]) -> None:
    """Try again what a storage refused before, or what a death interrupted."""
    for copy in catalogue.copies.all(state="deleting"):
        backup = catalogue.backups.get(copy.backup_id)
        if backup is None or backup.frozen or backup.id == current.id:
            continue
        # Somebody may have begun to send it anew since it was looked up.
        again = catalogue.copies.find(copy.backup_id, copy.destination)
        if again is not None and again.state == "deleting":
            _remove(catalogue, again, on_warning)


def _remove(catalogue: Catalogue, copy: Copy, on_warning: Callable[[str], None]) -> None:
    try:
        remove_copy(catalogue, copy, catalogue.destinations.get(copy.destination))
    except BackstayError as error:
        on_warning(
            f"The copy of backup {copy.backup_id} at {copy.destination} is no longer kept, and could not be deleted; "
            f"the next backup tries again: {error}"
        )
