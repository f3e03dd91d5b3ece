"""Observations: what was seen outside the catalogue, at storages and on disks, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, and_, delete, insert, select, update

from backstay.catalogue.schema import backups, observations

What = Literal["storage", "disk", "files", "repository"]
_ROUND = "round"
_KEPT = timedelta(days=1)
_BY_THEMSELVES = (_ROUND, "repository")
"""What is not seen on a look around: a repository is proven by a task, which notes what it has found."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing as it was seen last.

    Attributes:
        what: the kind of thing.
        subject: name of a storage or of a repository; path of a folder, with the name of its machine and a colon before
            it where several share the catalogue; number of a backup.
        at: moment it was looked at.
        since: moment from which on it has been so.
        problem: what is wrong, in one word; empty: nothing.
        details: more of it, plain JSON.
    """

    what: What
    subject: str
    at: datetime
    since: datetime
    problem: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS = [observations.c[item.name] for item in fields(Observation)]


class ObservationTable:
    """Reads and writes observations."""

    def __init__(self, engine: Engine, machine: str = "") -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._machine = machine

    def begin_round(self, now: datetime, interval: timedelta) -> bool:
        """Note that this machine looks at everything now, unless it did within the interval; return whether."""
        mine = and_(observations.c.what == _ROUND, observations.c.subject == self._machine)
        with self._writer.begin() as connection:
            query = select(observations.c.at).where(mine)
            last = connection.execute(query).scalar_one_or_none()
            # A moment in the future was noted before the clock was set back.
            if last is not None and now - interval < last <= now:
                return False
            values = {"at": now, "since": now, "problem": "", "details": {}}
            if last is None:
                connection.execute(insert(observations).values(what=_ROUND, subject=self._machine, **values))
            else:
                connection.execute(update(observations).where(mine).values(values))
        return True

    def replace(self, seen: Iterable[Observation]) -> None:
        """Keep what this machine saw in place of what it saw before; a problem that was there then began then.

        What other machines saw of their disks and archives stays for a day.
        """
        seen = list(seen)
        with self._writer.begin() as connection:
            before = connection.execute(select(*_COLUMNS).where(observations.c.what.not_in(_BY_THEMSELVES))).all()
            begun = {(row.what, row.subject, row.problem): row.since for row in before}
            others = self._of_others(connection) if self._machine else set[int]()
            for row in before:
                if not (self._is_of_other(row, others) and all(one.at - row.at < _KEPT for one in seen)):
                    which = (observations.c.what == row.what, observations.c.subject == row.subject)
                    connection.execute(delete(observations).where(*which))
            rows = [
                {
                    "what": one.what,
                    "subject": one.subject,
                    "at": one.at,
                    "since": begun.get((one.what, one.subject, one.problem), one.since),
                    "problem": one.problem,
                    "details": dict(one.details),
                }
                for one in seen
            ]
            if rows:
                connection.execute(insert(observations), rows)

    def claim(self, what: What, subject: str, now: datetime, interval: timedelta) -> bool:
        """Note that something is looked at now, unless that was done within the interval; return whether.

        Of several processes that ask at once one is told to look. What was seen before stays.
        """
        mine = and_(observations.c.what == what, observations.c.subject == subject)
        with self._writer.begin() as connection:
            last = connection.execute(select(observations.c.at).where(mine)).scalar_one_or_none()
            if last is not None and now - interval < last <= now:
                return False
            if last is None:
                values = {"at": now, "since": now, "problem": "", "details": {}}
                connection.execute(insert(observations).values(what=what, subject=subject, **values))
            else:
                connection.execute(update(observations).where(mine).values(at=now))
        return True

    def find(self, what: What, subject: str) -> Observation | None:
        """Return one thing as it was seen last; None where it never was."""
        mine = and_(observations.c.what == what, observations.c.subject == subject)
        with self._engine.connect() as connection:
            row = connection.execute(select(*_COLUMNS).where(mine)).one_or_none()
        return Observation(**row._asdict()) if row is not None else None

    def note(self, seen: Observation) -> None:
        """Keep what was seen of one thing in place of what was seen before; a problem that was there began then."""
        mine = and_(observations.c.what == seen.what, observations.c.subject == seen.subject)
        with self._writer.begin() as connection:
            before = connection.execute(select(observations.c.problem, observations.c.since).where(mine)).one_or_none()
            since = before.since if before is not None and before.problem == seen.problem else seen.since
            connection.execute(delete(observations).where(mine))
            values = {"at": seen.at, "since": since, "problem": seen.problem, "details": dict(seen.details)}
            connection.execute(insert(observations).values(what=seen.what, subject=seen.subject, **values))

    def _of_others(self, connection: Connection) -> set[int]:
        """Return the numbers of the backups whose files are looked at by another machine."""
        looked_at = connection.execute(select(observations.c.subject).where(observations.c.what == "files")).scalars()
        query = select(backups.c.id).where(backups.c.id.in_([int(one) for one in looked_at]))
        return set(connection.execute(query.where(backups.c.machine != self._machine)).scalars())

    def _is_of_other(self, row: Row[Any], others: set[int]) -> bool:
        if not self._machine:
            return False
        if row.what == "files":
            return int(row.subject) in others
        return row.what == "disk" and not row.subject.startswith(f"{self._machine}:")

    def all(self) -> list[Observation]:
        """Return everything as it was seen last."""
        query = select(*_COLUMNS).where(observations.c.what != _ROUND).order_by(observations.c.subject)
        with self._engine.connect() as connection:
            return [Observation(**row._asdict()) for row in connection.execute(query)]
