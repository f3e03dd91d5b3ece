"""Methods about backup records and their files (api-methods.md 3)."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field

from backstay.api.conversion import Integer, Text
from backstay.api.methods.model import Failure, Method, Parameters, Scope
from backstay.api.replies import BackupInfo, Document, Flag, Records

INVALID_RECORD = Failure(404, "Invalid backup record identifier", "there is no such record")
INVALID_PART = Failure(404, "Invalid backup part", "the record has no such part, or its files are gone")
INVALID_SEGMENT = Failure(404, "Invalid segment", "the segment lies behind the end of the part")
CANNOT_OPEN = Failure(500, "Error reading backup archive", "the part cannot be opened")
CANNOT_READ = Failure(500, "Error reading specified segment", "the part cannot be read")
NO_RECORD_GIVEN = Failure(500, "Invalid record ID", "`backup_id` is missing or not positive")
RECORD_FROZEN = Failure(500, "This backup record is frozen and cannot be deleted", "the record is protected")
NEGATIVE_START = Failure(500, "Invalid list range", "`from` is negative")


class ListParameters(Parameters):
    """Parameters of listBackups."""

    first: Integer = Field(
        default=0,
        validation_alias="from",
        serialization_alias="from",
        description="How many of the newest to leave out.",
    )
    limit: Integer = Field(default=50, description="How many at most; 0 with `from` 0 means all.")


class RecordParameters(Parameters):
    """Parameters of methods about one record."""

    backup_id: Integer = Field(default=0, description="Number of the record.")


class PartParameters(RecordParameters):
    """Parameters of downloadDirect."""

    part_id: Integer = Field(
        default=1, validation_alias=AliasChoices("part_id", "part"), description="Number of the part, from 1."
    )


class DownloadParameters(PartParameters):
    """Parameters of download."""

    segment: Integer = Field(default=1, description="Which piece of the part, from 1.")
    chunk_size: Integer = Field(default=1, description="Size of a piece in MiB.")


class LogParameters(Parameters):
    """Parameters of log."""

    tag: Text = Field(default="remote", description="Which log: `json`, or `json.` and the backupid.")


_RECORD: dict[str, Any] = {
    "id": 25,
    "description": "Before the update",
    "comment": "",
    "backupstart": "2024-01-02 03:04:05",
    "backupend": "2024-01-02 03:04:35",
    "status": "complete",
    "origin": "json",
    "type": "full",
    "profile_id": 1,
    "archivename": "site-example.jpa",
    "absolute_path": "/srv/backups/site-example.jpa",
    "multipart": 1,
    "tag": "json",
    "backupid": "id-20240102-030405-678901",
    "filesexist": 1,
    "remote_filename": None,
    "total_size": 219736,
    "frozen": 0,
    "instep": 0,
}

LIST_BACKUPS: Method[ListParameters, Records] = Method(
    name="listBackups",
    summary="Lists backup records, newest first.",
    parameters=ListParameters,
    reply_type=Records,
    scope=Scope.READ,
    changes=((320, "`from` and `limit` are honoured."), (400, "`frozen`, `instep`, `hasRemoteFiles` were added.")),
    failures=(NEGATIVE_START,),
    example={"from": 0, "limit": 10},
    example_reply=[{**_RECORD, "meta": "ok", "hasRemoteFiles": False, "size": 219736}],
)

GET_BACKUP_INFO: Method[RecordParameters, BackupInfo] = Method(
    name="getBackupInfo",
    summary="Returns one backup record and the files of its archive.",
    parameters=RecordParameters,
    reply_type=BackupInfo,
    scope=Scope.READ,
    failures=(INVALID_RECORD,),
    example={"backup_id": 25},
    example_reply={**_RECORD, "filenames": [{"part": 1, "name": "site-example.jpa", "size": 219736}]},
)

DOWNLOAD: Method[DownloadParameters, Document] = Method(
    name="download",
    summary="Answers one piece of a part, in base64; the end of a part is status 404.",
    parameters=DownloadParameters,
    reply_type=Document,
    scope=Scope.DOWNLOAD,
    changes=((330, "Pieces are 1048756 bytes long up to level 330, 1048576 afterwards."),),
    failures=(INVALID_RECORD, INVALID_PART, INVALID_SEGMENT, CANNOT_OPEN, CANNOT_READ),
    example={"backup_id": 25, "part_id": 1, "segment": 1},
    example_reply="SlBBKQABAwoAAAA=",
)

DOWNLOAD_DIRECT: Method[PartParameters, bytes] = Method(
    name="downloadDirect",
    summary="Answers a part as it is, as the body of the HTTP reply; Range requests are honoured.",
    parameters=PartParameters,
    reply_type=bytes,
    scope=Scope.DOWNLOAD,
    failures=(INVALID_RECORD, INVALID_PART),
    example={"backup_id": 25, "part_id": 1},
)

DELETE: Method[RecordParameters, Flag] = Method(
    name="delete",
    summary="Deletes a backup: its files, its log and its record.",
    parameters=RecordParameters,
    reply_type=Flag,
    scope=Scope.DELETE,
    changes=((400, "A frozen record is refused."),),
    failures=(NO_RECORD_GIVEN, INVALID_RECORD, RECORD_FROZEN),
    example={"backup_id": 25},
    example_reply=True,
)

DELETE_FILES: Method[RecordParameters, Flag] = Method(
    name="deleteFiles",
    summary="Deletes the files and the log of a backup and keeps its record.",
    parameters=RecordParameters,
    reply_type=Flag,
    scope=Scope.DELETE,
    changes=((400, "A frozen record is refused."),),
    failures=(NO_RECORD_GIVEN, INVALID_RECORD, RECORD_FROZEN),
    example={"backup_id": 25},
    example_reply=True,
)

LOG: Method[LogParameters, Document] = Method(
    name="log",
    summary="Answers the text of a backup's log.",
    parameters=LogParameters,
    reply_type=Document,
    scope=Scope.READ,
    first_level=330,
    last_level=500,
    changes=((330, "It was called getLog before."),),
    example={"tag": "json.id-20240102-030405-678901"},
    example_reply="INFO    |20240102 03:04:05|The backup starts\r\n",
)

METHODS = (LIST_BACKUPS, GET_BACKUP_INFO, DOWNLOAD, DOWNLOAD_DIRECT, DELETE, DELETE_FILES, LOG)
