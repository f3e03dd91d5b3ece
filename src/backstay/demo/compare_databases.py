"""Two SQLite files compared by what they hold: schema, rows and soundness, not bytes.

A consistent copy of a live database differs from it in bytes (pages still in the write-ahead log, counters), so it
is the content that has to be the same. Neither file is opened where it lies, since even reading a database in
write-ahead mode writes beside it: a copy is opened, with the log where there is one.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

SQLITE_HEADER: Final = b"SQLite format 3\0"
COMPANION_ENDINGS: Final = ("-wal", "-shm", "-journal")
PRAGMAS: Final = ("user_version", "application_id", "encoding", "auto_vacuum", "page_size")
_MODULUS: Final = 1 << 256


@dataclass(frozen=True, slots=True)
class DatabaseContent:
    """What a SQLite file holds, small enough to compare.

    Attributes:
        schema: every object as (type, name, table, SQL), sorted.
        tables: for each table the number of rows and the sum of the hashes of its rows, whatever their order.
        pragmas: the settings that live in the file.
        problems: what SQLite's own integrity check finds; empty where all is sound.
    """

    schema: tuple[tuple[str, str, str, str | None], ...]
    tables: dict[str, tuple[int, int]]
    pragmas: dict[str, object]
    problems: tuple[str, ...]

    @property
    def rows(self) -> int:
        """The number of rows in all tables."""
        return sum(count for count, _ in self.tables.values())


def is_database(file: Path) -> bool:
    """Return whether a regular file starts as SQLite files do."""
    with file.open("rb") as stream:
        return stream.read(len(SQLITE_HEADER)) == SQLITE_HEADER


def read_database(file: Path) -> DatabaseContent:
    """Read the content of a SQLite file without touching it or its folder.

    Raises:
        sqlite3.DatabaseError: it is no SQLite file after all, or too damaged to read.
    """
    with _copy(file) as copy, closing(sqlite3.connect(copy)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2, 3").fetchall()
        names = [name for kind, name, _, sql in schema if kind == "table" and not _is_virtual(sql)]
        return DatabaseContent(
            schema=tuple(schema),
            tables={name: _rows_of(connection, name) for name in names},
            pragmas={name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS},
            problems=tuple(row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"),
        )


def differences_of_databases(original: DatabaseContent, restored: DatabaseContent) -> list[str]:
    """Say in words in what two databases differ; an empty list means in nothing."""
    found = [f"integrity check: {problem}" for problem in restored.problems if problem not in original.problems]
    found += [
        f"{name} is {restored.pragmas[name]}, not {value}"
        for name, value in original.pragmas.items()
        if restored.pragmas[name] != value
    ]
    for entry in sorted(set(original.schema) ^ set(restored.schema), key=repr):
        found.append(f"{entry[0]} {entry[1]} is {'missing or different' if entry in original.schema else 'new'}")
    for name, (count, rows_hash) in original.tables.items():
        restored_count, restored_hash = restored.tables.get(name, (0, 0))
        if count != restored_count:
            found.append(f"table {name} has {restored_count} rows, not {count}")
        elif rows_hash != restored_hash:
            found.append(f"table {name} has other rows")
    return found


def _is_virtual(sql: str | None) -> bool:
    """Return whether a table is virtual: what it holds lies in ordinary tables, which are compared."""
    return (sql or "").upper().startswith("CREATE VIRTUAL")


def _rows_of(connection: sqlite3.Connection, table: str) -> tuple[int, int]:
    quoted = table.replace('"', '""')
    count = total = 0
    for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608  # the name is quoted
        count += 1
        digest = blake3(repr(row).encode("utf-8", "surrogateescape")).digest()
        total = (total + int.from_bytes(digest, "big")) % _MODULUS
    return count, total


@contextmanager
def _copy(file: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstay-compare-") as folder:
        copy = Path(folder) / "copy"
        shutil.copyfile(file, copy)
        for ending in ("-wal", "-journal"):
            companion = file.with_name(file.name + ending)
            if companion.exists():
                shutil.copyfile(companion, copy.with_name(copy.name + ending))
        yield copy
