"""Answers about backup records, their files and logs (api-methods.md 3)."""

from __future__ import annotations

import base64
import logging
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from backstay.api.methods.records import (
    CANNOT_OPEN,
    CANNOT_READ,
    INVALID_PART,
    INVALID_RECORD,
    INVALID_SEGMENT,
    NEGATIVE_START,
    NO_RECORD_GIVEN,
    RECORD_FROZEN,
    DownloadParameters,
    ListParameters,
    LogParameters,
    PartParameters,
    RecordParameters,
)
from backstay.api.replies import BackupInfo, BackupRecord, PartFile
from backstay.catalogue import Backup, BackupSearch
from backstay.downloads.stored_parts import StoredPart
from backstay.engine import BackupFile
from backstay.errors import BackstayError, NotFoundError, PermissionDeniedError, UsageError
from backstay.jobs.archive_of import parts_of
from backstay.jobs.records import ListedBackup, delete_backup, delete_backup_files, list_backups, read_log
from backstay.server.handlers.model import Call, Handler, PartOfArchive, Scheduling

_log = logging.getLogger(__name__)

_MEBIBYTE = 1 << 20
_LARGEST_CHUNK = 32
"""MiB of one piece: larger pieces are cut to it, consistently, so that clients that join the pieces lose nothing."""
_NEVER = "0000-00-00 00:00:00"
_LOGS_LOOKED_THROUGH = 200


def listed(call: Call, parameters: ListParameters) -> list[BackupRecord]:
    """List records; the limit is applied only where ``limit`` or ``from`` is positive (api-methods.md 3)."""
    first, limit = parameters.first, parameters.limit
    if first < 0 or (limit < 0 and first > 0):
        raise NEGATIVE_START.error()
    matching = None if call.groups is None else BackupSearch(groups=call.groups)
    if first == 0 and limit <= 0:
        return [_record(found) for found in list_backups(call.installation, 0, None, matching)]
    return [_record(found) for found in list_backups(call.installation, first, limit, matching)]


def information(call: Call, parameters: RecordParameters) -> BackupInfo:
    """Return one record and the files of its archive."""
    backup = _backup(call, parameters)
    files = [PartFile(part=file.part, name=file.name, size=file.size) for file in parts_of(call.installation, backup)]
    return BackupInfo(**_columns(backup), filenames=files, drill=backup.proof.get("drill"))


def download(call: Call, parameters: DownloadParameters) -> str:
    """Return one piece of a part in Base64.

    Piece n is the n-th of ``chunk_size`` MiB; one that begins exactly at the end of the part is empty.
    """
    part = _part(call, parameters)
    length = _MEBIBYTE * min(max(parameters.chunk_size, 1), _LARGEST_CHUNK)
    offset = length * (parameters.segment - 1)
    if not isinstance(part, BackupFile):
        return base64.b64encode(_read_stored(part, offset, length)).decode("ascii")
    try:
        descriptor = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CANNOT_OPEN.error() from error
    try:
        if not 0 <= offset <= os.fstat(descriptor).st_size:
            raise INVALID_SEGMENT.error()
        return base64.b64encode(_read(descriptor, offset, length)).decode("ascii")
    except OSError as error:
        raise CANNOT_READ.error() from error
    finally:
        os.close(descriptor)


def download_direct(call: Call, parameters: PartParameters) -> PartOfArchive:
    """Return the file of a part, for the server to send."""
    return PartOfArchive(_part(call, parameters))


def delete(call: Call, parameters: RecordParameters) -> bool:
    """Delete a record with all that belongs to it."""
    return _deleted(call, parameters, delete_backup)


def delete_files(call: Call, parameters: RecordParameters) -> bool:
    """Delete the files of a record, and keep it."""
    return _deleted(call, parameters, delete_backup_files)


def log(call: Call, parameters: LogParameters) -> str:
    """Return the log that a tag names: ``json.<backupid>`` one backup's, anything else the newest with that tag."""
    backups = call.installation.catalogue.backups
    tag, _, backupid = parameters.tag.partition(".")
    if backupid:
        found = backups.find(backupid)
    else:
        newest = backups.newest(0, _LOGS_LOOKED_THROUGH)
        found = next((backup for backup in newest if backup.tag == tag), newest[0] if newest else None)
    if found is None:
        raise INVALID_RECORD.error()
    return read_log(call.installation, found)


def _deleted(call: Call, parameters: RecordParameters, action: Any) -> bool:
    if parameters.backup_id <= 0:
        raise NO_RECORD_GIVEN.error()
    try:
        action(call.installation, parameters.backup_id)
    except NotFoundError as error:
        raise INVALID_RECORD.error() from error
    except (PermissionDeniedError, UsageError) as error:
        raise RECORD_FROZEN.error() from error
    return True


def _backup(call: Call, parameters: RecordParameters) -> Backup:
    backup = call.installation.catalogue.backups.get(parameters.backup_id)
    if backup is None:
        raise INVALID_RECORD.error()
    return backup


def _part(call: Call, parameters: PartParameters) -> BackupFile | StoredPart:
    for file in parts_of(call.installation, _backup(call, parameters)):
        if file.part == parameters.part_id:
            return file
    raise INVALID_PART.error()


def _read_stored(part: StoredPart, offset: int, length: int) -> bytes:
    if not 0 <= offset <= part.size:
        raise INVALID_SEGMENT.error()
    length = min(length, part.size - offset)
    try:
        content = _piece(part, offset, length) if length else b""
    except BackstayError as error:
        _log.warning("The part %s can't be read at %s: %s", part.name, part.place, error)
        raise (CANNOT_OPEN if isinstance(error, NotFoundError) else CANNOT_READ).error() from error
    if len(content) < length:
        raise CANNOT_READ.error()
    return content


def _piece(part: StoredPart, offset: int, length: int) -> bytes:
    with closing(part.opened()) as opened:
        return opened.read(offset, length)


def _read(descriptor: int, offset: int, length: int) -> bytes:
    pieces = []
    while length and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def _record(found: ListedBackup) -> BackupRecord:
    return BackupRecord(
        **_columns(found.backup),
        meta=found.backup.meta,
        has_remote_files=bool(found.backup.remote_filename),
        size=found.size,
    )


def _columns(backup: Backup) -> dict[str, Any]:
    return {
        "id": backup.id,
        "description": backup.description,
        "comment": backup.comment,
        "backupstart": _moment(backup.backupstart),
        "backupend": _moment(backup.backupend),
        "status": backup.status,
        "origin": backup.origin,
        "type": backup.type,
        "profile_id": backup.profile_id,
        "archivename": backup.archivename,
        "absolute_path": backup.absolute_path,
        "multipart": backup.multipart,
        "tag": backup.tag,
        "backupid": backup.backupid,
        "filesexist": int(backup.filesexist),
        "remote_filename": backup.remote_filename,
        "total_size": backup.total_size,
        "frozen": int(backup.frozen),
        "instep": int(backup.instep),
    }


def _moment(moment: datetime | None) -> str:
    return _NEVER if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


HANDLERS = {
    "listBackups": Handler(listed),
    "getBackupInfo": Handler(information),
    "download": Handler(download, Scheduling.LARGE),
    "downloadDirect": Handler(download_direct),
    "delete": Handler(delete),
    "deleteFiles": Handler(delete_files),
    "log": Handler(log, Scheduling.LARGE),
}
