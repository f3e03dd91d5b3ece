"""Starting and stepping a backup where an answer may be lost, so that no backup is taken twice or abandoned.

A ``startBackup`` whose answer was lost may have reached the server. The client therefore marks the comment of each
backup it starts, and looks for that mark in ``listBackups`` (api-methods.md 3: records carry comment and backupid).
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from backstay.api.replies import BackupRecord, RawRecord, StepReply
from backstay.api.status import Status
from backstay.client.calls.backups import get_backup_info, list_backups
from backstay.client.flows import (
    Flow,
    LostAnswerError,
    Pause,
    Session,
    answered,
    call_flow,
    prove_flow,
    reply_of_answer,
)
from backstay.client.messages import Call
from backstay.errors import BackstayError, ConnectionFailedError, ProtocolError, RemoteError

FIRST_LEVEL: Final = 340
"""API level from which on records hold the backupid."""
LOOKS: Final = 20
LOOK_PAUSE: float = 3.0
"""Seconds between two looks: a start that is not found within a minute did not reach the server."""
_RECORDS = 50


def new_mark() -> str:
    """A mark for the comment of a backup, by which it is found again."""
    return f"[backstay {secrets.token_hex(8)}]"


def start_flow(session: Session, call: Call[StepReply], mark: str = "", looks: int = 0) -> Flow[StepReply]:
    """Starts a backup once, whatever becomes of the answer.

    Args:
        session: of the client.
        call: a ``startBackup``; the mark is added to its comment.
        mark: as ``new_mark`` makes it; empty: one is made.
        looks: how often the mark is looked for before the start is sent, because somebody may have sent it before; 0:
            nobody has.

    Returns:
        The server's reply, or one made from the record that the lost call left.

    Raises:
        BackstayError: as for ``call_flow``; after a lost answer only where the record cannot be looked for, or where
            a second start was lost as well.
    """
    mark = mark or new_mark()
    marked = Call(call.method, {**call.data, "comment": _with_mark(call.data.get("comment"), mark)})
    if looks and (record := (yield from _earlier(session, mark, looks))) is not None:
        return reply_of_record(record)
    try:
        return (yield from _start_once(session, marked))
    except LostAnswerError as lost:
        record = yield from _find(session, mark, lost)
    if record is not None:
        return reply_of_record(record)
    try:
        return (yield from _start_once(session, marked))
    except LostAnswerError as lost:
        record = yield from _find(session, mark, lost)
        if record is None:
            raise lost.error from None
    except RemoteError as error:  # the first start may have arrived late, and be why the second is refused
        record = yield from _look(session, mark)
        if record is None:
            raise error from None
    return reply_of_record(record)


def step_flow(session: Session, call: Call[StepReply], record: int) -> Flow[StepReply]:
    """Steps a backup.

    The last answer may be lost: servers do not know the backup any more when the step is repeated, so the record is
    asked whether it is complete.

    Args:
        session: of the client.
        call: a ``stepBackup``.
        record: number of the record; 0: not known.
    """
    answer, tries = yield from answered(session, call)
    if answer.status == Status.ERROR and tries > 1 and record:
        try:
            info = yield from call_flow(session, get_backup_info(record))
        except BackstayError:
            return reply_of_answer(session, call, answer)
        if info.status == "complete":
            return reply_of_record(info)
    return reply_of_answer(session, call, answer)


def reply_of_record(record: RawRecord) -> StepReply:
    """What a step of a backup would say, as far as its record says."""
    return StepReply(
        has_run=record.status == "run",
        domain="finale" if record.status == "complete" else "init",
        error="The server's record says that it failed: see its log." if record.status == "fail" else "",
        archive=record.archivename,
        tag=record.tag or "json",
        progress=100 if record.status == "complete" else 0,
        backupid=record.backupid or None,
        step_state={"complete": "finished", "fail": "error"}.get(record.status, "running"),
        backup_id=record.id,
        profile=record.profile_id,
    )


def _with_mark(comment: Any, mark: str) -> str:
    return f"{comment}\n{mark}" if comment else mark


def _start_once(session: Session, call: Call[StepReply]) -> Flow[StepReply]:
    answer, _tries = yield from answered(session, call)
    return reply_of_answer(session, call, answer)


def _earlier(session: Session, mark: str, looks: int) -> Flow[BackupRecord | None]:
    """The record of a start that somebody else may have sent."""
    if not session.proven:
        yield from prove_flow(session)
    what = ProtocolError(
        "A backup may have been started on the server, which does not say which: look at its list of backups."
    )
    return (yield from _find(session, mark, LostAnswerError(what), looks))


def _find(session: Session, mark: str, lost: LostAnswerError, looks: int = LOOKS) -> Flow[BackupRecord | None]:
    """The record with a mark; None where the server's list, after all looks, does not have it."""
    if session.level < FIRST_LEVEL:
        raise lost.error from None
    unreachable = True
    for number in range(looks):
        if number:
            yield Pause(LOOK_PAUSE)
        try:
            record = yield from _look(session, mark)
        except (ConnectionFailedError, ProtocolError):
            unreachable = True
            continue
        except BackstayError:  # refused, to a token without the right to read for example
            raise lost.error from None
        if record is not None:
            return record
        unreachable = False
    if unreachable:
        raise lost.error from None
    return None


def _look(session: Session, mark: str) -> Flow[BackupRecord | None]:
    records = yield from call_flow(session, list_backups(0, _RECORDS))
    return next((record for record in records if mark in record.comment), None)
