"""What a token that is bound to groups of sites may ask for: the one place where that is decided for the API.

Whatever belongs to others does not exist for it: it is refused with the words for what is not there. A method that is
not named here is refused.
"""

from __future__ import annotations

from typing import Final

from backstay.api.methods.backups import (
    BACKUPID_UNKNOWN,
    NOTHING_RUNS,
    StartBackupParameters,
    StepBackupParameters,
)
from backstay.api.methods.model import Parameters
from backstay.api.methods.profiles import INVALID_PROFILE
from backstay.api.methods.records import INVALID_RECORD, LogParameters, RecordParameters
from backstay.api.status import NOT_ALLOWED, ApiError, Status
from backstay.catalogue import Backup
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import may_see_profile

_ABOUT_NOBODY: Final = frozenset({"getVersion", "updateGetInformation"})
_NARROWED: Final = frozenset({"getProfiles", "listBackups"})
"""Their handlers list what is in the caller's groups alone."""
_OF_A_RECORD: Final = frozenset({"getBackupInfo", "download", "downloadDirect", "delete", "deleteFiles"})


def require_own(installation: Installation, groups: tuple[int, ...], method: str, parameters: Parameters) -> None:
    """Refuse what does not belong to the sites of a caller's groups.

    Args:
        installation: what the call is about.
        groups: numbers of the groups that the caller is bound to.
        method: name of the method.
        parameters: as they were read.

    Raises:
        ApiError: it is not the caller's, or not allowed to who is bound.
    """
    if method in _ABOUT_NOBODY or method in _NARROWED:
        return
    records = installation.catalogue.backups
    if isinstance(parameters, StartBackupParameters):
        if not may_see_profile(installation, groups, parameters.profile):
            raise INVALID_PROFILE.error()
    elif isinstance(parameters, StepBackupParameters):
        # Without a name the newest backup is meant, whosever it is.
        if not parameters.backupid:
            raise NOTHING_RUNS.error()
        if not _is_own(installation, groups, records.find(parameters.backupid)):
            raise BACKUPID_UNKNOWN.error()
    elif isinstance(parameters, LogParameters):
        backupid = parameters.tag.partition(".")[2]
        if not _is_own(installation, groups, records.find(backupid) if backupid else None):
            raise INVALID_RECORD.error()
    elif isinstance(parameters, RecordParameters) and method in _OF_A_RECORD:
        # What does not exist is refused by the method itself, in its own words.
        backup = records.get(parameters.backup_id) if parameters.backup_id > 0 else None
        if backup is not None and not _is_own(installation, groups, backup):
            raise INVALID_RECORD.error()
    else:
        raise ApiError(Status.NOT_ALLOWED, NOT_ALLOWED)


def _is_own(installation: Installation, groups: tuple[int, ...], backup: Backup | None) -> bool:
    return backup is not None and may_see_profile(installation, groups, backup.profile_id)
