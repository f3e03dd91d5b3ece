"""Named repositories: where each lies, and the secret that opens it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from backstay.catalogue.schema import backups, destinations, observations, repositories, snapshots
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class NamedRepository:
    """One repository by its name.

    Attributes:
        id: its number in the catalogue; 0 in one that is not stored yet.
        name: by which commands know it, unique.
        destination: name of the destination where it lies; empty: on this machine.
        folder: its folder there, empty or ending in a slash.
        secret: that opens it, in hexadecimal digits; empty where it is not encrypted.
        created: moment it was added.
    """

    id: int
    name: str
    destination: str
    folder: str
    secret: str = field(repr=False)
    created: datetime


class RepositoryTable:
    """Reads and writes repositories; their secrets are kept encrypted."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def all(self) -> list[NamedRepository]:
        """Return all repositories by name."""
        with self._engine.connect() as connection:
            return [self._repository(row) for row in connection.execute(_ALL.order_by(repositories.c.name))]

    def get(self, name: str) -> NamedRepository:
        """Return a repository by its name.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._engine.connect() as connection:
            row = connection.execute(_ALL.where(repositories.c.name == name)).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no repository named {name!r}: see them with 'backstay repository list'.")
        return self._repository(row)

    def at(self, destination: str) -> list[NamedRepository]:
        """Return the repositories that lie at a destination."""
        return [repository for repository in self.all() if repository.destination == destination]

    def create(self, repository: NamedRepository) -> NamedRepository:
        """Store a new repository; return it with its number.

        Raises:
            UsageError: the name is taken.
            NotFoundError: its destination is gone.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(repositories.c.id).where(repositories.c.name == repository.name)).first():
                raise UsageError(f"There is a repository named {repository.name} already: choose another name.")
            destination_id = None
            if repository.destination:
                destination_id = connection.execute(
                    select(destinations.c.id).where(destinations.c.name == repository.destination)
                ).scalar_one_or_none()
                if destination_id is None:
                    raise NotFoundError(f"The storage {repository.destination} was removed meanwhile.")
            number = connection.execute(
                insert(repositories)
                .values(
                    name=repository.name,
                    destination_id=destination_id,
                    folder=repository.folder,
                    secrets=self._vault.encrypt(json.dumps({"secret": repository.secret})),
                    created=repository.created,
                )
                .returning(repositories.c.id)
            ).scalar_one()
        return replace(repository, id=number)

    def delete(self, name: str) -> None:
        """Forget a repository; what is in it stays, and backups whose snapshots lie in it have no files any more.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._writer.begin() as connection:
            number = connection.execute(select(repositories.c.id).where(repositories.c.name == name)).scalar()
            if number is None:
                raise NotFoundError(f"There is no repository named {name!r}: see them with 'backstay repository list'.")
            in_it = select(snapshots.c.backup_id).where(snapshots.c.repository_id == number)
            connection.execute(update(backups).where(backups.c.id.in_(in_it)).values(filesexist=False))
            connection.execute(delete(snapshots).where(snapshots.c.repository_id == number))
            seen = (observations.c.what == "repository", observations.c.subject == name)
            connection.execute(delete(observations).where(*seen))
            connection.execute(delete(repositories).where(repositories.c.id == number))

    def _repository(self, row: Row[Any]) -> NamedRepository:
        return NamedRepository(
            id=row.id,
            name=row.name,
            destination=row.destination or "",
            folder=row.folder,
            secret=json.loads(self._vault.decrypt(row.secrets))["secret"],
            created=row.created,
        )


_ALL = select(repositories, destinations.c.name.label("destination")).outerjoin(
    destinations, destinations.c.id == repositories.c.destination_id
)
