"""Named destinations: the places outside this machine that backups are sent to, with the secrets that open them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from backstay.catalogue.schema import copies, destinations
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class DestinationOptions:
    """How a destination is used.

    Attributes:
        bandwidth: bytes a second that are sent at most; 0 is no limit.
        parts_at_once: parts of an archive that are sent at the same time.
        lock_days: days for which what is sent cannot be deleted there (object lock); 0 does not lock.
        read_back: prove each part by reading it back, even where the service computes a checksum.
    """

    bandwidth: int = 0
    parts_at_once: int = 2
    lock_days: int = 0
    read_back: bool = False


@dataclass(frozen=True, slots=True)
class NamedDestination:
    """One destination by its name.

    Attributes:
        id: its number in the catalogue; 0 in one that is not stored yet.
        name: by which profiles and commands know it, unique.
        url: its address, without secrets (``backstay.storage.open_destination``).
        secrets: what opens it, by the names the back end gives them.
        created: moment it was added.
        options: how it is used.
    """

    id: int
    name: str
    url: str
    secrets: Mapping[str, str] = field(repr=False)
    created: datetime
    options: DestinationOptions = field(default_factory=DestinationOptions)


class DestinationTable:
    """Reads and writes destinations; their secrets are kept encrypted."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def all(self) -> list[NamedDestination]:
        """Return all destinations by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(destinations).order_by(destinations.c.name))
            return [self._destination(row) for row in rows]

    def find(self, name: str) -> NamedDestination | None:
        """Return a destination by its name, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(destinations).where(destinations.c.name == name)).one_or_none()
        return None if row is None else self._destination(row)

    def get(self, name: str) -> NamedDestination:
        """Return a destination by its name.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"There is no storage named {name!r}: see them with 'backstay storage list'.")
        return found

    def create(self, destination: NamedDestination) -> NamedDestination:
        """Store a new destination; return it with its number.

        Raises:
            UsageError: the name is taken.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(destinations.c.id).where(destinations.c.name == destination.name)).first():
                raise UsageError(f"There is a storage named {destination.name} already: choose another name.")
            number = connection.execute(
                insert(destinations)
                .values(name=destination.name, created=destination.created, **self._values(destination))
                .returning(destinations.c.id)
            ).scalar_one()
        return replace(destination, id=number)

    def save(self, destination: NamedDestination) -> None:
        """Store the address, secrets and options of a destination that exists already.

        Raises:
            NotFoundError: there is none with this number.
        """
        with self._writer.begin() as connection:
            changed = connection.execute(
                update(destinations).where(destinations.c.id == destination.id).values(**self._values(destination))
            )
            if changed.rowcount == 0:
                raise NotFoundError(f"The storage {destination.name} was removed meanwhile.")

    def delete(self, name: str) -> None:
        """Remove a destination, and what the catalogue knows of copies there; the copies themselves stay.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._writer.begin() as connection:
            number = connection.execute(
                select(destinations.c.id).where(destinations.c.name == name)
            ).scalar_one_or_none()
            if number is None:
                raise NotFoundError(f"There is no storage named {name!r}: see them with 'backstay storage list'.")
            connection.execute(delete(copies).where(copies.c.destination_id == number))
            connection.execute(delete(destinations).where(destinations.c.id == number))

    def _values(self, destination: NamedDestination) -> dict[str, Any]:
        return {
            "url": destination.url,
            "secrets": self._vault.encrypt(json.dumps(dict(destination.secrets))),
            "options": asdict(destination.options),
        }

    def _destination(self, row: Row[Any]) -> NamedDestination:
        return NamedDestination(
            id=row.id,
            name=row.name,
            url=row.url,
            secrets=json.loads(self._vault.decrypt(row.secrets)),
            created=row.created,
            options=DestinationOptions(**row.options),
        )
