"""Jobs: backups that are being taken, with the checkpoint from which each can be resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, func, select, update

from backstay.catalogue.schema import backups, jobs
from backstay.catalogue.vault import Vault

NEW_JOB: dict[str, Any] = {
    "attempts": 0,
    "step_number": 0,
    "warnings_reported": 0,
    "warnings_sent": 0,
    "domain_reported": "",
    "paused": False,
}
"""Columns of a job that is about to begin, besides its record and plan."""


@dataclass(frozen=True, slots=True)
class Job:
    """One backup that is being taken, or whose last words a client has yet to hear.

    Attributes:
        backup_id: number of its record.
        plan: settings, filters and names as they were when the backup began, plain JSON; holds secrets.
        checkpoint: where to go on after a death, plain JSON; None before the first.
        attempts: how often a process took it up.
        step_number: replies given to the client.
        warnings_sent: number of the last warning in the latest reply.
        warnings_reported: number of the last warning in a reply that the client is known to have: the one before.
        domain_reported: the domain of the latest reply.
        paused: a person stopped it, and only a person resumes it.
    """

    backup_id: int
    plan: dict[str, Any] = field(repr=False)
    checkpoint: dict[str, Any] | None
    attempts: int
    step_number: int
    warnings_reported: int
    warnings_sent: int
    domain_reported: str
    paused: bool


class JobTable:
    """Reads and writes jobs; their plans are kept encrypted and go with the end of the job."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True, beside=True)
        self._vault = vault

    def encrypted(self, plan: dict[str, Any]) -> bytes:
        """Return a plan encrypted, as ``BackupTable.create`` stores it."""
        return self._vault.encrypt(json.dumps(plan))

    def get(self, backup_id: int) -> Job | None:
        """Return the job of a record, or None."""
        query = select(*(column.label(column.key) for column in jobs.c)).where(jobs.c.backup_id == backup_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        values = row._asdict()
        encrypted = values.pop("plan")
        return Job(plan=json.loads(self._vault.decrypt(encrypted)) if encrypted else {}, **values)

    def update(self, backup_id: int, **values: Any) -> None:
        """Change columns of a job (not its plan), on disk when the call returns."""
        with self._writer.begin() as connection:
            connection.execute(update(jobs).where(jobs.c.backup_id == backup_id).values(**values))

    def wipe(self, backup_id: int) -> None:
        """Forget the plan and checkpoint of a job that has ended, and with them its secrets."""
        self.update(backup_id, plan=b"", checkpoint=None)

    def paused(self) -> set[int]:
        """Return the records of jobs that a person stopped and nobody resumed yet."""
        query = select(jobs.c.backup_id).join(backups, backups.c.id == jobs.c.backup_id)
        with self._engine.connect() as connection:
            return set(connection.execute(query.where(backups.c.status == "run", jobs.c.paused)).scalars())

    def ended(self, machine: str) -> list[int]:
        """Return the records of jobs of a machine that have ended and have a plan: their processes died at the end."""
        query = select(jobs.c.backup_id).join(backups, backups.c.id == jobs.c.backup_id)
        query = query.where(backups.c.status != "run", backups.c.machine == machine, func.length(jobs.c.plan) > 0)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())
