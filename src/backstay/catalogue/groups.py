"""Groups of sites: how many backups they take at once, which come first, and who is bound to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, select, update

from backstay.catalogue.schema import groups, sites, token_groups, user_groups
from backstay.errors import NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """Sites that belong together: those of one client, or of one hosting.

    Attributes:
        id: its number; 0 in one that is not stored yet.
        name: unique.
        per_host: backups that run at the same time at one host, at most.
        priority: sites of a group with a higher one are backed up first.
        notes: for people.
        created: moment it was made.
    """

    id: int
    name: str
    created: datetime
    per_host: int = 2
    priority: int = 0
    notes: str = ""


class GroupTable:
    """Reads and writes groups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def all(self) -> list[Group]:
        """Return all groups by name."""
        with self._engine.connect() as connection:
            return [_group(row) for row in connection.execute(select(groups).order_by(groups.c.name))]

    def get(self, name: str) -> Group:
        """Return a group by its name.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(groups).where(groups.c.name == name)).one_or_none()
        if row is None:
            raise no_group(name)
        return _group(row)

    def create(self, group: Group) -> Group:
        """Store a new group; return it with its number.

        Raises:
            UsageError: the name is taken.
        """
        with self._writer.begin() as connection:
            _require_free(connection, group.name, 0)
            query = insert(groups).values(**_values(group), created=group.created).returning(groups.c.id)
            return replace(group, id=connection.execute(query).scalar_one())

    def save(self, group: Group) -> None:
        """Store what was changed of a group that exists already.

        Raises:
            NotFoundError: it was removed.
            UsageError: the name is another group's.
        """
        with self._writer.begin() as connection:
            _require_free(connection, group.name, group.id)
            if connection.execute(update(groups).where(groups.c.id == group.id).values(**_values(group))).rowcount == 0:
                raise no_group(group.name)

    def delete(self, name: str) -> None:
        """Remove a group that has no sites and that nobody is bound to.

        Raises:
            NotFoundError: there is none of that name.
            UsageError: there are sites in it, or users or tokens see nothing else than it.
        """
        with self._writer.begin() as connection:
            number = group_number(connection, name)
            # Nobody is bound to it from here on: whoever is waits for the end of this.
            connection.execute(select(groups.c.id).where(groups.c.id == number).with_for_update())
            if count := _count(connection, sites.c.group_id, number):
                held = "a site" if count == 1 else f"{count} sites"
                raise UsageError(f"There is still {held} in the group {name}: move or remove what is in it first.")
            # Whoever is bound to no group any more would see all of them.
            if _count(connection, user_groups.c.group_id, number) or _count(
                connection, token_groups.c.group_id, number
            ):
                raise UsageError(
                    f"Users or tokens are bound to the group {name}: bind them to another, or remove them."
                )
            connection.execute(delete(groups).where(groups.c.id == number))

    def names_of(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the names of some groups by number, those that exist."""
        query = select(groups.c.id, groups.c.name).where(groups.c.id.in_(list(numbers)))
        with self._engine.connect() as connection:
            return {row.id: row.name for row in connection.execute(query)}

    def sizes(self) -> dict[str, int]:
        """Return for each group that has sites how many."""
        query = select(groups.c.name, func.count()).join(sites, sites.c.group_id == groups.c.id).group_by(groups.c.name)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def group_number(connection: Connection, name: str) -> int | None:
    """Return the number of a group; None for the empty name.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not name:
        return None
    number = connection.execute(select(groups.c.id).where(groups.c.name == name)).scalar_one_or_none()
    if number is None:
        raise no_group(name)
    return int(number)


def group_numbers(connection: Connection, names: Iterable[str]) -> dict[str, int | None]:
    """Return the numbers of groups by name.

    Raises:
        NotFoundError: one of them does not exist.
    """
    return {name: group_number(connection, name) for name in dict.fromkeys(names)}


def no_group(name: str) -> NotFoundError:
    """Return what to raise where there is no group of a name."""
    return NotFoundError(f"There is no group named {name!r}: make it with 'backstay group create {name}'.")


def _require_free(connection: Connection, name: str, own: int) -> None:
    if connection.execute(select(groups.c.id).where(groups.c.name == name, groups.c.id != own)).first():
        raise UsageError(f"There is a group named {name} already: choose another name.")


def _count(connection: Connection, column: ColumnElement[int], number: int | None) -> int:
    return connection.execute(select(func.count()).where(column == number)).scalar_one()


def _values(group: Group) -> dict[str, Any]:
    return {name: value for name, value in asdict(group).items() if name not in ("id", "created")}


def _group(row: Row[Any]) -> Group:
    return Group(**row._asdict())
