"""Figures of the whole catalogue for a monitor, counted by the database: their cost hardly grows with the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select

from backstay.catalogue.schema import alarms, backups, copies, deliveries, destinations, profiles, runs, schedules


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The newest complete backup of a profile.

    Attributes:
        started, ended: moments.
        size: of its archive, in bytes.
        warnings: how many it gave.
    """

    started: datetime
    ended: datetime
    size: int
    warnings: int


@dataclass(frozen=True, slots=True)
class ProfileFigures:
    """One profile.

    Attributes:
        id: its number.
        name: its description.
        last_success: None: no backup of it is complete.
        last_failure: moment the newest failed backup ended; None: none failed.
    """

    id: int
    name: str
    last_success: LastBackup | None
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class DestinationFigures:
    """One destination.

    Attributes:
        name: of the destination.
        copies: their number by state.
        last_stored: moment the newest copy had arrived; None: none has.
    """

    name: str
    copies: Mapping[str, int]
    last_stored: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingFigures:
    """What is under way by itself.

    Attributes:
        runs: state, ``waiting`` or ``running`` → runs of schedules.
        oldest_run: when the oldest run that waits was due; None: none waits.
        deliveries: messages that are to be sent, or tried again.
    """

    runs: Mapping[str, int]
    oldest_run: datetime | None
    deliveries: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything at one moment.

    Attributes:
        profiles: those that exist, by number.
        backups: number of records by status.
        unfinished: numbers of the records with status ``run`` that this machine takes, in order.
        destinations: by name.
        schedules: how many are active, and how many are paused.
        runs: number of runs that wait, and of those that run, by state.
        oldest_run: when the oldest run that waits was due; None: none waits.
        alarms: number of open alarms by kind; those that were acknowledged are not among them.
        acknowledged_alarms: number of alarms that were acknowledged and are not closed, by kind.
        deliveries: how many notifications are still to be delivered.
    """

    profiles: Sequence[ProfileFigures]
    backups: Mapping[str, int]
    unfinished: Sequence[int]
    destinations: Sequence[DestinationFigures]
    schedules: tuple[int, int]
    runs: Mapping[str, int]
    oldest_run: datetime | None
    alarms: Mapping[str, int]
    acknowledged_alarms: Mapping[str, int]
    deliveries: int


class FigureTable:
    """Counts what the tables hold."""

    def __init__(self, engine: Engine, machine: str = "") -> None:
        self._engine = engine
        self._machine = machine

    def check(self) -> None:
        """Read a little of the catalogue.

        Raises:
            BackstayError: it cannot be read.
        """
        with self._engine.connect() as connection:
            connection.execute(select(profiles.c.id).limit(1)).first()

    def destinations(self) -> list[DestinationFigures]:
        """Return what lies at each destination, by name."""
        with self._engine.connect() as connection:
            return _destinations(connection)

    def waiting(self) -> WaitingFigures:
        """Return what of the schedules and of the notifications is under way."""
        with self._engine.connect() as connection:
            return _waiting(connection)

    def read(self) -> Figures:
        """Return the figures, all of the same moment."""
        with self._engine.connect() as connection:
            statuses = connection.execute(select(backups.c.status, func.count()).group_by(backups.c.status))
            unfinished = select(backups.c.id).where(backups.c.status == "run", backups.c.machine == self._machine)
            unfinished = unfinished.order_by(backups.c.id)
            waiting = _waiting(connection)
            return Figures(
                profiles=_profiles(connection),
                backups={row[0]: row[1] for row in statuses},
                unfinished=connection.execute(unfinished).scalars().all(),
                destinations=_destinations(connection),
                schedules=_schedules(connection),
                runs=waiting.runs,
                oldest_run=waiting.oldest_run,
                alarms=_alarms(connection, acknowledged=False),
                acknowledged_alarms=_alarms(connection, acknowledged=True),
                deliveries=waiting.deliveries,
            )


def _waiting(connection: Connection) -> WaitingFigures:
    states = (runs.c.state, func.count(), func.min(runs.c.due))
    unended = connection.execute(
        select(*states).where(runs.c.state.in_(("waiting", "running"))).group_by(runs.c.state)
    ).all()
    return WaitingFigures(
        runs={row[0]: row[1] for row in unended},
        oldest_run=next((row[2] for row in unended if row[0] == "waiting"), None),
        deliveries=connection.execute(
            select(func.count()).where(deliveries.c.next_attempt.is_not(None), deliveries.c.delivered.is_(None))
        ).scalar_one(),
    )


def _profiles(connection: Connection) -> list[ProfileFigures]:
    """Return the figures of each profile; an index leads to its newest records, however many there are."""
    of_profile = (backups.c.profile_id == profiles.c.id, backups.c.backupend.is_not(None))
    newest = (
        select(backups.c.id)
        .where(*of_profile, backups.c.status == "complete")
        .order_by(backups.c.backupend.desc(), backups.c.id.desc())
        .limit(1)
        .correlate(profiles)
        .scalar_subquery()
    )
    failure = (
        select(func.max(backups.c.backupend))
        .where(*of_profile, backups.c.status == "fail")
        .correlate(profiles)
        .scalar_subquery()
    )
    last = backups.alias("last")
    values = (last.c.backupstart, last.c.backupend, last.c.total_size, last.c.warning_count)
    query = (
        select(profiles.c.id, profiles.c.description, failure, *values)
        .select_from(profiles.outerjoin(last, last.c.id == newest))
        .order_by(profiles.c.id)
    )
    return [
        ProfileFigures(row[0], row[1], None if row[3] is None else LastBackup(*row[3:]), row[2])
        for row in connection.execute(query)
    ]


def _destinations(connection: Connection) -> list[DestinationFigures]:
    counting = select(copies.c.destination_id, copies.c.state, func.count())
    numbers: dict[int, dict[str, int]] = {}
    for destination, state, number in connection.execute(counting.group_by(copies.c.destination_id, copies.c.state)):
        numbers.setdefault(destination, {})[state] = number
    newest = (
        select(func.max(copies.c.sent_at))
        .where(copies.c.destination_id == destinations.c.id, copies.c.state == "stored")
        .correlate(destinations)
        .scalar_subquery()
    )
    query = select(destinations.c.id, destinations.c.name, newest).order_by(destinations.c.name)
    return [DestinationFigures(row[1], numbers.get(row[0], {}), row[2]) for row in connection.execute(query)]


def _schedules(connection: Connection) -> tuple[int, int]:
    query = select(schedules.c.paused, func.count()).group_by(schedules.c.paused)
    found = {row[0]: row[1] for row in connection.execute(query)}
    return found.get(False, 0), found.get(True, 0)


def _alarms(connection: Connection, *, acknowledged: bool) -> dict[str, int]:
    state = alarms.c.acknowledged.is_not(None) if acknowledged else alarms.c.acknowledged.is_(None)
    query = select(alarms.c.kind, func.count()).where(alarms.c.closed.is_(None), state).group_by(alarms.c.kind)
    return {row[0]: row[1] for row in connection.execute(query)}
