"""Methods that take a backup (api-methods.md 2)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from backstay.api.conversion import Mapping, ProfileId, Text
from backstay.api.methods.model import Failure, Method, Parameters, Scope
from backstay.api.replies import StepReply

BACKUP_FAILED = Failure(500, "A backup error has occurred: {}", "the backup failed; the text says why")
BACKUPID_UNKNOWN = Failure(
    500,
    "A backup error has occurred: Akeeba Engine detected a problem while saving temporary data. Please restart your "
    "backup.",
    "no backup with this `backupid` is being taken",
)
NOTHING_RUNS = Failure(
    500,
    "A backup error has occurred: no backup is running: call startBackup first.",
    "`backupid` is missing, as with clients older than level 330, and no backup of the tag is running",
)
CHECK_FAILED = Failure(
    500, "Failed configuration check {}", "the profile cannot be backed up, for example because it has no site"
)


class StartBackupParameters(Parameters):
    """Parameters of startBackup."""

    profile: ProfileId = Field(default=1, description="Profile to back up with.")
    description: Text = Field(default="", description="Title of the record; empty: the date.")
    comment: Text = Field(default="", description="Comment of the record; may hold HTML.")
    backupid: Text = Field(default="", description="Ignored from level 400 on; the reply holds the real one.")
    overrides: Mapping = Field(
        default_factory=dict, description="Dotted configuration keys and their values, for this backup only."
    )
    tag: Text = Field(default="", description="Ignored.")


class StepBackupParameters(Parameters):
    """Parameters of stepBackup."""

    tag: Text = Field(default="json", description="Leave it out; only looked at where `backupid` is missing.")
    backupid: Text = Field(
        default="",
        description="As the previous reply gave it. Where it is missing (clients older than level 330), the "
        "newest running backup of the tag is stepped.",
    )
    profile: ProfileId = Field(default=1, description="Ignored: it is in the running record.")


_REPLY: dict[str, Any] = {
    "HasRun": True,
    "Domain": "init",
    "Step": "",
    "Substep": "",
    "Error": "",
    "Warnings": [],
    "ErrorException": None,
    "Archive": "site-example.jpa",
    "tag": "json",
    "Progress": 0,
    "backupid": "id-20240102-030405-678901",
    "sleepTime": 0,
    "stepNumber": 1,
    "stepState": "running",
    "BackupID": 25,
    "Profile": 1,
}

START_BACKUP: Method[StartBackupParameters, StepReply] = Method(
    name="startBackup",
    summary="Starts a backup. Call stepBackup while HasRun is true.",
    parameters=StartBackupParameters,
    reply_type=StepReply,
    scope=Scope.BACKUP,
    changes=(
        (335, "`overrides` was added."),
        (340, "`backupid`, `sleepTime`, `stepNumber` and `stepState` were added; HasRun is a boolean."),
        (400, "`backupid` is made by the server; `Profile` was added."),
    ),
    failures=(BACKUP_FAILED, CHECK_FAILED),
    example={"profile": 1, "description": "Before the update"},
    example_reply=_REPLY,
    repeatable=False,
)

STEP_BACKUP: Method[StepBackupParameters, StepReply] = Method(
    name="stepBackup",
    summary="Continues a backup, and returns how far it is.",
    parameters=StepBackupParameters,
    reply_type=StepReply,
    scope=Scope.BACKUP,
    changes=((400, "`backupid` is mandatory on other servers; the reply carries `BackupID` and `Profile`."),),
    failures=(NOTHING_RUNS, BACKUPID_UNKNOWN, BACKUP_FAILED),
    example={"backupid": "id-20240102-030405-678901"},
    example_reply={**_REPLY, "HasRun": False, "Domain": "finale", "Progress": 100, "stepState": "finished"},
)

METHODS = (START_BACKUP, STEP_BACKUP)
