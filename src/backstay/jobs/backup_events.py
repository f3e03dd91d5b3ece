"""The start and the end of a backup as events."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Final, Literal

from backstay.catalogue import Backup
from backstay.jobs.installation import Installation
from backstay.jobs.publishing import publish
from backstay.notifications.model import Event

_TAIL_BYTES: Final = 20_000


def publish_backup(
    installation: Installation,
    backup_id: int,
    kind: Literal["started", "succeeded", "failed"],
    *,
    now: datetime | None = None,
) -> int:
    """Publish that a backup has begun, is complete, or has failed; a second time nothing is published.

    Args:
        installation: whose.
        backup_id: number of its record, which holds why it failed.
        kind: what happened.
        now: this moment; None: it is looked up.

    Returns:
        How many recipients are notified.
    """
    backup = installation.catalogue.backups.get(backup_id)
    if backup is None or not installation.catalogue.recipients.count():
        return 0
    names = dict(installation.catalogue.profiles.names())
    name = names.get(backup.profile_id, f"profile {backup.profile_id}")
    titles = {"started": "has begun", "succeeded": "is complete", "failed": "failed"}
    event = Event(
        key=f"backup:{backup.id}:{kind}",
        kind=kind,
        title=f"The backup of {name} {titles[kind]}",
        message=_message(backup, kind),
        advice=_advice(backup) if kind == "failed" else "",
        since=backup.backupstart,
        profile_id=backup.profile_id,
        profile=name,
        backup_id=backup.id,
        command=f"backstay show {backup.id}",
        log_tail="" if kind == "started" else log_tail(installation, backup),
    )
    return publish(installation, event, now=now)


def log_tail(installation: Installation, backup: Backup) -> str:
    """Return the last 20,000 bytes of a backup's log, from the start of a line on; empty where it has none.

    That is more than is sent: a secret in it must be whole to be found.
    """
    path = installation.home.log(backup.tag or "", backup.backupid or "")
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            content = file.read()
    except OSError:
        return ""
    if size > _TAIL_BYTES:
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


def _message(backup: Backup, kind: str) -> str:
    if kind == "started":
        return f"Backup {backup.id} has begun."
    if kind == "failed":
        return backup.error or f"Backup {backup.id} failed; its log says why."
    warned = f" Warnings: {backup.warning_count}." if backup.warning_count else ""
    return f"Backup {backup.id} is complete and verified: {backup.archivename}, {backup.total_size:,} bytes.{warned}"


def _advice(backup: Backup) -> str:
    return (
        f"Read its log with 'backstay log {backup.id}'; when the cause is removed, run "
        f"'backstay backup --profile {backup.profile_id}'."
    )
