"""Observations: what was seen outside the catalogue, at storages and on disks, and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from backstay.catalogue.schema import observations

What = Literal["storage", "disk", "files"]
_ROUND = "round"


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing as it was seen last.

    Attributes:
        what: the kind of thing.
        subject: name of a storage, path of a folder, number of a backup.
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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def begin_round(self, now: datetime, interval: timedelta) -> bool:
        """Note that somebody looks at everything now, unless somebody did within the interval; return whether."""
        with self._writer.begin() as connection:
            query = select(observations.c.at).where(observations.c.what == _ROUND)
            last = connection.execute(query).scalar_one_or_none()
            # A moment in the future was noted before the clock was set back.
            if last is not None and now - interval < last <= now:
                return False
            values = {"at": now, "since": now, "problem": "", "details": {}}
            if last is None:
                connection.execute(insert(observations).values(what=_ROUND, subject="", **values))
            else:
                connection.execute(update(observations).where(observations.c.what == _ROUND).values(values))
        return True

    def replace(self, seen: Iterable[Observation]) -> None:
        """Keep what was seen in place of all that was seen before; a problem that was there then began then."""
        with self._writer.begin() as connection:
            before = connection.execute(select(*_COLUMNS).where(observations.c.what != _ROUND))
            begun = {(row.what, row.subject, row.problem): row.since for row in before}
            connection.execute(delete(observations).where(observations.c.what != _ROUND))
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

    def all(self) -> list[Observation]:
        """Return everything as it was seen last."""
        query = select(*_COLUMNS).where(observations.c.what != _ROUND).order_by(observations.c.subject)
        with self._engine.connect() as connection:
            return [Observation(**row._asdict()) for row in connection.execute(query)]
