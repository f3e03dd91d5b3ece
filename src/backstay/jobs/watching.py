"""How far backups are, for whoever only looks: nothing is started, acknowledged or counted by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from backstay.catalogue import Backup
from backstay.engine import Progress, percent
from backstay.jobs.installation import Installation
from backstay.jobs.liveness import is_worked_on, latest_report
from backstay.jobs.records import get_backup

ViewState = Literal["running", "waiting", "stopped", "complete", "failed"]


@dataclass(frozen=True, slots=True)
class BackupView:
    """A backup at this moment.

    Attributes:
        state: ``waiting`` where it has no process and gets one by itself; ``stopped`` where a person stopped it.
        percent: 0 to 100.
        progress: the counts behind it.
        started, ended: moments in UTC; ``ended`` is None while it has not ended.
        warnings: how many it has given.
        error: why it failed; empty where it did not.
        profile_id: whose it is.
    """

    id: int
    profile_id: int
    state: ViewState
    percent: int
    progress: Progress
    started: datetime
    ended: datetime | None
    warnings: int
    error: str

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return self.state in ("complete", "failed")


def view_backup(installation: Installation, backup_id: int) -> BackupView:
    """Return how far a backup is.

    Raises:
        NotFoundError: there is none with this number.
    """
    return view_of(installation, get_backup(installation, backup_id))


def view_of(installation: Installation, backup: Backup) -> BackupView:
    """Return how far the backup of a record is."""
    progress = latest_report(installation, backup) or Progress("init")
    done = percent(backup.type, progress.domain, progress.fraction)
    return BackupView(
        id=backup.id,
        profile_id=backup.profile_id,
        state=_state(installation, backup),
        percent=100 if backup.status == "complete" else done,
        progress=progress,
        started=backup.backupstart,
        ended=backup.backupend,
        warnings=backup.warning_count,
        error=backup.error,
    )


def _state(installation: Installation, backup: Backup) -> ViewState:
    if backup.status == "run":
        if is_worked_on(installation, backup):
            return "running"
        return "stopped" if backup.id in installation.catalogue.jobs.paused() else "waiting"
    return "complete" if backup.status == "complete" else "failed"
