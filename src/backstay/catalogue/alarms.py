"""Alarms: what is wrong, since when, and whether a person has seen it. Each is kept after it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, update

from backstay.catalogue.schema import alarms
from backstay.errors import NotFoundError, UsageError

Change = Literal["opened", "worsened", "closed"]
State = Literal["open", "acknowledged", "closed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong at this moment.

    Attributes:
        kind: which rule found it.
        subject: what it is about; for each kind and subject one alarm is open at most.
        message: one sentence that says what is wrong.
        advice: one sentence that says what to do.
        since: moment it began, as far as it is known.
        profile_id: of the profile it is about; None: it is about more than one.
        backup_id: of the backup it is about; None: it is about no certain one.
        aspects: names of what is wrong in particular; one more of them makes an alarm worse.
    """

    kind: str
    subject: str
    message: str
    advice: str
    since: datetime
    profile_id: int | None = None
    backup_id: int | None = None
    aspects: tuple[str, ...] = ()

    def details(self, worsened: int = 0) -> dict[str, Any]:
        """Return what of it is kept as JSON."""
        return {"aspects": list(self.aspects), "worsened": worsened}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        id: its number.
        kind, subject, message, advice, profile_id, backup_id: as in ``Finding``, as they were found last.
        since: moment the cause began.
        opened: moment it was noticed.
        acknowledged: moment a person said to know of it; None: nobody did, or it has become worse since.
        closed: moment it was found to be gone; None: it is there.
        details: its aspects, and how often it became worse, plain JSON.
    """

    id: int
    kind: str
    subject: str
    profile_id: int | None
    backup_id: int | None
    since: datetime
    opened: datetime
    acknowledged: datetime | None
    closed: datetime | None
    message: str
    advice: str
    details: dict[str, Any]

    @property
    def state(self) -> State:
        """``open``; ``acknowledged`` where a person knows of it; ``closed`` where its cause is gone."""
        if self.closed is not None:
            return "closed"
        return "open" if self.acknowledged is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """A change of an alarm that nobody was notified of yet.

    Attributes:
        change: what happened to it.
        alarm: as it is now.
    """

    change: Change
    alarm: Alarm

    @property
    def key(self) -> str:
        """Name of the change that no other has."""
        count = f"-{self.alarm.details.get('worsened', 0)}" if self.change == "worsened" else ""
        return f"alarm:{self.alarm.id}:{self.change}{count}"


_COLUMNS = [alarms.c[item.name] for item in fields(Alarm)]


class AlarmTable:
    """Reads and writes alarms."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def get(self, alarm_id: int) -> Alarm:
        """Return an alarm by its number.

        Raises:
            NotFoundError: there is none with this number.
        """
        found = self._found(alarms.c.id == alarm_id)
        if not found:
            raise NotFoundError(f"There is no alarm {alarm_id}: see them with 'backstay alarms --all'.")
        return found[0]

    def of(self, *, profile_id: int | None = None, closed: bool = False) -> list[Alarm]:
        """Return alarms, newest first.

        Args:
            profile_id: only those of this profile.
            closed: those that are closed too.
        """
        conditions: list[Any] = [] if closed else [alarms.c.closed.is_(None)]
        if profile_id is not None:
            conditions.append(alarms.c.profile_id == profile_id)
        return self._found(*conditions)

    def newest(self, offset: int = 0, limit: int = 50, *, state: State, profile_id: int | None = None) -> list[Alarm]:
        """Return the alarms in a state, newest first.

        Args:
            offset: how many of the newest to pass over.
            limit: how many to return at most.
            state: ``open`` are those that nobody acknowledged.
            profile_id: only those of this profile.
        """
        query = select(*_COLUMNS).where(*_in_state(state)).order_by(alarms.c.id.desc()).offset(offset).limit(limit)
        if profile_id is not None:
            query = query.where(alarms.c.profile_id == profile_id)
        with self._engine.connect() as connection:
            return [Alarm(**row._asdict()) for row in connection.execute(query)]

    def count(self, state: State) -> int:
        """Return the number of alarms in a state."""
        query = select(func.count()).select_from(alarms).where(*_in_state(state))
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()

    def reconcile(self, findings: Iterable[Finding], now: datetime) -> None:
        """Open an alarm for each finding that has none, bring the others up to date, and close those without one.

        All of it happens in one transaction; what changed is among ``untold`` from then on.

        Args:
            findings: everything that is wrong.
            now: this moment.
        """
        with self._writer.begin() as connection:
            query = select(alarms).where(alarms.c.closed.is_(None))
            known = {(row.kind, row.subject): row for row in connection.execute(query)}
            for key, finding in {(one.kind, one.subject): one for one in findings}.items():
                row = known.pop(key, None)
                if row is None:
                    _open(connection, finding, now)
                else:
                    _renew(connection, row, finding)
            gone = [row.id for row in known.values()]
            if gone:
                _close(connection, alarms.c.id.in_(gone), now, untold="closed")

    def acknowledge(self, alarm_id: int, now: datetime) -> Alarm:
        """Note that a person knows of an alarm; return it.

        Raises:
            NotFoundError: there is none with this number.
            UsageError: it is closed.
        """
        with self._writer.begin() as connection:
            query = update(alarms).where(
                alarms.c.id == alarm_id, alarms.c.closed.is_(None), alarms.c.acknowledged.is_(None)
            )
            connection.execute(query.values(acknowledged=now))
        alarm = self.get(alarm_id)
        if alarm.closed is not None:
            raise UsageError(f"Alarm {alarm_id} is closed: its cause is gone, and there is nothing to acknowledge.")
        return alarm

    def untold(self) -> list[AlarmChange]:
        """Return the latest change of each alarm that nobody was notified of, in the order of the alarms."""
        query = select(*_COLUMNS, alarms.c.untold).where(alarms.c.untold != "").order_by(alarms.c.id)
        with self._engine.connect() as connection:
            return [AlarmChange(row.untold, Alarm(*row[:-1])) for row in connection.execute(query)]

    def tell(self, changes: Iterable[AlarmChange]) -> None:
        """Note that recipients were notified of changes; not of what came after one of them."""
        with self._writer.begin() as connection:
            for one in changes:
                same = (alarms.c.id == one.alarm.id, alarms.c.untold == one.change)
                connection.execute(update(alarms).where(*same).values(untold=""))

    def _found(self, *conditions: Any) -> list[Alarm]:
        query = select(*_COLUMNS).where(*conditions).order_by(alarms.c.id.desc())
        with self._engine.connect() as connection:
            return [Alarm(**row._asdict()) for row in connection.execute(query)]


