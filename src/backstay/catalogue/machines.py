"""The machines that share a catalogue, and the leases of their workers; empty where a home has one of its own.

A lease is a row with a heartbeat. All moments in it are of the database's clock, so that those of the machines may
differ. Who has not renewed its lease for ``LEASE_SECONDS`` may lose it to any other, and never gets it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, delete, func, insert, literal_column, select, update

from backstay.catalogue.schema import machines, workers
from backstay.errors import ConfigurationError

LEASE_SECONDS = 30.0
"""For so long a lease holds after it was renewed."""

_NOW: Any = literal_column("(clock_timestamp() AT TIME ZONE 'UTC')")
_AGE: Any = func.extract("epoch", literal_column("clock_timestamp() AT TIME ZONE 'UTC' - heartbeat"))


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that does what is scheduled.

    Attributes:
        id: number of its lease; none is given twice.
        machine: name of the machine on which it runs.
        since: moment it took the lease.
        age: seconds since it last renewed it.
    """

    id: int
    machine: str
    since: datetime
    age: float

    @property
    def lives(self) -> bool:
        """Whether its lease holds."""
        return self.age < LEASE_SECONDS


class MachineTable:
    """Knows the machines by their names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def knows(self, name: str, home: str) -> bool:
        """Return whether a home has used the catalogue before under a name.

        Args:
            name: of the machine.
            home: a word that no other home has.

        Raises:
            ConfigurationError: the name is another home's.
        """
        with self._engine.connect() as connection:
            known = connection.execute(select(machines.c.home).where(machines.c.name == name)).scalar_one_or_none()
        if known not in (None, home):
            raise ConfigurationError(
                f"Another home over this catalogue is named {name}: give this one another name, with worker.name in "
                "backstay.toml or BACKSTAY_WORKER__NAME."
            )
        return known is not None

    def register(self, name: str, home: str) -> None:
        """Note which home a name stands for; see ``knows``.

        Raises:
            ConfigurationError: the name is another home's.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(machines.c.name).where(machines.c.name == name)).first() is None:
                values = {"name": name, "home": home, "since": datetime.now(UTC)}
                connection.execute(insert(machines).values(values))
        self.knows(name, home)

    def names(self) -> list[str]:
        """Return the names of all machines that ever used the catalogue."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(machines.c.name).order_by(machines.c.name)).scalars())


class WorkerTable:
    """Gives leases to workers, and takes them from the dead."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True, beside=True)

    def join(self, machine: str) -> int:
        """Take a lease; return its number."""
        values = {"machine": machine, "since": _NOW, "heartbeat": _NOW}
        with self._writer.begin() as connection:
            number: int = connection.execute(insert(workers).values(values).returning(workers.c.id)).scalar_one()
        return number

    def renew(self, number: int) -> bool:
        """Renew a lease; return False where it was lost."""
        query = update(workers).where(workers.c.id == number).values(heartbeat=_NOW)
        with self._writer.begin() as connection:
            return connection.execute(query).rowcount > 0

    def leave(self, number: int) -> None:
        """Give a lease back."""
        with self._writer.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == number))

    def expel(self) -> list[Worker]:
        """Take the leases of all that have not renewed them in time; return whose."""
        query = delete(workers).where(_AGE >= LEASE_SECONDS).returning(*_COLUMNS)
        with self._writer.begin() as connection:
            return [Worker(*row) for row in connection.execute(query)]

    def all(self) -> list[Worker]:
        """Return all leases by number, those too that could be taken."""
        with self._engine.connect() as connection:
            return [Worker(*row) for row in connection.execute(select(*_COLUMNS).order_by(workers.c.id))]


_COLUMNS = (workers.c.id, workers.c.machine, workers.c.since, func.greatest(0.0, _AGE).label("age"))
