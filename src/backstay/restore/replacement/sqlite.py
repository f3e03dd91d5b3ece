"""Replacement in the text values of a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path

from backstay.restore.replacement.text import Replacer


def replace_in_sqlite(
    path: Path, replacer: Replacer, *, only: Collection[str] | None = None, on_warning: Callable[[str], None]
) -> dict[str, int]:
    """Replace in every value of type TEXT of a database that nobody else uses.

    Args:
        path: its file.
        replacer: what is replaced.
        only: names of the tables to look into; None: all.
        on_warning: called with one sentence for tables that could not be changed.

    Returns:
        ``table.column`` → values changed; only of those that changed.
    """
    changed: dict[str, int] = {}
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            connection.isolation_level = None
            # Triggers of the site are not meant to fire for this.
            triggers = _texts(connection, "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND sql IS NOT NULL")
            names = _texts(connection, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN IMMEDIATE")
            for name in names:
                connection.execute(f"DROP TRIGGER {_quoted(name)}")
            for table in _texts(
                connection,
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                "AND sql NOT LIKE 'CREATE VIRTUAL%'",
            ):
                if only is None or table in only:
                    changed |= _in_table(connection, table, replacer, on_warning)
            for statement in triggers:
                connection.execute(statement)
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        on_warning(f"Nothing was replaced in the SQLite database {path.name}: {error}.")
        return {}
    return changed


def _in_table(
    connection: sqlite3.Connection, table: str, replacer: Replacer, on_warning: Callable[[str], None]
) -> dict[str, int]:
    # Hidden columns are generated ones.
    columns = [row for row in connection.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchall() if not row[6]]
    names = [row[1] for row in columns]
    primary = [row[1] for row in sorted(columns, key=lambda row: int(row[5])) if row[5]]
    key = ["rowid"] if _has_rowid(connection, table) else [_quoted(name) for name in primary]
    counts: dict[str, int] = {}
    found = ", ".join([*key, *(_quoted(name) for name in names)])
    where = " AND ".join(f"{column} IS ?" for column in key)
    # Found first, changed then: a row that moves in its index must not be met again.
    changes: list[tuple[str, str, Sequence[object]]] = []
    for row in connection.execute(f"SELECT {found} FROM {_quoted(table)}"):  # noqa: S608 - quoted names
        for name, value in zip(names, row[len(key) :], strict=True):
            if isinstance(value, str) and (after := _replaced(value, replacer)) is not None:
                changes.append((name, after, row[: len(key)]))
    # The key itself may be what changes: it comes last in a row.
    for name, after, place in sorted(changes, key=lambda change: change[0] in primary):
        try:
            sql = f"UPDATE {_quoted(table)} SET {_quoted(name)} = ? WHERE {where}"  # noqa: S608 - quoted names
            connection.execute(sql, (after, *place))
        except sqlite3.IntegrityError as error:
            on_warning(f"A text in {table}.{name} stays as it is: {error}.")
            continue
        counts[f"{table}.{name}"] = counts.get(f"{table}.{name}", 0) + 1
    return counts


def _replaced(value: str, replacer: Replacer) -> str | None:
    """Return the changed text; None where nothing changes, or the bytes are no text."""
    before = value.encode("utf-8", "surrogateescape")
    after = replacer.apply(before)
    try:
        return None if after is before else after.decode()
    except UnicodeDecodeError:
        return None


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    try:
        connection.execute(f"SELECT rowid FROM {_quoted(table)} LIMIT 0")  # noqa: S608 - a quoted name
    except sqlite3.OperationalError:
        return False
    return True


def _texts(connection: sqlite3.Connection, sql: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(sql).fetchall()]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
