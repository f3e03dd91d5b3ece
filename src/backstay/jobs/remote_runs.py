"""Asking for a backup of a remote site: a run that waits until a worker performs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backstay.catalogue import Backup, RemoteRun
from backstay.engine import Plan, make_remote_plan
from backstay.errors import BackupRunningError, NotFoundError
from backstay.jobs.installation import Installation

CANCELLED: Final = "It was cancelled."
CANCEL_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2


def queue_run(
    installation: Installation,
    profile_id: int,
    *,
    run_id: int | None = None,
    description: str = "",
    comment: str = "",
    overrides: Mapping[str, object] | None = None,
    origin: str = "backend",
    tag: str = "backend",
    priority: int | None = None,
    with_record: bool = False,
) -> RemoteRun:
    """Ask for a backup of a remote site.

    Args:
        installation: whose.
        profile_id: of the site.
        run_id: number of the schedule's run that it is for; None: a person or a client asked for it.
        description: may hold variables; empty: one is made.
        comment: for the record.
        overrides: settings of the profile by dotted key, for this backup only.
        origin: who asked: ``json``, ``cli`` or ``backend``.
        tag: first half of the backup's name.
        priority: higher is begun earlier; None: that of the site's group.
        with_record: whether it gets its record at once, so that a client can step it.

    Returns:
        The run; where the schedule's run has one already, that one.

    Raises:
        NotFoundError: no remote site has this profile.
        BackupRunningError: the site has a run that has not ended, or the schedule's run has its backup already.
        ConfigurationError: a setting cannot be used.
    """
    wanted: dict[str, Any] = {
        "description": description,
        "comment": comment,
        "overrides": dict(overrides or {}),
        "origin": origin,
        "tag": tag,
    }
    record, job = (None, None)
    if with_record:
        plan = plan_of(installation, profile_id, wanted)
        record, job = record_of(plan, origin), installation.catalogue.jobs.encrypted(plan.to_json())
    return installation.catalogue.remote_runs.queue(
        profile_id, datetime.now(UTC), request=wanted, run_id=run_id, priority=priority, record=record, job=job
    )


def queue_backup(installation: Installation, profile_id: int, **wanted: Any) -> Backup:
    """Ask for a backup of a remote site that has its record at once; see ``queue_run``."""
    run = queue_run(installation, profile_id, with_record=True, **wanted)
    backup = installation.catalogue.backups.get(run.backup_id) if run.backup_id is not None else None
    if backup is None:
        raise BackupRunningError(f"Run {run.run_id} of a schedule has its backup already.")
    return backup


def cancel_backup(installation: Installation, backup_id: int, patience: float = CANCEL_SECONDS) -> None:
    """End the run that takes a backup, and wait for that.

    Raises:
        BackupRunningError: its worker has not let go of it within so many seconds; it will.
    """
    run = installation.catalogue.remote_runs.of_backup(backup_id)
    if run is None:
        # Its site was removed, and the run with it.
        installation.catalogue.backups.update(backup_id, machine=installation.catalogue.machine)
        installation.catalogue.backups.end(backup_id, error=CANCELLED)
        return
    cancel_run(installation, run.id)
    deadline = time.monotonic() + patience
    while installation.catalogue.remote_runs.get(run.id).ended is None:
        if time.monotonic() > deadline:
            raise BackupRunningError(
                f"Backup {backup_id} is being cancelled, and a worker has to stop it on the server first: delete it "
                "again in a minute."
            )
        time.sleep(_POLL_SECONDS)


def begin_record(installation: Installation, run: RemoteRun, holder: str, profile_id: int, host: str) -> Backup | None:
    """Return the record of a run that a worker holds, made where it has none; None where the run is not its own.

    Raises:
        NotFoundError: the record was deleted.
        BackupRunningError: the schedule's run has its backup already.
        ConfigurationError: a setting cannot be used.
    """
    catalogue = installation.catalogue
    if run.backup_id is not None:
        if (backup := catalogue.backups.get(run.backup_id)) is None:
            raise NotFoundError(f"Backup {run.backup_id} was deleted.")
        return backup
    wanted = catalogue.remote_runs.request(run.id)
    plan = plan_of(installation, profile_id, wanted, host)
    job = catalogue.jobs.encrypted(plan.to_json())
    return catalogue.remote_runs.make_record(run.id, holder, record_of(plan, wanted["origin"]), job)


def cancel_run(installation: Installation, remote_run_id: int) -> bool:
    """Ask for the end of a run; return whether there was one to end."""
    return installation.catalogue.remote_runs.cancel(remote_run_id, datetime.now(UTC), CANCELLED)


def plan_of(installation: Installation, profile_id: int, wanted: Mapping[str, Any], host: str = "") -> Plan:
    """Return the plan of a run that begins now.

    Args:
        installation: whose.
        profile_id: of the site.
        wanted: what was asked for.
        host: host name of the site.
    """
    return make_remote_plan(
        installation.home,
        installation.catalogue.profiles.get(profile_id),
        overrides=wanted["overrides"],
        description=wanted["description"],
        comment=wanted["comment"],
        tag=wanted["tag"],
        moment=installation.now(),
        host=host,
    )


def record_of(plan: Plan, origin: str) -> dict[str, Any]:
    """Return the columns of the record of a run that begins."""
    return {
        "description": plan.description,
        "comment": plan.comment,
        "backupstart": datetime.fromisoformat(plan.started),
        "origin": origin,
        "type": "full",
        "profile_id": plan.profile_id,
        "archivename": Path(plan.archive).name,
        "tag": plan.tag,
        "backupid": plan.backupid,
    }
