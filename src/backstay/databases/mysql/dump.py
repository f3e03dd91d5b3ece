"""Dump a MySQL or MariaDB database in the vendor's text form (spec, 8.1), losing nothing.

One InnoDB snapshot covers the whole. What no snapshot covers is dumped under it with a warning that names it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pymysql

from backstay.databases import metadata
from backstay.databases.address import DatabaseAddress
from backstay.databases.filters import TableFilter
from backstay.databases.model import DumpOptions, DumpProgress, DumpSummary, OnWarning, PartSink, TableSummary
from backstay.databases.mysql.connection import Connection, code_of, connect, is_of_one_object, message_of, reported_as
from backstay.databases.mysql.definitions import LOAD_MODE, Definition, Definitions, Session
from backstay.databases.mysql.inserts import TableReader, begin_snapshot
from backstay.databases.mysql.naming import Naming
from backstay.databases.mysql.schema import Schema, Table, hidden_kinds, in_order, read_columns, read_schema
from backstay.databases.mysql.tokens import quote
from backstay.databases.mysql.writer import StatementWriter
from backstay.databases.parts import MARKER, PartWriter
from backstay.databases.skipped import Omissions
from backstay.errors import DumpError

_GONE = frozenset({1051, 1146})
_ALTERED = 1412
_ROUTINES = ("PROCEDURE", "FUNCTION", "PACKAGE", "PACKAGE BODY")
_LAST = ("TRIGGER", "EVENT")


def dump(
    address: DatabaseAddress, sink: PartSink, *, name: str, options: DumpOptions, on_warning: OnWarning
) -> Generator[DumpProgress, None, DumpSummary]:
    """Dump one database; see :func:`backstay.databases.dump`."""
    with ExitStack() as stack:
        connection = stack.enter_context(connect(address))
        parts = stack.enter_context(PartWriter(sink, name, options.part_size, by_content=options.cut_by_content))
        work = _Dump(address, options, on_warning, connection, StatementWriter(parts, markers=options.markers))
        with reported_as(address, DumpError, "the dump of its definitions was made"):
            work.begin()
        yield from work.run()
    return work.summary(name, parts)


class _Dump:
    """One dump under way: what is to be done, and what has been."""

    def __init__(
        self,
        address: DatabaseAddress,
        options: DumpOptions,
        on_warning: OnWarning,
        connection: Connection,
        writer: StatementWriter,
    ) -> None:
        self._address = address
        self._options = options
        self._warn = on_warning
        self._omissions = Omissions(on_warning, strict=options.strict)
        self._connection = connection
        self._writer = writer
        self._table = ""
        self._rows_done = self._rows_total = self._tables_done = self._tables_total = 0
        self._summaries: dict[str, TableSummary] = {}
        self._literal: set[str] = set()
        self._dumped: dict[str, list[str]] = {
            kind: [] for kind in ("procedure", "function", "table", "view", "trigger", "event", "sequence", "package")
        }

    def begin(self) -> None:
        """Take the snapshot and read what there is to dump."""
        begin_snapshot(self._connection)
        schema = read_schema(self._connection, entities=self._options.entities)
        self._naming = Naming(self._address.prefix, self._address.name, schema.names, self._options.abstract_names)
        self._definitions = Definitions(self._naming, self._options)
        self._filter = TableFilter(self._options, self._naming.abstract)
        self._schema = self._wanted(schema)
        self._defined = {table.name: self._definition_now(table.name) for table in self._schema.tables}
        self._rows_total = sum(table.rows for table in self._schema.tables)
        self._tables_total = len(self._schema.tables) + len(self._schema.views)
        if self._options.entities and (hidden := hidden_kinds(self._connection, self._address.name)):
            self._warn(
                f"The user {self._address.user!r} has no right to see {' or '.join(hidden)} of {self._address.name!r}: "
                "if there are any, they are not in the dump. Grant the right and back up again."
            )
        loose = [t.name for t in self._schema.tables if not t.transactional and self._filter.has_rows(t.name, t.engine)]
        if loose:
            self._warn(
                f"No snapshot covers what is not transactional: rows of {', '.join(loose)} that change during the dump "
                "may be in it or not. ALTER TABLE … ENGINE=InnoDB mends that."
            )

    def _definition_now(self, table: str) -> str:
        """Return how a table is defined, but for what rows change; empty if it cannot be seen."""
        try:
            text = self._definitions.table(self._connection, table).text or ""
        except pymysql.err.Error as error:
            if not is_of_one_object(error):
                raise
            return ""
        finally:
            # What was looked at is not kept from being altered.
            self._connection.execute("ROLLBACK TO SAVEPOINT backstay")
        return re.sub(r" AUTO_INCREMENT=\d+", "", text)

    def _wanted(self, schema: Schema) -> Schema:
        def keep(names: Iterable[str]) -> list[str]:
            kept = []
            for name in names:
                reason = self._filter.reason_to_skip(name)
                if reason is None:
                    kept.append(name)
                elif reason:
                    self._warn(reason)
            return kept

        tables = set(keep(table.name for table in schema.tables))
        sequences = set(keep(table.name for table in schema.sequences))
        return Schema(
            [table for table in schema.tables if table.name in tables],
            [table for table in schema.sequences if table.name in sequences],
            keep(schema.views),
            {kind: keep(names) for kind, names in schema.entities.items()},
        )

    def run(self) -> Generator[DumpProgress]:
        """Write everything."""
        if not self._options.markers:
            self._writer.preamble(LOAD_MODE)
        yield self._progress()
        for sequence in self._schema.sequences:
            self._sequence(sequence)
        for table in self._schema.tables:
            self._table = table.name
            yield self._progress()
            yield from self._one_table(table)
            self._tables_done += 1
        self._table = ""
        # Rows first: who restores with a program that stops at the first refusal has them all.
        late = self._views()
        for kind in _ROUTINES:
            self._entities(kind)
        for name, definition in late.items():
            self._write_view(name, definition)
        for kind in _LAST:
            self._entities(kind)
        self._writer.session(Session())
        self._writer.finish()
        yield self._progress()

    def _progress(self) -> DumpProgress:
        total = max(self._rows_done, self._rows_total)
        return DumpProgress(
            self._table, self._rows_done, total, self._tables_done, self._tables_total, self._writer.written
        )

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        with reported_as(self._address, DumpError, f"{what} was being dumped"):
            yield

    def _one_table(self, table: Table) -> Generator[DumpProgress]:
        with self._reading(f"the table {table.name}"):
            try:
                # Reading one row locks the definition until the snapshot's savepoint is rolled back to.
                self._connection.rows(f"SELECT 1 FROM {quote(table.name)} LIMIT 1")  # noqa: S608 - a quoted name
            except pymysql.err.Error as error:
                if code_of(error) == _ALTERED:
                    yield from self._altered_table(table)
                elif code_of(error) in _GONE:
                    self._warn(f"The table {table.name} was dropped during the dump and is not in it.")
                elif is_of_one_object(error):
                    self._define_only(table, message_of(error))
                else:
                    raise
                return
            yield from self._write_table(self._connection, table)
            self._connection.execute("ROLLBACK TO SAVEPOINT backstay")

    def _altered_table(self, table: Table) -> Generator[DumpProgress]:
        """Dump a table that the snapshot cannot read any more, as it is now."""
        with connect(self._address) as later:
            begin_snapshot(later)
            yield from self._write_table(later, table)

    def _define_only(self, table: Table, reason: str) -> None:
        """Write the definition of a table whose rows the server does not give; without one, all of it is missing."""
        definition = self._table_definition(self._connection, table)
        if definition is not None:
            self._omissions.add("rows of the table", table.name, reason)
            self._write_definition(table, definition)
        self._connection.execute("ROLLBACK TO SAVEPOINT backstay")

    def _table_definition(self, connection: Connection, table: Table) -> str | None:
        try:
            return self._definitions.table(connection, table.name).text
        except pymysql.err.Error as error:
            if not is_of_one_object(error):
                raise
            self._omissions.add("table", table.name, message_of(error))
            return None

    def _write_definition(self, table: Table, definition: str) -> str:
        abstract = self._naming.abstract(table.name)
        if self._options.drop_statements:
            self._writer.statement(f"DROP TABLE IF EXISTS {quote(abstract)}")
        self._writer.statement(definition)
        self._dumped["table"].append(abstract)
        return abstract

    def _write_table(self, connection: Connection, table: Table) -> Generator[DumpProgress]:
        definition = self._table_definition(connection, table)
        if definition is None:
            return
        if re.sub(r" AUTO_INCREMENT=\d+", "", definition) != self._defined[table.name]:
            self._warn(
                f"The table {table.name} was altered during the dump: it is dumped as it is now, "
                "and may not fit the other tables."
            )
        abstract = self._write_definition(table, definition)
        if self._filter.has_rows(table.name, table.engine):
            yield from self._write_rows(connection, table, definition, abstract)

    def _write_rows(
        self, connection: Connection, table: Table, definition: str, abstract: str
    ) -> Generator[DumpProgress]:
        before = self._rows_done
        try:
            columns = read_columns(connection, table.name)
            self._literal |= {column.name for column in columns if column.name.startswith("#__")}
            reader = TableReader(connection, table, columns, definition, self._writer, self._options, self._warn)
            for rows in reader.write_rows(abstract):
                self._rows_done += rows
                yield self._progress()
        except pymysql.err.Error as error:
            if not is_of_one_object(error):
                raise
            read = self._rows_done - before
            reason = f"{message_of(error)}; {read} of them were read and are in the dump"
            self._omissions.add("rows of the table", table.name, reason)
            return
        self._summaries[abstract] = reader.summary

    def _sequence(self, sequence: Table) -> None:
        with self._reading(f"the sequence {sequence.name}"):
            try:
                definition = self._definitions.sequence(self._connection, sequence.name)
                state = self._connection.rows(f"SELECT * FROM {quote(sequence.name)}")[0]  # noqa: S608 - a quoted name
            except pymysql.err.Error as error:
                if not is_of_one_object(error):
                    raise
                self._omissions.add("sequence", sequence.name, message_of(error))
                return
        assert definition.text is not None  # noqa: S101 - a definition is never withheld without an error
        name = self._naming.abstract(sequence.name)
        if self._options.drop_statements:
            self._writer.statement(f"DROP SEQUENCE IF EXISTS {quote(name)}")
        self._writer.statement(definition.text)
        values = ", ".join(str(int(value)) for value in state.values())
        self._writer.statement(f"INSERT INTO {quote(name)}  VALUES \n({values})")  # noqa: S608 - a quoted name, numbers
        self._dumped["sequence"].append(name)

    def _views(self) -> dict[str, Definition]:
        """Write the views, each behind those it reads from; return those that need a routine, in that order."""
        found: dict[str, Definition] = {}
        for name in self._schema.views:
            with self._reading(f"the view {name}"):
                try:
                    found[name] = self._definitions.view(self._connection, name)
                except pymysql.err.Error as error:
                    if not is_of_one_object(error):
                        raise
                    if code_of(error) in _GONE:
                        self._warn(f"The view {name} was dropped during the dump and is not in it.")
                    else:
                        self._omissions.add("view", name, message_of(error))
                    continue
                self._try_view(name)
        waiting = {name for kind in _ROUTINES for name in self._schema.entities.get(kind, ())}
        late: dict[str, Definition] = {}
        for name in in_order(found, {name: definition.uses for name, definition in found.items()}):
            if found[name].uses & waiting:
                waiting.add(name)
                late[name] = found[name]
            else:
                self._write_view(name, found[name])
        return late

    def _try_view(self, name: str) -> None:
        """Warn of a view that does not work; its definition is dumped all the same."""
        try:
            self._connection.rows(f"SELECT 1 FROM {quote(name)} LIMIT 0")  # noqa: S608 - a quoted name
        except pymysql.err.Error as error:
            if not is_of_one_object(error):
                raise
            problem = f"The view {name} does not work: {message_of(error)}."
            if self._options.strict:
                raise DumpError(problem) from error
            self._warn(f"{problem} Its definition is in the dump.")

    def _write_view(self, name: str, definition: Definition) -> None:
        self._write_entity("VIEW", name, definition)
        self._tables_done += 1

    def _entities(self, kind: str) -> None:
        for name in self._schema.entities.get(kind, []):
            with self._reading(f"the {kind.lower()} {name}"):
                try:
                    definition = self._definitions.entity(self._connection, kind, name)
                except pymysql.err.Error as error:
                    if not is_of_one_object(error):
                        raise
                    self._omissions.add(kind.lower(), name, message_of(error))
                    continue
            if definition.text is None:
                self._omissions.add(
                    kind.lower(), name, f"the user {self._address.user!r} has no right to see how it is defined"
                )
                continue
            self._write_entity(kind, name, definition)

    def _write_entity(self, kind: str, name: str, definition: Definition) -> None:
        assert definition.text is not None  # noqa: S101 - the callers have reported those
        abstract = self._naming.abstract(name)
        if self._options.drop_statements:
            self._writer.statement(f"DROP {kind} IF EXISTS {quote(abstract)}")
        self._literal |= definition.literal
        self._writer.session(definition.session)
        self._writer.statement(definition.text, compound=kind != "VIEW")
        key = kind.lower().removesuffix(" body")
        if abstract not in self._dumped[key]:
            self._dumped[key].append(abstract)

    def summary(self, name: str, parts: PartWriter) -> DumpSummary:
        """Return what was written."""
        entry = metadata.entry(
            replace(self._address, prefix=self._address.prefix if self._options.abstract_names else ""),
            name=name,
            marker="\n" + MARKER.decode() if self._options.markers else "",
            parts=len(parts.names),
            tables=self._dumped,
            summaries=self._summaries,
            own={"sql_mode": LOAD_MODE, "time_zone": "+00:00", "literal_names": sorted(self._literal)},
            skipped=self._omissions.to_json(),
            blank_credentials=self._options.blank_credentials,
        )
        rows = sum(summary.rows for summary in self._summaries.values())
        return DumpSummary(
            tuple(parts.names), self._summaries, entry, rows, parts.written, tuple(self._omissions.objects)
        )
