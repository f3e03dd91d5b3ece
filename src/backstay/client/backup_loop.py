"""The rule by which a backup is stepped to its end (api-methods.md 2, loop rule)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backstay.api.replies import StepReply
from backstay.client.calls.backups import step_backup
from backstay.client.flows import Flow, Pause, Session
from backstay.client.messages import Call
from backstay.client.recovery import start_flow, step_flow
from backstay.errors import BackupFailedError, RemoteError

LONGEST_SLEEP = 60.0
_FAILED = re.compile(r"backup error ha[sd] occurred: (.*?)(?: \(status \d+\))?$", re.IGNORECASE)


@dataclass(slots=True)
class BackupLoop:
    """The steps of one backup: ``advance`` for each reply, as long as it ``runs``.

    Attributes:
        session: of the client.
        start: the ``startBackup``.
        last: the latest reply; None before the first. A backup that somebody else began is gone on with from here.
        mark, looks: as for ``start_flow``.
    """

    session: Session
    start: Call[StepReply]
    last: StepReply | None = None
    mark: str = ""
    looks: int = 0

    @property
    def runs(self) -> bool:
        """Whether there is a reply to come."""
        return self.last is None or self.last.has_run

    def advance(self) -> Flow[StepReply]:
        """Starts the backup, or waits as long as the server asked and steps it.

        Returns:
            The reply, with the record's number and the backupid in it even where the server reported them only once.

        Raises:
            BackupFailedError: the server says that the backup failed.
            RemoteError: it answers with another error.
        """
        try:
            reply = yield from self._next()
        except RemoteError as error:
            if failed := _FAILED.search(str(error)):
                raise BackupFailedError(f"The backup failed on the server: {failed[1]}") from None
            raise
        if reply.error:
            raise BackupFailedError(f"The backup failed on the server: {' '.join(reply.error.split())}")
        if (last := self.last) is not None:
            known = {"backup_id": reply.backup_id or last.backup_id, "backupid": reply.backupid or last.backupid}
            reply = reply.model_copy(update=known)
        self.last = reply
        return reply

    def _next(self) -> Flow[StepReply]:
        if (last := self.last) is None:
            return (yield from start_flow(self.session, self.start, self.mark, self.looks))
        yield Pause(max(0.0, min(last.sleep_time / 1000, LONGEST_SLEEP)))
        return (yield from step_flow(self.session, step_backup(last.backupid), last.backup_id))
