"""Replacement in the text columns of tables in MySQL or MariaDB."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

import pymysql
from pymysql.cursors import SSCursor

from backstay.databases import DatabaseAddress
from backstay.databases.mysql.connection import Connection, code_of, connect, reported_as
from backstay.databases.mysql.tokens import quote
from backstay.errors import LoadError
from backstay.restore.replacement.text import Replacer

_TEXT_TYPES = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json")
_ROWS_AT_ONCE = 500
_COMMIT_AFTER = 500
_DUPLICATE = 1062


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a table's rows are searched and found again by.

    Attributes:
        text: its text columns, each with the most characters and bytes it takes.
        key: the columns of its primary key; empty where it has none.
        touched: columns that the server would set to now at every change.
    """

    text: Mapping[str, tuple[int, int]]
    key: tuple[str, ...]
    touched: tuple[str, ...]


def replace_in_tables(
    address: DatabaseAddress,
    tables: Mapping[str, str],
    replacer: Replacer,
    *,
    on_warning: Callable[[str], None],
) -> dict[str, int]:
    """Replace in every text column; binary columns, numbers and generated columns are left alone.

    Args:
        address: of the database.
        tables: name in the database → name to report.
        replacer: what is replaced.
        on_warning: called with one sentence for values that could not be changed.

    Returns:
        ``table.column`` → values changed; only of those that changed.

    Raises:
        DatabaseError: the server refused, or went away.
    """
    changed: dict[str, int] = {}
    for table, name in tables.items():
        with reported_as(address, LoadError, f"texts of {name} were replaced"), tempfile.TemporaryFile() as spool:
            with closing(connect(address)) as connection:
                columns = _columns(connection, table)
                if not columns.text:
                    continue
                work = _Table(connection, table, name, columns, replacer, on_warning)
                work.collect(spool)
            # What was read and what is written never overlap: not every engine bears both at once.
            with closing(connect(address)) as connection:
                _execute(connection, spool, name, on_warning)
        changed |= {f"{name}.{column}": count for column, count in work.counts.items() if count}
    return changed


def _columns(connection: Connection, table: str) -> _Columns:
    listed = connection.rows(
        "SELECT column_name, data_type, character_set_name, character_maximum_length, character_octet_length, "
        "column_key, extra, generation_expression FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        table,
    )
    text: dict[str, tuple[int, int]] = {}
    touched: list[str] = []
    for row in listed:
        extra = str(row["extra"]).lower()
        if "on update" in extra:
            touched.append(row["column_name"])
        is_text = row["data_type"] in _TEXT_TYPES and (row["data_type"] == "json" or row["character_set_name"])
        if is_text and not row["generation_expression"] and "generated" not in extra.replace("default_generated", ""):
            limit = row["character_maximum_length"] or 1 << 32
            text[row["column_name"]] = (int(limit), int(row["character_octet_length"] or 1 << 32))
    key = connection.rows(
        "SELECT column_name FROM information_schema.key_column_usage WHERE table_schema = DATABASE() "
        "AND table_name = %s AND constraint_name = 'PRIMARY' ORDER BY ordinal_position",
        table,
    )
    return _Columns(text, tuple(row["column_name"] for row in key), tuple(touched))


class _Table:
    """The search through one table."""

    def __init__(
        self,
        connection: Connection,
        table: str,
        name: str,
        columns: _Columns,
        replacer: Replacer,
        on_warning: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._table = table
        self._name = name
        self._columns = columns
        self._replacer = replacer
        self._warn = on_warning
        self.counts = dict.fromkeys(columns.text, 0)

    def collect(self, spool: IO[bytes]) -> None:
        """Write the statements that make the changes to a file, each behind its length."""
        seen: set[tuple[str, str]] = set()
        for row in self._rows():
            key = row[: len(self._columns.key)]
            values = row[len(self._columns.key) :]
            changes = self._changes(values)
            if not changes:
                continue
            if self._columns.key:
                self._write(spool, self._by_key(changes, key))
                continue
            for column, (before, after) in changes.items():
                # Without a key, a row is found by the value itself: equal values are changed alike.
                if (column, before) not in seen:
                    seen.add((column, before))
                    self._write(spool, self._by_value(column, before, after))

    def _rows(self) -> Iterator[Sequence[Any]]:
        wanted = ", ".join(quote(name) for name in (*self._columns.key, *self._columns.text))
        sql = f"SELECT {wanted} FROM {quote(self._table)}"  # noqa: S608 - quoted names
        needles = self._replacer.needles()
        if needles is not None:
            patterns = [needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for needle in needles]
            conditions = [
                f"{quote(column)} LIKE {self._literal(f'%{pattern}%')}"
                for column in self._columns.text
                for pattern in patterns
            ]
            sql += " WHERE " + " OR ".join(conditions)
        with self._connection.cursor(SSCursor) as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from rows

    def _changes(self, values: Sequence[Any]) -> dict[str, tuple[str, str]]:
        changes = {}
        for (column, (characters, size)), value in zip(self._columns.text.items(), values, strict=True):
            if not isinstance(value, str):
                continue
            before = value.encode("utf-8", "surrogateescape")
            after = self._replacer.apply(before)
            if after is before:
                continue
            text = after.decode("utf-8", "surrogateescape")
            if len(text) > characters or len(after) > size:
                self._warn(f"A text in {self._name}.{column} would become too long for it and stays as it is.")
                continue
            changes[column] = (value, text)
            self.counts[column] += 1
        return changes

    def _literal(self, value: object) -> str:
        return str(self._connection.escape(value, self._connection.encoders))

    def _set(self, changes: Mapping[str, str]) -> str:
        settings = [f"{quote(column)} = {self._literal(text)}" for column, text in changes.items()]
        settings += [f"{quote(column)} = {quote(column)}" for column in self._columns.touched]
        return f"UPDATE {quote(self._table)} SET {', '.join(settings)} WHERE "  # noqa: S608 - quoted names and values

    def _by_key(self, changes: Mapping[str, tuple[str, str]], key: Sequence[Any]) -> str:
        found = " AND ".join(
            f"{quote(column)} = {self._literal(value)}" for column, value in zip(self._columns.key, key, strict=True)
        )
        return self._set({column: after for column, (_before, after) in changes.items()}) + found

    def _by_value(self, column: str, before: str, after: str) -> str:
        # As bytes: collations take more than equal texts for equal.
        found = f"CAST(CONVERT({quote(column)} USING utf8mb4) AS BINARY) = CAST({self._literal(before)} AS BINARY)"
        return self._set({column: after}) + found

    @staticmethod
    def _write(spool: IO[bytes], statement: str) -> None:
        data = statement.encode("utf-8", "surrogateescape")
        spool.write(len(data).to_bytes(8, "big") + data)


def _execute(connection: Connection, spool: IO[bytes], name: str, on_warning: Callable[[str], None]) -> None:
    connection.execute("SET SESSION foreign_key_checks = 0")
    connection.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
    connection.autocommit(False)
    spool.seek(0)
    done = 0
    while head := spool.read(8):
        statement = spool.read(int.from_bytes(head, "big"))
        try:
            connection.execute(statement)
        except pymysql.err.Error as error:
            if code_of(error) != _DUPLICATE:
                raise
            on_warning(f"A text in {name} stays as it is: the new one is there already, and must be there only once.")
        done += 1
        if done % _COMMIT_AFTER == 0:
            connection.commit()
    connection.commit()
