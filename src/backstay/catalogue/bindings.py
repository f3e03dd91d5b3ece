"""Which groups of sites a user or a token is bound to: who is bound sees nothing else, who is not sees everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, Table, delete, insert, select

from backstay.catalogue.schema import token_groups, user_groups

_OWNERS: Final = {"users": (user_groups, "user_id"), "tokens": (token_groups, "token_id")}


def groups_of_all(connection: Connection, owners: Table) -> dict[int, tuple[int, ...]]:
    """Return the numbers of the groups that each user or token is bound to, those left out that are bound to none.

    Args:
        connection: in a transaction.
        owners: the table ``users`` or ``tokens``.
    """
    table, column = _OWNERS[owners.name]
    found: dict[int, tuple[int, ...]] = {}
    for owner, group in connection.execute(select(table.c[column], table.c.group_id).order_by(table.c.group_id)):
        found[owner] = (*found.get(owner, ()), group)
    return found


def groups_of(connection: Connection, owners: Table, owner: int) -> tuple[int, ...]:
    """Return the numbers of the groups that one user or token is bound to; none: it sees everything."""
    table, column = _OWNERS[owners.name]
    query = select(table.c.group_id).where(table.c[column] == owner).order_by(table.c.group_id)
    return tuple(connection.execute(query).scalars())


def bind(connection: Connection, owners: Table, owner: int, groups: Iterable[int]) -> None:
    """Bind a user or token to these groups and no others; to none: it sees everything."""
    table, column = _OWNERS[owners.name]
    connection.execute(delete(table).where(table.c[column] == owner))
    rows = [{column: owner, "group_id": group} for group in sorted(set(groups))]
    if rows:
        connection.execute(insert(table), rows)
