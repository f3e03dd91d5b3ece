"""A table's rows, read in one pass and written as INSERT statements, with their number and checksum."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence

from isal import isal_zlib
from pymysql.cursors import SSCursor

from backstay.databases.checksums import sum_of
from backstay.databases.model import DumpOptions, OnWarning, TableSummary
from backstay.databases.mysql.connection import Connection
from backstay.databases.mysql.rows import Column, escaped, raw_expression, row_form, value_expression
from backstay.databases.mysql.schema import Table
from backstay.databases.mysql.tokens import quote
from backstay.databases.mysql.writer import StatementWriter
from backstay.databases.parts import statements

_ROW_START = re.compile(r"`((?:[^`]|``)+)` (\w+)\(\d+\)[^,]*? GENERATED ALWAYS AS ROW (START|END)")
_PIECE = 1 << 19


def begin_snapshot(connection: Connection) -> None:
    """Begin the transaction that sees one state of the whole database, and mark its start."""
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    connection.execute("SAVEPOINT backstay")


class TableReader:
    """Reads one table in a snapshot and writes its rows."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        definition: str,
        writer: StatementWriter,
        options: DumpOptions,
        on_warning: OnWarning,
    ) -> None:
        self._connection = connection
        self._table = table
        self._writer = writer
        self._options = options
        self._history = table.versioned and self._history_is_kept(definition, on_warning)
        self._columns = self._stored(columns, definition)
        self._listed = self._history or any(column.generated or column.invisible for column in columns)
        self._form = row_form(self._columns)
        self._rows = self._checksum = 0

    @property
    def summary(self) -> TableSummary:
        """Rows read so far and their checksum."""
        return TableSummary(self._rows, self._checksum & 0xFFFF_FFFF_FFFF_FFFF)

    def write_rows(self, abstract: str) -> Iterator[int]:
        """Write all rows as INSERTs into a table of the given name; yield the number of each INSERT's rows."""
        names = ", ".join(quote(column.name) for column in self._columns)
        listed = f"({names})" if self._listed else ""
        head = f"INSERT INTO {quote(abstract)} {listed} VALUES \n"  # noqa: S608 - quoted names
        encoded = head.encode("utf-8", "surrogateescape")
        if self._history:
            self._writer.statement("SET SESSION system_versioning_insert_history = 1")
        for rows in self.read_batches(len(encoded)):
            for batch in self._fitting(rows, len(encoded)):
                self._writer.insert(encoded, batch)
            yield len(rows)
        if self._rows_too_long:
            yield from self._write_long_rows(head)
        if self._history:
            self._writer.statement("SET SESSION system_versioning_insert_history = 0")

    def read_batches(self, head: int = 0) -> Generator[list[bytes]]:
        """Yield the rows as the server writes them, in batches of an INSERT's size; count them and sum them up.

        Rows that are too long are only counted: :attr:`_rows_too_long`.
        """
        limit = max(1024, self._options.packet_size - head - 32)
        self._rows_too_long = 0
        if self._options.cut_by_content:
            yield from statements(self._received(limit), limit)
            return
        pending: list[bytes] = []
        size = 0
        for rows in self._received(limit):
            added = sum(map(len, rows)) + 2 * len(rows)
            if pending and size + added > limit:
                yield pending
                pending, size = [], 0
            pending += rows
            size += added
        if pending:
            yield pending

    def _received(self, size: int) -> Iterator[list[bytes]]:
        """Yield the rows as they come, each list from about ``size`` bytes; count them and sum them up."""
        for received in self._connection.stream(f"SELECT {self._form.expression} FROM {self._source()}", size):  # noqa: S608
            rows = [row for row in received if row is not None]
            self._rows_too_long += len(received) - len(rows)
            self._rows += len(received)
            self._checksum += sum_of(rows, sum(map(len, rows)))
            yield rows

    def _source(self) -> str:
        return quote(self._table.name) + (" FOR SYSTEM_TIME ALL" if self._history else "")

    def _fitting(self, rows: list[bytes], head: int) -> Iterator[bytes]:
        """Yield the text of INSERTs that hold these rows, each at most a packet if it has more than one row."""
        step = len(rows) if self._options.extended_inserts else 1
        for start in range(0, len(rows), step):
            yield from self._halved(rows[start : start + step], head)

    def _halved(self, rows: list[bytes], head: int) -> Iterator[bytes]:
        text = escaped(rows, protect=self._options.abstract_names)
        if len(rows) == 1 or head + len(text) + 12 <= self._options.packet_size:
            yield text
            return
        middle = len(rows) // 2
        yield from self._halved(rows[:middle], head)
        yield from self._halved(rows[middle:], head)

    def _write_long_rows(self, head: str) -> Iterator[int]:
        for values in self._long_rows():
            written: list[bytes] = []
            used = 0
            for column, value in zip(self._columns, values, strict=True):
                if column.long and value is not None and len(value) > _PIECE:
                    used += 1
                    self._write_pieces(f"@backstay_{used}", value)
                    written.append(_from_variable(f"@backstay_{used}", column.introducer).encode())
                elif column.long:
                    written.append(_digits(value, column.introducer))
                else:
                    written.append(escaped([value or b"NULL"], protect=self._options.abstract_names))
            self._writer.insert(head.encode("utf-8", "surrogateescape"), b"(" + b",".join(written) + b")")
            for number in range(1, used + 1):
                self._writer.statement(f"SET @backstay_{number} = NULL")
            yield 0

    def _write_pieces(self, variable: str, value: bytes) -> None:
        """Write statements that put a long value together in a user variable.

        Each is at most half as long as the value, so that a server which can hold the value can read them.
        """
        step = max(_PIECE, len(value) // 4)
        for start in range(0, len(value), step):
            digits = "0x" + value[start : start + step].hex()
            joined = f"CONCAT({variable},{digits})" if start else digits
            self._writer.statement(f"SET {variable} = {joined}")

    def _long_rows(self) -> Iterator[list[bytes | None]]:
        expressions = [
            raw_expression(column) if column.long else f"CAST({value_expression(column)} AS BINARY)"
            for column in self._columns
        ]
        crc32 = isal_zlib.crc32
        sql = f"SELECT {', '.join(expressions)} FROM {self._source()} WHERE {self._form.expression} IS NULL"  # noqa: S608
        with self._connection.cursor(SSCursor) as cursor:
            cursor.execute(sql)
            while (row := cursor.fetchone()) is not None:
                values = [value.encode() if isinstance(value, str) else value for value in row]
                summed = 0
                for value in values:
                    summed = crc32(value or b"NULL", summed)
                self._checksum += summed
                yield values

    def _stored(self, columns: Sequence[Column], definition: str) -> list[Column]:
        stored = [column for column in columns if not column.generated]
        if not self._history:
            return stored
        named = [match[1].replace("``", "`") for match in _ROW_START.finditer(definition)] or ["row_start", "row_end"]
        period = [Column(name, "timestamp", "timestamp(6)", None, nullable=False, extra="") for name in named]
        return [*stored, *period]

    def _history_is_kept(self, definition: str, on_warning: OnWarning) -> bool:
        by_transaction = any(match[2].lower() == "bigint" for match in _ROW_START.finditer(definition))
        if not by_transaction and self._connection.version >= (10, 11):
            return True
        on_warning(
            f"The table {self._table.name} keeps the history of its rows, and only its present rows are dumped: "
            + ("its history hangs on transaction numbers." if by_transaction else "that needs MariaDB 10.11 or later.")
        )
        return False


def _from_variable(variable: str, introducer: str) -> str:
    """Return SQL of a variable's value that fails, rather than be NULL, where the variable was lost on the way."""
    value = f"IFNULL({variable},(SELECT 1 UNION SELECT 2))"
    return f"CONVERT({value} USING {introducer})" if introducer else value


def _digits(value: bytes | None, introducer: str) -> bytes:
    if value is None:
        return b"NULL"
    if not value:
        return b"''"
    return (f"_{introducer} " if introducer else "").encode() + b"0x" + value.hex().encode()
