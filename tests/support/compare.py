"""Compare two databases row by row and definition by definition.

``CHECKSUM TABLE`` is not stable for rows with NULL bit columns, so rows are read and compared: binary columns through
``HEX()``, ``FLOAT`` through DOUBLE.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from support.mysql import MySQLServer

_BINARY = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit", "vector"}
_GEOMETRY = {
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
}  # fmt: skip
_LEFT_OUT = re.compile(r"DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`|`(?:[^`]|``)*`) ?")


def quote(name: str) -> str:
    """Quote an identifier as MySQL does."""
    return "`" + name.replace("`", "``") + "`"


def objects(server: MySQLServer, database: str) -> dict[str, list[str]]:
    """Return the names of what a database holds, by kind (``BASE TABLE``, ``VIEW``, ``SEQUENCE``, ``PROCEDURE`` …)."""
    found: dict[str, list[str]] = {}
    queries = [
        "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = %s",
        "SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = %s",
        "SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema = %s",
        "SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = %s",
    ]
    connection = server.connect()
    with connection, connection.cursor() as cursor:
        for query in queries:
            cursor.execute(query, (database,))
            for kind, name in cursor.fetchall():
                found.setdefault(kind, []).append(name)
    return {kind: sorted(names) for kind, names in found.items()}


def definitions(server: MySQLServer, database: str) -> dict[tuple[str, str], str]:
    """Return ``SHOW CREATE`` of everything in a database, DEFINER left out."""
    shown = {}
    commands = {"BASE TABLE": "TABLE", "SYSTEM VERSIONED": "TABLE"}
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        for kind, names in objects(server, database).items():
            for name in names:
                cursor.execute(f"SHOW CREATE {commands.get(kind, kind)} {quote(name)}")
                row = cursor.fetchone()
                assert row is not None
                columns = [column[0] for column in cursor.description]
                at = next(i for i, c in enumerate(columns) if c.startswith(("Create", "SQL Original Statement")))
                mode = f" /* {row[columns.index('sql_mode')]} */" if "sql_mode" in columns else ""
                text = _LEFT_OUT.sub("", row[at]).replace(f"{quote(database)}.", "")
                if kind == "TRIGGER":
                    # A dump writes the names in a trigger's header in backticks, whatever stood around them.
                    header, each, body = text.partition("FOR EACH ROW")
                    text = re.sub('[`"]', "", header) + each + body
                shown[kind, name] = text + mode
    return shown


def columns(server: MySQLServer, database: str, table: str) -> list[tuple[str, str]]:
    """Return each column's name and the expression that shows its value exactly."""
    connection = server.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type, character_set_name FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (database, table),
        )
        described = cursor.fetchall()
    return [(name, _exactly(quote(name), kind.lower(), charset)) for name, kind, charset in described]


def _exactly(column: str, kind: str, charset: str | None) -> str:
    if kind in _BINARY or kind in _GEOMETRY:
        return f"HEX({column})"
    if kind == "float":
        return f"CAST({column} AS DOUBLE)"
    if kind in {"enum", "set"}:
        return f"CONCAT({column} + 0, ':', HEX({column}))"
    if charset is not None:
        return f"HEX({column})"
    return f"CAST({column} AS CHAR)"


def rows(
    server: MySQLServer, database: str, table: str, *, skip: Iterable[str] = (), source: str = ""
) -> Counter[tuple[Any, ...]]:
    """Return a table's rows, counted, every value in its exact form; ``source`` is added after FROM."""
    shown = [expression for name, expression in columns(server, database, table) if name not in set(skip)]
    found: Counter[tuple[Any, ...]] = Counter()
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(shown) or '1'} FROM {quote(table)} {source}")
        found.update(cursor.fetchall())
    return found


def assert_same_rows(
    server: MySQLServer, first: str, second: str, *, skip: Iterable[tuple[str, str]] = (), views: bool = True
) -> None:
    """Fail unless both databases hold the same tables with the same rows; ``skip`` names (table, column) pairs."""
    here, there = objects(server, first), objects(server, second)
    assert here.get("BASE TABLE", []) == there.get("BASE TABLE", [])
    kinds = ["BASE TABLE", "SYSTEM VERSIONED", *(["VIEW"] if views else [])]
    for table in (name for kind in kinds for name in here.get(kind, [])):
        left_out = [column for name, column in skip if name == table]
        expected, found = rows(server, first, table, skip=left_out), rows(server, second, table, skip=left_out)
        assert expected.total() == found.total(), f"{table}: {expected.total()} rows became {found.total()}"
        missing, added = expected - found, found - expected
        assert not missing, f"{table}: {missing.total()} rows differ, such as {_first(missing)} now {_first(added)}"


def assert_same_definitions(server: MySQLServer, first: str, second: str) -> None:
    """Fail unless ``SHOW CREATE`` answers the same for everything in both databases."""
    expected, found = definitions(server, first), definitions(server, second)
    assert sorted(expected) == sorted(found)
    for key, text in expected.items():
        assert found[key] == text, f"{key} is defined differently"


def assert_same_database(server: MySQLServer, first: str, second: str) -> None:
    """Fail unless both databases hold the same objects, defined the same, with the same rows."""
    assert objects(server, first) == objects(server, second)
    assert_same_definitions(server, first, second)
    assert_same_rows(server, first, second)


def _first(found: Counter[tuple[Any, ...]]) -> str:
    return repr(next(iter(found), None))[:600]
