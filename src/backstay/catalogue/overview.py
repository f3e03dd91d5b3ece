"""What an overview of all profiles needs: little of each, read with few queries however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, PoolProxiedConnection, ScalarSelect, func, select, text

from backstay.catalogue.schedules import Times
from backstay.catalogue.schema import alarms, backups, copies, destinations, profiles, runs, schedules


class ProfileLine(NamedTuple):
    """One profile with its newest backups.

    Attributes:
        id: its number.
        name: its description.
        failed: moment its newest failed backup ended; None: none failed.
        backup_id: number of the complete backup that ended last; None: there is none.
        ended: moment of its end.
        size: bytes of its archive.
        here: its archive lies on this machine, as its record says.
    """

    id: int
    name: str
    failed: datetime | None
    backup_id: int | None
    ended: datetime | None
    size: int | None
    here: bool | None


@dataclass(frozen=True, slots=True)
class PastBackup:
    """One ended backup in a profile's history.

    Attributes:
        id: number of its record.
        started, ended: moments.
        good: it is complete.
        size: bytes of its archive; 0 of one that failed.
        here: its archive lies on this machine, as its record says.
        proof: as in ``Backup``.
        error: why it failed.
    """

    id: int
    started: datetime
    ended: datetime
    good: bool
    size: int
    here: bool
    proof: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class PlacedCopy:
    """A whole copy of a backup: number of the backup's record, name of the storage, moment of its last proof."""

    backup_id: int
    place: str
    proven: datetime | None


class OverviewTable:
    """Reads what an overview shows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watching: PoolProxiedConnection | None = None

    def lines(self) -> list[ProfileLine]:
        """Return all profiles by number."""
        last = backups.alias("last")
        failed = _newest("fail", backups.c.backupend)
        columns = (last.c.id, last.c.backupend, last.c.total_size, last.c.filesexist)
        query = (
            select(profiles.c.id, profiles.c.description, failed, *columns)
            .select_from(profiles.outerjoin(last, last.c.id == _newest("complete", backups.c.id)))
            .order_by(profiles.c.id)
        )
        with self._engine.connect() as connection:
            return [ProfileLine(*row) for row in connection.execute(query)]

    def unfinished(self) -> list[tuple[int, int]]:
        """Return profile and number of the backups that have not ended, oldest first."""
        query = select(backups.c.profile_id, backups.c.id).where(backups.c.status == "run").order_by(backups.c.id)
        with self._engine.connect() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def waiting(self) -> set[int]:
        """Return the profiles of which a scheduled backup is due and nobody has begun it."""
        query = select(schedules.c.profile_id).join(runs, runs.c.schedule_id == schedules.c.id)
        with self._engine.connect() as connection:
            found = connection.execute(query.where(runs.c.state == "waiting", schedules.c.what == "backup"))
            return set(found.scalars())

    def open_alarms(self) -> list[tuple[int | None, str, bool]]:
        """Return profile, kind, and whether a person knows of it, of the open alarms; profile None: about none."""
        columns = (alarms.c.profile_id, alarms.c.kind, alarms.c.acknowledged.is_not(None))
        query = select(*columns).where(alarms.c.closed.is_(None)).order_by(alarms.c.id)
        with self._engine.connect() as connection:
            return [(row[0], row[1], bool(row[2])) for row in connection.execute(query)]

    def schedule_counts(self) -> list[tuple[int, bool, int]]:
        """Return profile, whether they are paused, and the number of the schedules that take backups."""
        counting = select(schedules.c.profile_id, schedules.c.paused, func.count()).where(schedules.c.what == "backup")
        with self._engine.connect() as connection:
            rows = connection.execute(counting.group_by(schedules.c.profile_id, schedules.c.paused))
            return [(row[0], bool(row[1]), row[2]) for row in rows]

    def times(self, profile_ids: Sequence[int]) -> list[Times]:
        """Return when the backups of some profiles are due, as ``ScheduleTable.times`` does for all."""
        query = select(*(schedules.c[name] for name in Times._fields)).where(
            ~schedules.c.paused, schedules.c.what == "backup", schedules.c.profile_id.in_(profile_ids)
        )
        with self._engine.connect() as connection:
            return [Times(*row) for row in connection.execute(query)]

    def histories(self, profile_ids: Sequence[int], count: int) -> dict[int, list[PastBackup]]:
        """Return the newest backups that have ended of some profiles, the newest first, by the profile's number."""
        place = func.row_number().over(
            partition_by=backups.c.profile_id, order_by=(backups.c.backupend.desc(), backups.c.id.desc())
        )
        # The index alone says which these are; only then are records read.
        newest = select(backups.c.id, place.label("place")).where(
            backups.c.profile_id.in_(profile_ids),
            backups.c.status.in_(("complete", "fail")),
            backups.c.backupend.is_not(None),
        )
        chosen = newest.subquery()
        columns = [backups.c[name] for name in ("backupstart", "backupend", "status", "total_size", "filesexist")]
        query = (
            select(backups.c.profile_id, backups.c.id, *columns, backups.c.proof, backups.c.error)
            .join(chosen, chosen.c.id == backups.c.id)
            .where(chosen.c.place <= count)
            .order_by(backups.c.backupend.desc(), backups.c.id.desc())
        )
        found: dict[int, list[PastBackup]] = {one: [] for one in profile_ids}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                profile_id, number, started, ended, status, *rest = row
                found[profile_id].append(PastBackup(number, started, ended, status == "complete", *rest))
        return found

    def stored(self, backup_ids: Sequence[int]) -> list[PlacedCopy]:
        """Return the whole copies of some backups, by the name of the storage."""
        query = (
            select(copies.c.state, copies.c.backup_id, destinations.c.name, copies.c.proven_at)
            .join(destinations, destinations.c.id == copies.c.destination_id)
            # The state is not asked for: SQLite would look for its index first, and read every copy there is.
            .where(copies.c.backup_id.in_(backup_ids))
            .order_by(destinations.c.name)
        )
        with self._engine.connect() as connection:
            return [PlacedCopy(*row[1:]) for row in connection.execute(query) if row[0] == "stored"]

    def mark(self) -> object:
        """Return a value that is another one after anybody has changed the catalogue; costs next to nothing.

        SQLite counts changes for each connection (``PRAGMA data_version``), so one is kept for asking. PostgreSQL gives
        every transaction that writes a number, and a snapshot says which of them it sees.
        """
        if self._engine.dialect.name != "sqlite":
            with self._engine.connect() as connection:
                return connection.execute(text("SELECT CAST(pg_current_snapshot() AS text)")).scalar_one()
        if self._watching is None:
            self._watching = self._engine.raw_connection()
        cursor = self._watching.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            return cursor.fetchone()
        finally:
            cursor.close()

    def close(self) -> None:
        """Give back the connection that ``mark`` keeps."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.close()


def _newest(status: str, column: Any) -> ScalarSelect[Any]:
    """Return a column of the backup of a profile that ended last with a status; an index alone finds it."""
    newest = backups.alias("newest")
    return (
        select(newest.c[column.name])
        .where(newest.c.profile_id == profiles.c.id, newest.c.status == status, newest.c.backupend.is_not(None))
        .order_by(newest.c.backupend.desc(), newest.c.id.desc())
        .limit(1)
        .correlate(profiles)
        .scalar_subquery()
    )
