"""Verdicts: how the last drill and the last verification of each backup ended, here and at each storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, and_, delete, func, insert, select

from backstay.catalogue.schema import backups, verdicts

Proof = Literal["drill", "verify"]
Outcome = Literal["passed", "failed", "impossible"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a proof of a backup ended.

    Attributes:
        backup_id: number of the backup's record.
        what: a drill, or a verification.
        storage: name of the storage whose copy was read; empty: the files here.
        at: moment of its end.
        verdict: ``impossible`` where the proof could not be made and nothing is known.
        problem: what is wrong, in a sentence; empty where it passed.
    """

    backup_id: int
    what: Proof
    storage: str
    at: datetime
    verdict: Outcome
    problem: str = ""


class VerdictTable:
    """Reads and writes verdicts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def note(self, verdict: Verdict) -> None:
        """Keep a verdict in place of the one before; one of a backup that was deleted meanwhile is not kept."""
        same = and_(
            verdicts.c.backup_id == verdict.backup_id,
            verdicts.c.what == verdict.what,
            verdicts.c.storage == verdict.storage,
        )
        with self._writer.begin() as connection:
            connection.execute(delete(verdicts).where(same))
            if connection.execute(select(backups.c.id).where(backups.c.id == verdict.backup_id)).first() is None:
                return
            connection.execute(
                insert(verdicts).values(
                    backup_id=verdict.backup_id,
                    what=verdict.what,
                    storage=verdict.storage,
                    at=verdict.at,
                    verdict=verdict.verdict,
                    problem=verdict.problem,
                )
            )

    def of(self, backup_id: int) -> list[Verdict]:
        """Return the verdicts of a backup, oldest first."""
        query = select(verdicts).where(verdicts.c.backup_id == backup_id).order_by(verdicts.c.at)
        with self._engine.connect() as connection:
            return [Verdict(**row._asdict()) for row in connection.execute(query)]

    def unproven(self) -> list[tuple[int, Verdict]]:
        """Return the verdicts that are not ``passed``, with the numbers of the profiles, newest first.

        Of those that were impossible only the last proof of its kind of a profile is told.
        """
        newest = (
            select(backups.c.profile_id, verdicts.c.what, func.max(verdicts.c.at).label("at"))
            .join(backups, backups.c.id == verdicts.c.backup_id)
            .group_by(backups.c.profile_id, verdicts.c.what)
            .subquery()
        )
        query = (
            select(backups.c.profile_id, verdicts, newest.c.at.label("last"))
            .join(backups, backups.c.id == verdicts.c.backup_id)
            .join(newest, and_(newest.c.profile_id == backups.c.profile_id, newest.c.what == verdicts.c.what))
            .where(verdicts.c.verdict != "passed", backups.c.status == "complete")
            .order_by(verdicts.c.at.desc(), verdicts.c.backup_id.desc())
        )
        with self._engine.connect() as connection:
            return [
                (row.profile_id, Verdict(row.backup_id, row.what, row.storage, row.at, row.verdict, row.problem))
                for row in connection.execute(query)
                if row.verdict == "failed" or row.at == row.last
            ]
