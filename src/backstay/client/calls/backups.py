"""Calls about backups and their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstay.api.conversion import integer
from backstay.api.methods import backups, information, records
from backstay.api.replies import BackupInfo, BackupRecord, ProfileItem, StepReply, VersionInfo
from backstay.client.calls import given
from backstay.client.messages import Call


def get_version() -> Call[VersionInfo]:
    """The API level and version of the software that answers."""
    return Call(information.GET_VERSION)


def get_profiles() -> Call[list[ProfileItem]]:
    """The backup profiles, ordered by number."""
    return Call(information.GET_PROFILES)


def start_backup(
    profile: int = 1,
    description: str | None = None,
    comment: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Call[StepReply]:
    """Starts a backup; ``backup`` does that and all steps.

    Args:
        profile: number of the profile.
        description: title of the record.
        comment: its comment; may hold HTML.
        overrides: dotted configuration keys and values, for this backup only.
    """
    data = given(profile=profile, description=description, comment=comment, overrides=dict(overrides or {}) or None)
    return Call(backups.START_BACKUP, data)


def step_backup(backupid: str | None = None) -> Call[StepReply]:
    """Continues a backup.

    Args:
        backupid: as the previous reply reported it; None only for servers below level 330.
    """
    return Call(backups.STEP_BACKUP, given(backupid=backupid))


def list_backups(first: int = 0, limit: int = 50) -> Call[list[BackupRecord]]:
    """Backup records, newest first.

    Args:
        first: how many of the newest to leave out.
        limit: how many at most; 0 with ``first`` 0 means all.
    """
    return Call(records.LIST_BACKUPS, {"from": first, "limit": limit})


def get_backup_info(backup_id: int) -> Call[BackupInfo]:
    """One record and the files of its archive."""
    return Call(records.GET_BACKUP_INFO, {"backup_id": integer(backup_id)})


def download_segment(backup_id: int, part_id: int = 1, segment: int = 1, chunk_size: int = 1) -> Call[str]:
    """One piece of a part, in base64; ``download`` fetches whole archives.

    Args:
        backup_id: number of the record.
        part_id: number of the part, from 1.
        segment: which piece, from 1.
        chunk_size: size of a piece in MiB; servers of old levels leave holes for anything but 1.
    """
    data = {"backup_id": backup_id, "part_id": part_id, "segment": segment, "chunk_size": chunk_size}
    return Call(records.DOWNLOAD, data)


def delete(backup_id: int) -> Call[bool]:
    """Deletes a backup: files, log and record."""
    return Call(records.DELETE, {"backup_id": backup_id})


def delete_files(backup_id: int) -> Call[bool]:
    """Deletes the files of a backup and keeps its record."""
    return Call(records.DELETE_FILES, {"backup_id": backup_id})


def log(tag: str | None = None) -> Call[str]:
    """The text of a log.

    Args:
        tag: ``json.`` and the backupid, for example.
    """
    return Call(records.LOG, given(tag=tag))
