"""A database of our own on a server, made for a proof and dropped after it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from backstay.databases import DatabaseAddress
from backstay.errors import DatabaseError

# The drivers are imported where they are used: most commands need none.
_DENIED = frozenset({1044, 1045, 1227})


@contextmanager
def scratch_database(address: DatabaseAddress, folder: Path) -> Iterator[DatabaseAddress]:
    """Make an empty database on the server of another one, and drop it in the end.

    Args:
        address: any database of the server, and an account that may make databases.
        folder: empty, where a SQLite file goes.

    Yields:
        Where the new one is.

    Raises:
        DatabaseError: the account may not make databases.
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    name = f"backstay_drill_{secrets.token_hex(6)}"
    if address.kind == "sqlite":
        yield replace(address, name=str(folder / f"{name}.sqlite"))
        return
    make, drop = (_make_mysql, _drop_mysql) if address.kind == "mysql" else (_make_postgresql, _drop_postgresql)
    make(address, name)
    try:
        yield replace(address, name=name)
    finally:
        drop(address, name)


def _make_mysql(address: DatabaseAddress, name: str) -> None:
    import pymysql

    from backstay.databases.mysql.connection import code_of, connect, message_of
    from backstay.databases.mysql.tokens import quote

    with closing(connect(address)) as connection:
        try:
            connection.execute(f"CREATE DATABASE {quote(name)} CHARACTER SET utf8mb4")
        except pymysql.err.Error as error:
            if code_of(error) in _DENIED:
                raise DatabaseError(_denied(address)) from error
            raise DatabaseError(f"A scratch database could not be made: {message_of(error)}.") from error


def _drop_mysql(address: DatabaseAddress, name: str) -> None:
    import pymysql

    from backstay.databases.mysql.connection import connect
    from backstay.databases.mysql.tokens import quote

    with closing(connect(address)) as connection, suppress(pymysql.err.Error):
        connection.execute(f"DROP DATABASE IF EXISTS {quote(name)}")


def _make_postgresql(address: DatabaseAddress, name: str) -> None:
    import psycopg
    from psycopg import sql

    from backstay.databases.postgresql.connection import connect

    with connect(address) as connection:
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(_denied(address)) from error
        except psycopg.Error as error:
            raise DatabaseError(f"A scratch database could not be made: {error}.") from error


def _drop_postgresql(address: DatabaseAddress, name: str) -> None:
    import psycopg
    from psycopg import sql

    from backstay.databases.postgresql.connection import connect

    with connect(address) as connection, suppress(psycopg.Error):
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _denied(address: DatabaseAddress) -> str:
    return (
        f"The account of {address.redacted()} may not make databases: give one that may with --database, "
        "such as mysql://backstay:password@localhost/mysql."
    )
