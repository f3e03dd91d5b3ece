"""A SQLite database as SQL text that makes the same database again, like ``sqlite3 .dump`` and more exactly.

Row numbers of tables without an INTEGER PRIMARY KEY, texts with NUL in them, infinities, ``user_version``,
``application_id`` and the encoding are kept too.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from isal import isal_zlib

from backstay.databases import metadata
from backstay.databases.address import DatabaseAddress
from backstay.databases.filters import TableFilter
from backstay.databases.model import DumpOptions, DumpProgress, DumpSummary, OnWarning, PartSink, TableSummary
from backstay.databases.parts import PartWriter
from backstay.databases.sqlite.copy import is_locked, locked_message, open_read_only
from backstay.errors import DatabaseLockedError, DumpError

_PRAGMAS = ("encoding", "page_size", "auto_vacuum")
_NUMBERS = ("user_version", "application_id")
_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Item:
    kind: str
    name: str
    table: str
    sql: str | None


def dump(
    address: DatabaseAddress, sink: PartSink, *, name: str, options: DumpOptions, on_warning: OnWarning
) -> Generator[DumpProgress, None, DumpSummary]:
    """Dump one database; see :func:`backstay.databases.dump`."""
    with (
        closing(open_read_only(address.name)) as connection,
        PartWriter(sink, name, options.part_size, by_content=options.cut_by_content) as parts,
    ):
        connection.text_factory = _as_sql
        connection.create_function("backstay_real", 1, _real, deterministic=True)
        work = _Dump(address, connection, parts, options, on_warning)
        try:
            yield from work.run()
        except sqlite3.Error as error:
            if is_locked(error):
                raise DatabaseLockedError(locked_message(address.name)) from error
            raise DumpError(f"The SQLite file {address.name} could not be read to its end: {error}.") from error
    return work.summary(name)


def _as_sql(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _real(value: float) -> str:
    """Return a number as SQLite reads it back; its own functions lose the sign of a zero and write infinity as Inf."""
    return {math.inf: "9e999", -math.inf: "-9e999"}.get(value) or repr(value)


class _Dump:
    """One dump under way, in one read transaction."""

    def __init__(
        self,
        address: DatabaseAddress,
        connection: sqlite3.Connection,
        parts: PartWriter,
        options: DumpOptions,
        on_warning: OnWarning,
    ) -> None:
        self._address = address
        self._connection = connection
        self._parts = parts
        self._options = options
        self._filter = TableFilter(options, lambda name: name)
        self._warn = on_warning
        self._summaries: dict[str, TableSummary] = {}
        self._rows_done = 0

    def run(self) -> Generator[DumpProgress]:
        """Write everything."""
        self._connection.execute("BEGIN")
        for pragma in _PRAGMAS:
            value = self._connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            self._statement(f"PRAGMA {pragma} = {_literal(value)}")
        for pragma in _NUMBERS:
            self._statement(f"PRAGMA {pragma} = {self._connection.execute(f'PRAGMA {pragma}').fetchone()[0]}")
        self._statement("PRAGMA foreign_keys = OFF")
        self._statement("BEGIN TRANSACTION")
        items = self._items()
        tables = [item for item in items if item.kind == "table"]
        virtual = {item.name for item in tables if (item.sql or "").lstrip().upper().startswith("CREATE VIRTUAL")}
        self._wrote = {"table": [i.name for i in tables], "view": [], "trigger": []}
        for done, item in enumerate(tables):
            yield DumpProgress(item.name, self._rows_done, self._rows_done, done, len(tables), self._parts.written)
            self._make_table(item, virtual=item.name in virtual)
            if item.name not in virtual and self._filter.has_rows(item.name, ""):
                for _ in self._rows(item.name):
                    yield DumpProgress(
                        item.name, self._rows_done, self._rows_done, done, len(tables), self._parts.written
                    )
        self._sequence(tables)
        for item in items:
            if item.kind != "table" and item.sql:
                self._statement(item.sql)
                self._wrote.setdefault(item.kind, []).append(item.name)
        if virtual:
            self._statement("PRAGMA writable_schema = OFF")
        self._statement("COMMIT")
        self._connection.execute("COMMIT")
        yield DumpProgress("", self._rows_done, self._rows_done, len(tables), len(tables), self._parts.written)

    def _items(self) -> list[_Item]:
        found = []
        for row in self._connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type <> 'table', type = 'trigger', rowid"
        ):
            item = _Item(*row)
            if item.name.startswith("sqlite_") and not item.name.startswith("sqlite_stat"):
                continue
            reason = self._filter.reason_to_skip(item.table)
            if reason is None:
                found.append(item)
            elif reason and item.kind == "table":
                self._warn(reason)
        return found

    def _make_table(self, item: _Item, *, virtual: bool) -> None:
        if self._options.drop_statements:
            self._statement(f"DROP TABLE IF EXISTS {_quote(item.name)}")
        if item.name.startswith("sqlite_stat"):
            self._statement("ANALYZE sqlite_master")
            self._statement(f"DELETE FROM {_quote(item.name)}")  # noqa: S608 - a quoted name
        elif virtual:
            # Making it would make its shadow tables, which are in the dump themselves.
            self._statement("PRAGMA writable_schema = ON")
            values = ", ".join(_literal(value) for value in ("table", item.name, item.name, 0, item.sql))
            insert = f"INSERT INTO sqlite_master(type, name, tbl_name, rootpage, sql) VALUES({values})"
            self._statement(insert)
        else:
            self._statement(item.sql or "")

    def _rows(self, table: str) -> Iterator[int]:
        columns = [
            row[1] for row in self._connection.execute(f"PRAGMA table_xinfo({_quote(table)})") if row[6] in {0, 1}
        ]
        listed = ", ".join(_quote(column) for column in columns)
        row_id = self._row_id(table, columns)
        target = f"{_quote(table)}({', '.join([*([row_id] if row_id else []), listed])})" if columns else _quote(table)
        values = [*([row_id] if row_id else []), *(_exactly(_quote(column)) for column in columns)]
        head = f"INSERT INTO {target} VALUES("
        joined = " || ',' || ".join(values)
        cursor = self._connection.execute(f"SELECT {joined} FROM {_quote(table)}")  # noqa: S608 - quoted names
        count = checksum = 0
        while batch := cursor.fetchmany(_BATCH):
            for (row,) in batch:
                checksum += isal_zlib.crc32(row.encode("utf-8", "surrogateescape"))
                self._statement(f"{head}{row})")
            count += len(batch)
            self._rows_done += len(batch)
            yield count
        self._summaries[table] = TableSummary(count, checksum & 0xFFFF_FFFF_FFFF_FFFF)

    def _row_id(self, table: str, columns: list[str]) -> str | None:
        """Return the name under which a table's row numbers can be written, if no column holds them already."""
        info = self._connection.execute(f"PRAGMA table_xinfo({_quote(table)})").fetchall()
        keys = [row for row in info if row[5]]
        if len(keys) == 1 and str(keys[0][2]).upper() == "INTEGER":
            return None
        taken = {column.lower() for column in columns}
        for name in ("rowid", "_rowid_", "oid"):
            if name not in taken:
                try:
                    self._connection.execute(f"SELECT {name} FROM {_quote(table)} LIMIT 0")  # noqa: S608
                except sqlite3.OperationalError:
                    return None
                return name
        return None

    def _sequence(self, tables: list[_Item]) -> None:
        present = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
        if not present:
            return
        names = {item.name for item in tables}
        self._statement("DELETE FROM sqlite_sequence")
        for name, value in self._connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY rowid"):
            if name in names:
                self._statement(f"INSERT INTO sqlite_sequence(name, seq) VALUES({_literal(name)}, {_literal(value)})")

    def _statement(self, text: str) -> None:
        # A comment at the end of a definition would swallow the semicolon.
        ending = "\n;\n" if "--" in text.rpartition("\n")[2] else ";\n"
        self._parts.write((text + ending).encode("utf-8", "surrogateescape"))

    def summary(self, name: str) -> DumpSummary:
        """Return what was written."""
        entry = metadata.entry(
            self._address,
            name=name,
            marker="",
            parts=len(self._parts.names),
            tables=self._wrote,
            summaries=self._summaries,
            own={},
        )
        rows = sum(summary.rows for summary in self._summaries.values())
        return DumpSummary(tuple(self._parts.names), self._summaries, entry, rows, self._parts.written)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    return "'" + text.replace("'", "''") + "'"


def _exactly(column: str) -> str:
    """Return SQL of a column's value as a literal that SQLite reads as the same value."""
    holds_nul = f"instr(CAST({column} AS BLOB), x'00')"
    return (
        f"CASE typeof({column}) "
        f"WHEN 'text' THEN CASE WHEN {holds_nul} THEN 'CAST(x''' || hex({column}) || ''' AS TEXT)' "
        f"ELSE quote({column}) END "
        f"WHEN 'real' THEN backstay_real({column}) "
        f"ELSE quote({column}) END"
    )
