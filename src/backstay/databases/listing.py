"""What is in a database, for who lists it: names, kinds and sizes, without reading rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstay.databases.address import DatabaseAddress
from backstay.databases.mysql.connection import connect
from backstay.errors import DatabaseConnectionError

_MYSQL_TABLES = (
    "SELECT table_name AS name, table_type AS kind, engine, table_rows AS count, data_length AS data, "
    "index_length AS indexes FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
)
_MYSQL_ROUTINES = (
    "SELECT routine_name AS name, routine_type AS kind FROM information_schema.routines "
    "WHERE routine_schema = DATABASE() UNION ALL SELECT trigger_name, 'TRIGGER' FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE() ORDER BY name"
)
_POSTGRESQL_TABLES = (
    "SELECT relname, relkind, greatest(reltuples, 0)::bigint, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY relname"
)
_SQLITE_TABLES = (
    "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view', 'trigger') AND name NOT LIKE 'sqlite%' "
    "ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One thing in a database.

    Attributes:
        name: its real name.
        kind: table, view, merge, temp, procedure, function or trigger.
        engine: of a table, where the database has engines.
        rows: an estimate; None where there is none.
        data_length, index_length: bytes.
    """

    name: str
    kind: str
    engine: str | None = None
    rows: int | None = None
    data_length: int = 0
    index_length: int = 0


def list_entities(address: DatabaseAddress) -> list[Listed]:
    """Return what is in a database.

    Raises:
        DatabaseConnectionError: it cannot be reached or read.
    """
    kinds: dict[str, Callable[[DatabaseAddress], Iterator[Listed]]] = {
        "mysql": _in_mysql,
        "postgresql": _in_postgresql,
        "sqlite": _in_sqlite,
    }
    return list(kinds[address.kind](address))


def _in_mysql(address: DatabaseAddress) -> Iterator[Listed]:
    with closing(connect(address)) as connection:
        for row in connection.rows(_MYSQL_TABLES):
            engine = row["engine"] or None
            yield Listed(
                name=row["name"],
                kind=_mysql_kind(str(row["kind"]), engine),
                engine=engine,
                rows=row["count"],
                data_length=row["data"] or 0,
                index_length=row["indexes"] or 0,
            )
        for row in connection.rows(_MYSQL_ROUTINES):
            yield Listed(name=row["name"], kind=str(row["kind"]).lower())


def _mysql_kind(kind: str, engine: str | None) -> str:
    if kind.endswith("VIEW"):
        return "view"
    if kind == "TEMPORARY":
        return "temp"
    return "merge" if engine and engine.upper().startswith("MRG") else "table"


def _in_postgresql(address: DatabaseAddress) -> Iterator[Listed]:
    import psycopg  # slow to load, and needed by few

    values: dict[str, Any] = {
        "host": address.socket or address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.name,
    }
    try:
        with psycopg.connect(**{name: value for name, value in values.items() if value}) as connection:
            for name, kind, rows, data, indexes in connection.execute(_POSTGRESQL_TABLES):
                if kind in ("v", "m"):
                    yield Listed(name, "view")
                else:
                    yield Listed(name, "table", None, rows, data, indexes)
    except psycopg.Error as error:
        raise DatabaseConnectionError(f"The database {address.redacted()} can't be read: {error}") from error


def _in_sqlite(address: DatabaseAddress) -> Iterator[Listed]:
    try:
        uri = Path(address.name).absolute().as_uri()
        with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True)) as connection:
            for name, kind in connection.execute(_SQLITE_TABLES):
                yield Listed(name, kind)
    except sqlite3.Error as error:
        raise DatabaseConnectionError(f"The database {address.redacted()} can't be read: {error}") from error
