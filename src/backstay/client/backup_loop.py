"""The rule by which a backup is stepped to its end (api-methods.md 2, loop rule)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backstay.api.replies import StepReply
from backstay.client.calls.backups import step_backup
from backstay.client.messages import Call
from backstay.errors import BackstayError, BackupFailedError, RemoteError

LONGEST_SLEEP = 60.0
_FAILED = re.compile(r"backup error ha[sd] occurred: (.*?)(?: \(status \d+\))?$", re.IGNORECASE)


@dataclass(slots=True)
class BackupLoop:
    """What a client remembers between the steps of one backup.

    Attributes:
        backupid: identifier for the next step, as the latest reply told it.
        record: number of the record; servers may tell it in the first reply only.
    """

    backupid: str | None = None
    record: int = 0

    def take(self, reply: StepReply) -> StepReply:
        """Remembers a reply.

        Returns:
            The reply, with the record's number in it even where the server told it only once.

        Raises:
            BackupFailedError: the reply carries an error.
        """
        self.backupid = reply.backupid or self.backupid
        self.record = reply.backup_id or self.record
        if reply.error:
            raise BackupFailedError(f"The backup failed on the server: {' '.join(reply.error.split())}")
        return reply.model_copy(update={"backup_id": self.record, "backupid": self.backupid})

    def failed(self, error: RemoteError) -> BackstayError:
        """The error of a call as what it means: a failed backup, where the server's message says so."""
        told = _FAILED.search(str(error))
        if told is None:
            return error
        return BackupFailedError(f"The backup failed on the server: {told[1]}")

    def next_call(self) -> Call[StepReply]:
        """The step to ask for next."""
        return step_backup(self.backupid)

    @staticmethod
    def pause(reply: StepReply) -> float:
        """Seconds to wait before the next step."""
        return max(0.0, min(reply.sleep_time / 1000, LONGEST_SLEEP))