def _in_state(state: State) -> tuple[ColumnElement[bool], ...]:
    if state == "closed":
        return (alarms.c.closed.is_not(None),)
    seen = alarms.c.acknowledged.is_(None) if state == "open" else alarms.c.acknowledged.is_not(None)
    return (alarms.c.closed.is_(None), seen)


def close_of_profile(connection: Connection, profile_id: int, now: datetime) -> None:
    """Close the alarms of a profile that is being removed; nobody is notified, for nothing has become well."""
    _close(connection, alarms.c.profile_id == profile_id, now, untold="")


def _close(connection: Connection, which: Any, now: datetime, *, untold: str) -> None:
    connection.execute(update(alarms).where(which, alarms.c.closed.is_(None)).values(closed=now, untold=untold))


def _open(connection: Connection, finding: Finding, now: datetime) -> None:
    connection.execute(
        insert(alarms).values(
            kind=finding.kind,
            subject=finding.subject,
            since=finding.since,
            opened=now,
            details=finding.details(),
            untold="opened",
            **_columns(finding),
        )
    )


def _renew(connection: Connection, row: Row[Any], finding: Finding) -> None:
    worse = set(finding.aspects) - set(row.details.get("aspects", ()))
    worsened = int(row.details.get("worsened", 0)) + bool(worse)
    values: dict[str, Any] = {**_columns(finding), "details": finding.details(worsened)}
    if worse:
        # Whoever acknowledged it knew of less.
        values |= {"acknowledged": None, "untold": row.untold or "worsened"}
    if any(getattr(row, name) != value for name, value in values.items()):
        connection.execute(update(alarms).where(alarms.c.id == row.id).values(values))


def _columns(finding: Finding) -> dict[str, Any]:
    return {
        "profile_id": finding.profile_id,
        "backup_id": finding.backup_id,
        "message": finding.message,
        "advice": finding.advice,
    }
