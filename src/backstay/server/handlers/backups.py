"""Answers to startBackup and stepBackup (api-methods.md 2)."""

from __future__ import annotations

from functools import partial

from backstay.api.methods.backups import (
    BACKUP_FAILED,
    BACKUPID_UNKNOWN,
    CHECK_FAILED,
    NOTHING_RUNS,
    StartBackupParameters,
    StepBackupParameters,
)
from backstay.api.methods.profiles import INVALID_PROFILE
from backstay.api.replies import StepReply
from backstay.errors import BackstayError, ConfigurationError, NotFoundError
from backstay.jobs.backup import StepState, acknowledge, start_backup, step_backup, unnamed_backupid
from backstay.server.handlers.model import Call, Handler, Scheduling


def start(call: Call, parameters: StartBackupParameters) -> StepReply:
    """Start a backup and return how far it is."""
    known = [number for number, _ in call.installation.catalogue.profiles.names()]
    if parameters.profile not in known:
        raise INVALID_PROFILE.error()
    try:
        state = start_backup(
            call.installation,
            profile_id=parameters.profile,
            description=parameters.description,
            comment=parameters.comment,
            overrides=dict(parameters.overrides),
            origin="json",
            tag="json",
        )
    except (ConfigurationError, NotFoundError) as error:
        raise CHECK_FAILED.error(f"Q001: {error}") from error
    except BackstayError as error:
        raise BACKUP_FAILED.error(error) from error
    return _reply(call, state)


def step(call: Call, parameters: StepBackupParameters) -> StepReply:
    """Wait for news of a backup and return them."""
    backupid = parameters.backupid or unnamed_backupid(call.installation, parameters.tag or "json")
    if not backupid:
        raise NOTHING_RUNS.error()
    try:
        state = step_backup(call.installation, backupid)
    except NotFoundError as error:
        raise BACKUPID_UNKNOWN.error() from error
    except BackstayError as error:
        raise BACKUP_FAILED.error(error) from error
    return _reply(call, state)


def _reply(call: Call, state: StepState) -> StepReply:
    """A state as the reply says it; a failed backup is an error of the call (clients.md, replies).

    Warnings count as reported once the reply was sent: a client whose connection broke hears them again.
    """
    call.when_sent.append(partial(acknowledge, call.installation, state))
    if state.error:
        raise BACKUP_FAILED.error(state.error)
    return StepReply(
        has_run=state.has_run,
        domain=state.domain,
        step=state.step,
        substep=state.substep,
        error="",
        warnings=list(state.warnings),
        archive=state.archive,
        tag=state.tag,
        progress=state.progress,
        backupid=state.backupid,
        sleep_time=0,
        step_number=state.step_number,
        step_state=state.step_state,
        backup_id=state.backup_id,
        profile=state.profile_id,
    )


HANDLERS = {
    "startBackup": Handler(start, Scheduling.WAITING),
    "stepBackup": Handler(step, Scheduling.WAITING),
}
