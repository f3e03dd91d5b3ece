"""Moving a site from another server: a fresh backup there; the rest is a restore."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backstay.errors import BackupFailedError

if TYPE_CHECKING:
    from backstay.api.replies import StepReply
    from backstay.client import Client


def backup_remotely(client: Client, profile: int, description: str, on_step: Callable[[StepReply], None]) -> int:
    """Take a fresh backup on a server of the API and wait for its end.

    Args:
        client: of the server.
        profile: number of the profile there.
        description: title of the record.
        on_step: called with every reply.

    Returns:
        Number of the record there.

    Raises:
        BackupFailedError: the backup failed.
        BackstayError: the server could not be reached, or refused.
    """
    last: StepReply | None = None
    for last in client.backup(profile, description):
        on_step(last)
    if last is None or not last.backup_id:
        raise BackupFailedError("The server did not say which backup it took: look at its list of backups.")
    return last.backup_id
