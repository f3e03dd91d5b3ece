"""What is in a MySQL or MariaDB database, and what the account may not see of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pymysql

from backstay.databases.mysql.connection import Connection
from backstay.databases.mysql.rows import Column

_TRANSACTIONAL = frozenset({"INNODB", "ROCKSDB", "TOKUDB", "NDBCLUSTER", "NDB"})
_ROUTINE_RIGHTS = ("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW CREATE ROUTINE", "SHOW_ROUTINE")
_ROUTINES = """SELECT routine_type AS kind, routine_name AS name FROM information_schema.routines
WHERE routine_schema = DATABASE() ORDER BY routine_name"""
# In the order in which they fire, so that triggers of one event are made again in that order.
_TRIGGERS = """SELECT 'TRIGGER' AS kind, trigger_name AS name FROM information_schema.triggers
WHERE trigger_schema = DATABASE()
ORDER BY event_object_table, event_manipulation, action_timing, action_order, trigger_name"""
_EVENTS = """SELECT 'EVENT' AS kind, event_name AS name FROM information_schema.events
WHERE event_schema = DATABASE() ORDER BY event_name"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or sequence: its engine (empty for a view), estimated rows, and whether it keeps its history."""

    name: str
    engine: str
    rows: int
    versioned: bool = False

    @property
    def transactional(self) -> bool:
        """Whether a snapshot covers it."""
        return self.engine.upper() in _TRANSACTIONAL


@dataclass(frozen=True)
class Schema:
    """Names of everything in a database, by kind.

    Attributes:
        tables: tables, in an order in which what a foreign key refers to comes first where there is such an order.
        sequences: MariaDB's sequences.
        views: names of views, in no order.
        entities: names of routines, triggers and events, by kind as SHOW CREATE calls it.
    """

    tables: list[Table]
    sequences: list[Table]
    views: list[str]
    entities: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every name in the database."""
        found = {table.name for table in (*self.tables, *self.sequences)} | set(self.views)
        return frozenset(found.union(*self.entities.values()))


def read_schema(connection: Connection, *, entities: bool) -> Schema:
    """Return what the database of a connection holds."""
    listed = connection.rows(
        "SELECT table_name, table_type, engine, table_rows FROM information_schema.tables "
        "WHERE table_schema = DATABASE() ORDER BY table_name"
    )
    tables, sequences, views = [], [], []
    for row in listed:
        kind = str(row["table_type"])
        table = Table(row["table_name"], row["engine"] or "", int(row["table_rows"] or 0), kind == "SYSTEM VERSIONED")
        if kind.endswith("VIEW"):
            views.append(table.name)
        elif kind == "SEQUENCE":
            sequences.append(table)
        elif kind != "TEMPORARY":
            tables.append(table)
    found = _read_entities(connection) if entities else {}
    return Schema(_by_foreign_keys(connection, tables), sequences, views, found)


def _read_entities(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for query in (_ROUTINES, _TRIGGERS, _EVENTS):
        for row in connection.rows(query):
            found.setdefault(str(row["kind"]).upper(), []).append(row["name"])
    return found


def _by_foreign_keys(connection: Connection, tables: list[Table]) -> list[Table]:
    listed = connection.rows(
        "SELECT DISTINCT table_name, referenced_table_name FROM information_schema.key_column_usage "
        "WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()"
    )
    needs: dict[str, set[str]] = {}
    for row in listed:
        needs.setdefault(row["table_name"], set()).add(row["referenced_table_name"])
    by_name = {table.name: table for table in tables}
    return [by_name[name] for name in in_order(list(by_name), needs)]


def in_order(names: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return names so that each comes after those it needs; a circle is cut where it is met."""
    ordered: dict[str, None] = {}
    known = list(names)
    inside = set(known)
    for first in known:
        stack = [(first, iter(sorted(needs.get(first, ()))))]
        open_names = {first}
        while stack:
            name, rest = stack[-1]
            following = next((n for n in rest if n in inside and n not in ordered and n not in open_names), None)
            if following is None:
                stack.pop()
                ordered.setdefault(name)
            else:
                open_names.add(following)
                stack.append((following, iter(sorted(needs.get(following, ())))))
    return list(ordered)


def read_columns(connection: Connection, table: str) -> list[Column]:
    """Return a table's columns in order; empty if there is no such table."""
    listed = connection.rows(
        "SELECT column_name, data_type, column_type, character_set_name, is_nullable, extra "
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        table,
    )
    return [
        Column(
            name=row["column_name"],
            data_type=_text(row["data_type"]).lower(),
            column_type=_text(row["column_type"]),
            charset=row["character_set_name"],
            nullable=row["is_nullable"] == "YES",
            extra=str(row["extra"]).upper(),
        )
        for row in listed
    ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def hidden_kinds(connection: Connection, database: str) -> list[str]:
    """Return the kinds of entities that this account would not be shown even if they were there.

    ``information_schema`` answers nothing instead of an error, so the account's rights decide.
    """
    try:
        grants = [next(iter(row.values())) for row in connection.rows("SHOW GRANTS")]
    except pymysql.err.Error:
        return []
    rights: set[str] = set()
    for grant in grants:
        if not (match := re.match(r"GRANT (.+?) ON (?:TABLE )?(.+?) TO ", grant)):
            continue
        words = {word.strip().upper() for word in match[1].split(",")}
        scope = match[2]
        if scope == "*.*" or _names_database(scope, database):
            rights |= words
            if scope == "*.*" and "SELECT" in words:
                rights.add("SHOW CREATE ROUTINE")
        elif scope.startswith("`mysql`.") and "SELECT" in words:
            rights.add("SHOW CREATE ROUTINE")
    if "ALL PRIVILEGES" in rights:
        return []
    wanted = {"procedures and functions": _ROUTINE_RIGHTS, "triggers": ("TRIGGER",), "events": ("EVENT",)}
    return [kind for kind, names in wanted.items() if not rights & set(names)]


def _names_database(scope: str, database: str) -> bool:
    """Whether the scope of a GRANT, a pattern with % and _, is this database as a whole."""
    match = re.fullmatch(r"`((?:[^`]|``)+)`\.\*", scope)
    if match is None:
        return False
    pattern = ""
    for escaped, wild in re.findall(r"\\(.)|(.)", match[1].replace("``", "`"), re.DOTALL):
        pattern += re.escape(escaped) if escaped else {"%": ".*", "_": "."}.get(wild, re.escape(wild))
    return re.fullmatch(pattern, database, re.DOTALL) is not None
