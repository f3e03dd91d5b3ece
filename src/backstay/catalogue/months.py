"""What was done for the sites of a group in a span of time: for a report, read with a query for each kind of thing."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, or_, select

from backstay.catalogue.activity import proofs_between, stored_bytes
from backstay.catalogue.schema import alarms, backups, sites


class EndedBackup(NamedTuple):
    """A backup that ended: of which profile, when, whether it is complete, and bytes of its archive."""

    profile_id: int
    ended: datetime
    good: bool
    size: int


class EndedProof(NamedTuple):
    """A drill or verification: of which profile, which of the two, whether it passed."""

    profile_id: int
    what: Literal["drill", "verify"]
    passed: bool


class PastAlarm(NamedTuple):
    """An alarm about a profile; ``closed`` is None where it is open."""

    profile_id: int
    kind: str
    opened: datetime
    closed: datetime | None
    message: str


class MonthTable:
    """Reads what was done; each method takes the number of a group, or None for the sites of all."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def backups(self, since: datetime, until: datetime, group_id: int | None = None) -> list[EndedBackup]:
        """Return the backups that ended from a moment on until another."""
        columns = (backups.c.profile_id, backups.c.backupend, backups.c.status == "complete", backups.c.total_size)
        query = select(*columns).where(
            backups.c.profile_id.in_(_profiles(group_id)),
            backups.c.status.in_(("complete", "fail")),
            backups.c.backupend >= since,
            backups.c.backupend < until,
        )
        with self._engine.connect() as connection:
            return [EndedBackup(row[0], row[1], bool(row[2]), row[3]) for row in connection.execute(query)]

    def proofs(self, since: datetime, until: datetime, group_id: int | None = None) -> list[EndedProof]:
        """Return the proofs that were made from a moment on until another, the latest of each backup and place."""
        with self._engine.connect() as connection:
            return [EndedProof(*one) for one in proofs_between(connection, since, until, _of(group_id))]

    def alarms(self, since: datetime, until: datetime, group_id: int | None = None) -> list[PastAlarm]:
        """Return the alarms that were open at any moment from one on until another, the oldest first."""
        columns = (alarms.c.profile_id, alarms.c.kind, alarms.c.opened, alarms.c.closed, alarms.c.message)
        query = select(*columns).where(
            alarms.c.profile_id.in_(_profiles(group_id)),
            alarms.c.opened < until,
            or_(alarms.c.closed.is_(None), alarms.c.closed >= since),
        )
        with self._engine.connect() as connection:
            return [PastAlarm._make(row) for row in connection.execute(query.order_by(alarms.c.opened, alarms.c.id))]

    def stored(self, group_id: int | None = None) -> list[tuple[int, str, int]]:
        """Return profile, place and bytes of what is kept now; the place is empty for this machine."""
        with self._engine.connect() as connection:
            return stored_bytes(connection, _of(group_id))


def _profiles(group_id: int | None) -> Select[tuple[int]]:
    query = select(sites.c.profile_id)
    return query if group_id is None else query.where(sites.c.group_id == group_id)


def _of(group_id: int | None) -> ColumnElement[bool]:
    return backups.c.profile_id.in_(_profiles(group_id))
