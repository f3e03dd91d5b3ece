"""Dump a PostgreSQL database: definitions by ``pg_dump``, rows by COPY, all in one exported snapshot.

The parts are plain SQL, which ``psql`` reads too. Names are written as they are: a load under another prefix renames
the tables when they are in place, and PostgreSQL carries every reference along.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql

from backstay.databases import metadata
from backstay.databases.address import DatabaseAddress
from backstay.databases.checksums import sum_of
from backstay.databases.filters import TableFilter
from backstay.databases.model import DumpOptions, DumpProgress, DumpSummary, OnWarning, PartSink, TableSummary
from backstay.databases.parts import PartWriter, statements
from backstay.databases.postgresql.connection import (
    Connection,
    connect,
    first_line,
    is_of_one_object,
    reported_as,
)
from backstay.databases.postgresql.copying import copied
from backstay.databases.postgresql.definitions import SchemaDump, find_pg_dump
from backstay.databases.postgresql.schema import Relation, Schema, read_schema
from backstay.databases.postgresql.unreadable import definition_of, with_tables
from backstay.databases.skipped import Omissions
from backstay.errors import DumpError

_LARGE_OBJECT_PIECE = 1 << 19


def dump(
    address: DatabaseAddress, sink: PartSink, *, name: str, options: DumpOptions, on_warning: OnWarning
) -> Generator[DumpProgress, None, DumpSummary]:
    """Dump one database; see :func:`backstay.databases.dump`."""
    with ExitStack() as stack:
        connection = stack.enter_context(connect(address))
        parts = stack.enter_context(PartWriter(sink, name, options.part_size, by_content=options.cut_by_content))
        work = _Dump(address, options, on_warning, connection, parts)
        with reported_as(address, connection, DumpError, "its definitions were being read"):
            work.begin()
        yield from work.run()
    return work.summary(name)


class _Dump:
    """One dump under way."""

    def __init__(
        self,
        address: DatabaseAddress,
        options: DumpOptions,
        on_warning: OnWarning,
        connection: Connection,
        parts: PartWriter,
    ) -> None:
        self._address = address
        self._options = options
        self._warn = on_warning
        self._omissions = Omissions(on_warning, strict=options.strict)
        self._connection = connection
        self._parts = parts
        self._filter = TableFilter(options, self._abstract)
        self._summaries: dict[str, TableSummary] = {}
        self._rows_done = 0

    def _abstract(self, name: str) -> str:
        prefix = self._address.prefix
        return "#__" + name[len(prefix) :] if prefix and name.startswith(prefix) else name

    def begin(self) -> None:
        """Take the snapshot, and read what there is and how it is defined."""
        program = find_pg_dump(self._connection.info.server_version)
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._connection.execute("SET row_security = off")
        row = self._connection.execute("SELECT pg_export_snapshot()").fetchone()
        found = read_schema(self._connection)
        skipped = [relation for relation in found.relations if self._skipped(relation)]
        self._schema = Schema(
            [relation for relation in found.relations if relation not in skipped],
            found.large_objects,
            found.routines,
        )
        unreadable = [relation for relation in self._schema.relations if not relation.readable]
        self._tables = [r for r in self._schema.relations if r.holds_rows and r.readable]
        schema_dump = SchemaDump(program, self._address, row[0] if row else "", [*skipped, *unreadable])
        self._before, self._drops = schema_dump.before_rows()
        self._after = schema_dump.after_rows()
        if unreadable:
            self._define(unreadable)
        self._rows_total = sum(relation.rows for relation in self._tables)

    def _define(self, unreadable: list[Relation]) -> None:
        """Add the definitions of tables that this account may not read, and warn of their rows."""
        for relation in unreadable:
            self._omissions.add(
                "rows of the table" if relation.holds_rows else "table",
                relation.label,
                f"the user {self._address.user!r} has no right to read it; its columns, keys and indexes are dumped",
            )
        # With an empty path the server writes every name with its schema.
        self._connection.execute("SET LOCAL search_path = ''")
        definitions = [definition_of(self._connection, relation) for relation in unreadable]
        self._before = with_tables(self._before, definitions)
        keys = "".join("".join(one.after_rows) for one in definitions)
        self._after = keys + self._after + "".join("".join(one.foreign_keys) for one in definitions)
        self._drops = [*(one.drop for one in definitions), *self._drops]

    def _skipped(self, relation: Relation) -> bool:
        reason = self._filter.reason_to_skip(relation.name)
        if reason:
            self._warn(reason)
        return reason is not None

    def run(self) -> Generator[DumpProgress]:
        """Write everything: definitions, rows, sequences, large objects, then indexes, keys and triggers."""
        if self._options.drop_statements:
            self._parts.write(("".join(f"{statement};\n" for statement in self._drops)).encode())
        self._parts.write(self._before.encode())
        for done, relation in enumerate(self._tables):
            yield self._progress(relation.name, done)
            if self._filter.has_rows(relation.name, ""):
                with reported_as(
                    self._address, self._connection, DumpError, f"the table {relation.name} was being dumped"
                ):
                    for _ in self._rows(relation):
                        yield self._progress(relation.name, done)
        with reported_as(self._address, self._connection, DumpError, "sequences and large objects were being dumped"):
            self._sequences()
            self._large_objects()
        self._parts.write(self._after.encode())
        views = [relation for relation in self._schema.relations if relation.kind == "m" and relation.populated]
        for relation in views:
            self._parts.write(f"REFRESH MATERIALIZED VIEW {relation.quoted};\n".encode())
        yield self._progress("", len(self._tables))

    def _progress(self, table: str, done: int) -> DumpProgress:
        total = max(self._rows_done, self._rows_total)
        return DumpProgress(table, self._rows_done, total, done, len(self._tables), self._parts.written)

    def _rows(self, relation: Relation) -> Iterator[int]:
        columns = ", ".join(sql.Identifier(column).as_string() for column in relation.columns)
        table = f"COPY {relation.quoted}" + (f" ({columns})" if columns else "")
        head = f"{table} FROM stdin;\n".encode()
        count = checksum = 0
        self._connection.execute("SAVEPOINT backstay")
        try:
            for rows in self._blocks(copied(self._connection, f"{table} TO STDOUT".encode(), self._block_size())):
                block = b"".join([head, *rows, b"\\.\n\n"])
                checksum += sum_of(rows, len(block))
                count += len(rows)
                self._rows_done += len(rows)
                self._parts.write(block)
                yield count
        except psycopg.Error as error:
            if not is_of_one_object(self._connection, error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT backstay")
            reason = f"{first_line(error)}; {count} of them were read and are in the dump"
            self._omissions.add("rows of the table", relation.label, reason)
            return
        self._connection.execute("RELEASE SAVEPOINT backstay")
        self._summaries[relation.label] = TableSummary(count, checksum & 0xFFFF_FFFF_FFFF_FFFF)

    def _blocks(self, found: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
        """Yield rows as they go into one COPY each."""
        return statements(found, self._block_size()) if self._options.cut_by_content else found

    @contextmanager
    def _one_object(self, kind: str, name: str) -> Iterator[None]:
        """Go on with the next object, with a warning, where the server refuses this one."""
        self._connection.execute("SAVEPOINT backstay")
        try:
            yield
        except psycopg.Error as error:
            if not is_of_one_object(self._connection, error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT backstay")
            self._omissions.add(kind, name, first_line(error))
        self._connection.execute("RELEASE SAVEPOINT backstay")

    def _block_size(self) -> int:
        size = self._options.part_size or 1 << 20
        return max(1 << 14, min(size, 1 << 20) - (1 << 12))

    def _sequences(self) -> None:
        for relation in self._schema.relations:
            if relation.kind == "S":
                with self._one_object("value of the sequence", relation.label):
                    self._sequence(relation)

    def _sequence(self, relation: Relation) -> None:
        state = f"SELECT last_value, is_called FROM {relation.quoted}"  # noqa: S608 - a quoted name
        row = self._connection.execute(state.encode()).fetchone()
        if row is not None:
            name = sql.Literal(relation.quoted).as_string()
            called = "true" if row[1] else "false"
            self._parts.write(f"SELECT pg_catalog.setval({name}, {row[0]}, {called});\n".encode())

    def _large_objects(self) -> None:
        for oid in self._schema.large_objects:
            with self._one_object("large object", str(oid)):
                self._large_object(oid)

    def _large_object(self, oid: int) -> None:
        offset = 0
        while True:
            row = self._connection.execute("SELECT lo_get(%s, %s, %s)", (oid, offset, _LARGE_OBJECT_PIECE)).fetchone()
            piece = bytes(row[0]) if row else b""
            if offset == 0:
                self._parts.write(f"SELECT pg_catalog.lo_create('{oid}');\n".encode())
            if not piece:
                return
            self._parts.write(f"SELECT pg_catalog.lo_put('{oid}', {offset}, '\\x{piece.hex()}');\n".encode())
            offset += len(piece)

    def summary(self, name: str) -> DumpSummary:
        """Return what was written."""
        kinds = {"table": "rpf", "view": "vm", "sequence": "S"}
        names = {
            kind: [r.label for r in self._schema.relations if r.kind in letters] for kind, letters in kinds.items()
        }
        tables = {**names, "function": self._schema.routines}
        entry = metadata.entry(
            self._address,
            name=name,
            marker="",
            parts=len(self._parts.names),
            tables={kind: tables[kind] for kind in ("function", "table", "view", "sequence")},
            summaries=self._summaries,
            own={"time_zone": "UTC", "drops": self._drops},
            skipped=self._omissions.to_json(),
            blank_credentials=self._options.blank_credentials,
        )
        rows = sum(summary.rows for summary in self._summaries.values())
        return DumpSummary(
            tuple(self._parts.names), self._summaries, entry, rows, self._parts.written, tuple(self._omissions.objects)
        )
