"""The part of a run that happens on the other server: one backup, started once whoever does it, and stepped to its end.

The mark by which the backup is found again is written down before ``startBackup`` is sent, and the record's number as
soon as it is known. Whoever goes on with the run looks for the one, or asks for the other.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Final

from backstay.api.replies import BackupInfo, StepReply
from backstay.client import Client, recovery
from backstay.client.backup_loop import BackupLoop
from backstay.client.calls import backups
from backstay.engine import Plan, Progress
from backstay.engine.warnings import Warnings
from backstay.errors import BackupFailedError, ProtocolError
from backstay.fleet.detection import plain_text
from backstay.fleet.held_run import HeldRun

_SHARE: Final = 0.5
"""Of the whole run, for what is shown."""
_LONGEST_WARNING: Final = 2000
_MOST_WARNINGS_OF_A_STEP: Final = 200
LONGEST_SECONDS: float = 48 * 3600.0
"""No backup takes so long; a server that never comes to an end does."""
_CERTAINLY_PASSED_SECONDS: Final = 600.0
_STEPS_WITHOUT_PAUSE: Final = 200
_PAUSE_SECONDS: Final = 0.1
_FINISHING_LOOKS: Final = 20
_FINISHING_PAUSE: float = 3.0


def take_backup(held: HeldRun, client: Client, profile: int, plan: Plan, warnings: Warnings) -> BackupInfo:
    """See to it that the server has taken the backup of a run.

    Args:
        held: the run.
        client: of the server.
        profile: number of the server's profile.
        plan: of the run.
        warnings: receives those of the server.

    Returns:
        The server's record, complete, with its files.

    Raises:
        BackupFailedError: the backup failed there.
        BackstayError: the server refuses, or cannot be reached.
    """
    if not held.checkpoint.get("taken"):
        loop = _begun(held, client, profile, plan, warnings)
        pace = _Pace(held)
        while loop.runs:
            _note(held, held.patiently(lambda: _step(held, client, loop)), warnings)
            pace.require_progress(loop.last)
        held.save(taken=True)
    return _finished(held, client)


class _Pace:
    """Ends a backup that does not get on, and does not let a server that answers at once be asked without a pause."""

    def __init__(self, held: HeldRun) -> None:
        self._held = held
        self._begun = self._moved = time.monotonic()
        self._seen: tuple[object, ...] = ()
        self._steps = 0

    def require_progress(self, reply: StepReply | None) -> None:
        """Look at what a step reported.

        Raises:
            BackupFailedError: it is what was reported for too long, or the backup takes longer than any does.
        """
        if reply is None or not reply.has_run:
            return
        now = time.monotonic()
        seen = (reply.domain, reply.step, reply.substep, reply.progress)
        if seen != self._seen:
            self._seen, self._moved = seen, now
        limit = self._held.installation.configuration.jobs.stuck_after * 60
        if limit and now - self._moved > limit:
            raise BackupFailedError(
                f"The server has reported the same step for {limit // 60:.0f} minutes: look what it waits for."
            )
        if now - self._begun > LONGEST_SECONDS:
            raise BackupFailedError(
                f"The backup has not ended on the server after {LONGEST_SECONDS // 3600:.0f} hours: look at it there."
            )
        self._steps += 1
        if self._steps > _STEPS_WITHOUT_PAUSE:
            self._held.wait(_PAUSE_SECONDS)


def _begun(held: HeldRun, client: Client, profile: int, plan: Plan, warnings: Warnings) -> BackupLoop:
    """Start the backup, or find it: the loop after its first reply."""
    looks = 0
    if "mark" in held.checkpoint:
        looks = _looks_left(held.checkpoint["asked"])
    else:
        held.save(mark=recovery.new_mark(), asked=datetime.now(UTC).isoformat())
    start = backups.start_backup(profile, plan.description or None, plan.comment or None)
    loop = client.backup_loop(start, held.checkpoint["mark"], looks)
    if "record" in held.checkpoint:
        loop.last = held.patiently(lambda: _reply_of(held, client))
        return loop
    reply = client.advance(loop)
    held.save(record=reply.backup_id or _number_of(held, client), backupid=reply.backupid)
    _note(held, reply, warnings)
    return loop


def _looks_left(asked: str) -> int:
    """How often a start is looked for that was about to be sent at a moment: it arrives within a minute, or never.

    The moment is of the clock of the machine that asked, which may differ from this one's by minutes.
    """
    passed = (datetime.now(UTC) - datetime.fromisoformat(asked)).total_seconds()
    if passed > _CERTAINLY_PASSED_SECONDS:
        return 1
    left = recovery.LOOKS - math.floor(max(0.0, passed) / recovery.LOOK_PAUSE)
    return max(recovery.LOOKS // 2, left)


def _number_of(held: HeldRun, client: Client) -> int:
    """Number of the record of a server that does not say it when a backup begins."""
    mark = held.checkpoint["mark"]
    found = next((one.id for one in client.list_backups(0, 50) if mark in one.comment), 0)
    if not found:
        raise ProtocolError("The server does not say which backup it takes: look at its list of backups.")
    return found


def _reply_of(held: HeldRun, client: Client) -> StepReply:
    """What a step would say of a backup that was begun before, by its record."""
    info = client.get_backup_info(held.checkpoint["record"])
    if info.status == "fail":
        raise BackupFailedError("The backup failed on the server: see its log there.")
    return StepReply(
        has_run=info.status != "complete",
        backupid=held.checkpoint["backupid"],
        backup_id=info.id,
        profile=info.profile_id,
        archive=info.archivename,
    )


def _step(held: HeldRun, client: Client, loop: BackupLoop) -> StepReply:
    """One step; where the last one was not answered, as far as the record says."""
    held.check()
    try:
        return client.advance(loop)
    except ProtocolError:
        # A backup whose last answer was lost is complete, and not known to be stepped any more.
        reply = _reply_of(held, client)
        if reply.has_run:
            raise
        loop.last = reply
        return reply


def _note(held: HeldRun, reply: StepReply, warnings: Warnings) -> None:
    for warning in reply.warnings[:_MOST_WARNINGS_OF_A_STEP]:
        warnings.add(plain_text(warning, _LONGEST_WARNING))
    warnings.flush(at_most_every=2.0)
    step = plain_text(f"{reply.domain}: {reply.step}" if reply.step else reply.domain)
    done = max(0, min(100, reply.progress)) / 100
    held.show(Progress("Packing", step, plain_text(reply.substep), fraction=done * _SHARE))


def _finished(held: HeldRun, client: Client) -> BackupInfo:
    """The record of a backup whose last step is done; a server may be a moment late to write it."""
    for _ in range(_FINISHING_LOOKS):
        info = held.patiently(lambda: client.get_backup_info(held.checkpoint["record"]))
        if info.status == "complete":
            return info
        if info.status == "fail":
            raise BackupFailedError("The backup failed on the server: see its log there.")
        held.wait(_FINISHING_PAUSE)
    raise ProtocolError("The server says that the backup has ended, and its record that it runs: look at it there.")
