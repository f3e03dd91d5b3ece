"""What goes in and out of a dump and a load, as plain data."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

Json = dict[str, Any]
OnWarning = Callable[[str], None]
Part = tuple[str, Callable[[], BinaryIO]]


class PartSink(Protocol):
    """Where the parts of a dump go: a folder, an archive's spool, a test's memory."""

    def open(self, name: str) -> BinaryIO:
        """Begin the part of that name and return a file to write it to; closing it ends the part."""
        ...


@dataclass(frozen=True)
class DumpOptions:
    """How a database is dumped. The defaults are those of the vendor's settings, but for entities and engine options.

    Attributes:
        abstract_names: write the site's prefix as ``#__`` in identifiers.
        part_size: bytes after which a new part begins; 0 never (``engine.dump.common.splitsize``).
        packet_size: most bytes of one INSERT of several rows (``engine.dump.common.packet_size``).
        extended_inserts: several rows to an INSERT.
        skip_tables: names, plain or abstract, of tables and entities to leave out.
        skip_table_data: names of tables whose rows are left out.
        skip_tables_regex: the same by PCRE with delimiters, matched against the abstract name; a leading ``!`` negates.
        skip_table_data_regex: the same for rows.
        entities: dump procedures, functions, triggers and events.
        definer: keep the DEFINER of views, routines, triggers and events.
        strip_engine_options: leave out index and row options that belong to an engine (``nobtree``).
        drop_statements: write ``DROP … IF EXISTS`` before each CREATE.
        markers: precede each statement with ``/**ABDB**/``; without them, ``DELIMITER`` stands around routines.
        blank_credentials: leave user and password out of the metadata.
        strict: fail at the first object that the server does not give, rather than warn and go on.
        cut_by_content: let what the rows hold decide where a statement and a part ends, in place of their sizes alone,
            so that a row more or less moves no border but those next to it.
    """

    abstract_names: bool = True
    part_size: int = 524_288
    packet_size: int = 131_072
    extended_inserts: bool = True
    skip_tables: frozenset[str] = frozenset()
    skip_table_data: frozenset[str] = frozenset()
    skip_tables_regex: tuple[str, ...] = ()
    skip_table_data_regex: tuple[str, ...] = ()
    entities: bool = True
    definer: bool = False
    strip_engine_options: bool = False
    drop_statements: bool = False
    markers: bool = True
    blank_credentials: bool = False
    strict: bool = False
    cut_by_content: bool = False

    @classmethod
    def single_file(cls, **changes: Any) -> DumpOptions:
        """Return the options of the ``dbonly`` type: real names, DROP and DELIMITER statements, one file."""
        settings: dict[str, Any] = {
            "abstract_names": False,
            "drop_statements": True,
            "markers": False,
            "part_size": 0,
            **changes,
        }
        return cls(**settings)


@dataclass(frozen=True, slots=True)
class DumpProgress:
    """How far a dump is: the table in hand, rows done and (estimated) in all, tables, bytes written."""

    table: str
    rows_done: int
    rows_total: int
    tables_done: int
    tables_total: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What a table held inside the dump's snapshot.

    Attributes:
        rows: number of rows.
        checksum: sum of a CRC over each row's text, modulo 2**64, so that the order of rows does not matter.
    """

    rows: int
    checksum: int


@dataclass(frozen=True, slots=True)
class SkippedObject:
    """An object of a database that the server did not give to a dump, or did not make in a load.

    Attributes:
        kind: what it is, in lower case: ``view``, ``trigger``, ``rows of the table``.
        name: its name in the database.
        reason: the server's sentence, without a full stop.
        statement: in a load, SQL that makes it, complete with terminators and session settings, as the server's own
            command-line client reads it; empty in a dump.
    """

    kind: str
    name: str
    reason: str
    statement: str = ""


@dataclass(frozen=True, slots=True)
class DumpSummary:
    """What a dump wrote.

    Attributes:
        parts: the parts' names, in order.
        tables: each table's rows and checksum.
        metadata: the entry for databases.json.
        rows: rows of all tables.
        bytes: of SQL.
        skipped: what is not in the dump because the server does not give it; in the metadata too.
    """

    parts: tuple[str, ...]
    tables: Mapping[str, TableSummary]
    metadata: Json
    rows: int
    bytes: int
    skipped: tuple[SkippedObject, ...] = ()


class ExistingTables(enum.Enum):
    """What a load does where the database holds tables of the same names."""

    REFUSE = "refuse"
    REPLACE = "replace"
    BACK_UP = "back up"


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a load is: part and table in hand, rows and statements executed, bytes of SQL read."""

    part: str
    table: str
    rows_done: int
    statements: int
    bytes_in: int


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What a load made.

    Attributes:
        tables: names of the tables.
        entities: names of the other objects.
        rows: rows of all tables.
        bytes: of SQL read.
        backups: names of replaced tables → names under which they are kept.
        skipped: what the server refused to make.
    """

    tables: tuple[str, ...]
    entities: tuple[str, ...]
    rows: int
    bytes: int
    backups: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[SkippedObject, ...] = ()


__all__ = [
    "DumpOptions",
    "DumpProgress",
    "DumpSummary",
    "ExistingTables",
    "Iterable",
    "Json",
    "LoadProgress",
    "LoadSummary",
    "OnWarning",
    "Part",
    "PartSink",
    "SkippedObject",
    "TableSummary",
]
