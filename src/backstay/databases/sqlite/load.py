"""Load SQL text into a SQLite file: into a new file beside it, which takes its place when it is whole."""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from backstay.databases.address import DatabaseAddress
from backstay.databases.choice import TableChoice
from backstay.databases.model import ExistingTables, Json, LoadProgress, LoadSummary, OnWarning, Part
from backstay.databases.skipped import Refusals
from backstay.databases.sqlite.copy import copy_sqlite, is_sqlite_file, open_read_only
from backstay.databases.sqlite.selection import Selection
from backstay.errors import DatabaseConnectionError, LoadError, TablesExistError

_READ = 1 << 20
_PROGRESS_AFTER = 1 << 20
_PIECE = re.compile(
    # No possessive groups: they match wrongly in Python before 3.11.5. Bounded, so that the matcher remembers little.
    rb"(?:[^'\"`\[;/\-]+|'[^']*(?:''[^']*)*'(?!')|\"[^\"]*(?:\"\"[^\"]*)*\"(?!\")|`[^`]*(?:``[^`]*)*`(?!`)|\[[^\]]*\]"
    rb"|--[^\n]*(?:\n|\Z)|-(?!-)|/\*[^*]*(?:\*(?!/)[^*]*)*\*/|/(?!\*)){1,500}",
    re.DOTALL,
)
_INSERT = re.compile(r"\s*INSERT\s", re.IGNORECASE)
_PRAGMA = re.compile(
    r"\s*PRAGMA\s+(?:encoding|page_size|auto_vacuum|user_version|application_id|foreign_keys|writable_schema)\s*=",
    re.IGNORECASE,
)
_TRIGGER = re.compile(rb"\s*CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\b", re.IGNORECASE)


def load(
    address: DatabaseAddress,
    parts: Iterable[Part],
    *,
    metadata: Json | None,
    policy: ExistingTables,
    only_tables: Sequence[str],
    on_warning: OnWarning,
    refusals: Refusals,
) -> Generator[LoadProgress, None, LoadSummary]:
    """Load a dump; see :func:`backstay.databases.load`."""
    del metadata, on_warning, refusals  # the text says all there is to know, and SQLite changes no value
    target = Path(address.name)
    exists = target.exists() and target.stat().st_size > 0
    if exists and not only_tables and policy is ExistingTables.REFUSE and _holds_tables(target):
        raise TablesExistError(
            f"The SQLite file {target} already holds tables: load into a new file, or say that it may be replaced."
        )
    fresh = target.with_name(f".{target.name}.backstay-new")
    fresh.unlink(missing_ok=True)
    selection = (
        Selection(TableChoice(only_tables, dumped_prefix=address.prefix), settings=not exists) if only_tables else None
    )
    work = _Load(target, policy, selection)
    try:
        if exists and selection:
            copy_sqlite(target, fresh)
        try:
            connection = sqlite3.connect(fresh, isolation_level=None)
        except sqlite3.Error as error:
            raise DatabaseConnectionError(f"The SQLite file {target} cannot be written: {error}.") from error
        with closing(connection):
            yield from work.run(connection, parts)
        backups = _put_in_place(fresh, target, keep=exists and policy is ExistingTables.BACK_UP)
    except BaseException:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{fresh}{suffix}").unlink(missing_ok=True)
        raise
    return LoadSummary(tuple(work.tables), tuple(work.entities), work.rows, work.bytes, backups)


def _holds_tables(path: Path) -> bool:
    if not is_sqlite_file(path):
        return True
    with closing(open_read_only(path)) as connection:
        return bool(connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone())


def _put_in_place(fresh: Path, target: Path, *, keep: bool) -> dict[str, str]:
    with fresh.open("rb+") as file:
        os.fsync(file.fileno())
    backups = {}
    if keep:
        backup = free_backup_name(target)
        copy_sqlite(target, backup)
        backups[target.name] = backup.name
    for suffix in ("-wal", "-shm", "-journal"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
    fresh.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return backups


def free_backup_name(target: Path) -> Path:
    """Return the name beside a SQLite file under which it can be kept: no earlier backup has it."""
    numbers = itertools.count(2)
    backup = target.with_name(target.name + ".bak")
    while backup.exists():
        backup = target.with_name(f"{target.name}.bak{next(numbers)}")
    return backup


def _refuse_other_files(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    """Let nothing but the file itself be touched: an archive may come from anywhere."""
    del first, second, database, trigger
    return sqlite3.SQLITE_DENY if action in {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH} else sqlite3.SQLITE_OK


class _Load:
    """One load under way."""

    def __init__(self, target: Path, policy: ExistingTables, selection: Selection | None) -> None:
        self._target = target
        self._policy = policy
        self._selection = selection
        self.tables: list[str] = []
        self.entities: list[str] = []
        self.rows = self.bytes = self._statements = 0

    def run(self, connection: sqlite3.Connection, parts: Iterable[Part]) -> Generator[LoadProgress]:
        """Execute every statement of the parts."""
        connection.set_authorizer(_refuse_other_files)
        connection.execute("PRAGMA synchronous = OFF")
        before = _names(connection)
        reported = 0
        name = ""
        for name, opener in parts:
            at = 0
            with closing(opener()) as file:
                try:
                    for offset, statement in read_statements(file):
                        at = offset
                        self._execute(connection, statement)
                        self.bytes += len(statement)
                        if self.bytes - reported >= _PROGRESS_AFTER:
                            reported = self.bytes
                            yield LoadProgress(name, "", self.rows, self._statements, self.bytes)
                except sqlite3.Error as error:
                    raise LoadError(f"{name}, byte {at}: SQLite refused a statement: {error}.") from error
                except LoadError as error:
                    if type(error) is not LoadError:
                        raise
                    raise LoadError(f"{name}: {error}.") from error
        if connection.in_transaction:
            connection.execute("COMMIT")
        for item, kind in _names(connection).items():
            if item not in before or (self._selection and item in self._selection.made):
                (self.tables if kind == "table" else self.entities).append(item)
        yield LoadProgress(name, "", self.rows, self._statements, self.bytes)

    def _execute(self, connection: sqlite3.Connection, statement: bytes) -> None:
        text = statement.decode("utf-8", "surrogateescape")
        if text.lstrip()[:6].upper() == "PRAGMA" and not _PRAGMA.match(text):
            return
        if self._selection:
            if not self._selection.takes(text):
                return
            if self._selection.makes:
                self._drop_namesake(connection, self._selection.makes)
            if self._selection.counts:
                # The rows have made one already.
                connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (self._selection.counts,))
        cursor = connection.execute(text)
        self._statements += 1
        if _INSERT.match(text):
            self.rows += max(0, cursor.rowcount)

    def _drop_namesake(self, connection: sqlite3.Connection, name: str) -> None:
        """Drop what has the name of something that is about to be made."""
        found = connection.execute("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (name,)).fetchone()
        if not found:
            return
        if self._policy is ExistingTables.REFUSE:
            raise TablesExistError(
                f"The SQLite file {self._target} already holds {name}: load into a new file, or say that it may be "
                "replaced."
            )
        connection.execute(f"DROP {found[0]} {_quote(name)}")


def _names(connection: sqlite3.Connection) -> dict[str, str]:
    listed = connection.execute("SELECT name, type FROM sqlite_master")
    return {name: kind for name, kind in listed if not name.startswith("sqlite_")}


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def read_statements(part: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each statement of a part and the offset at which it begins.

    Raises:
        LoadError: a quotation mark or a comment has no end.
    """
    buffer, offset, searched, ended = b"", 0, 0, False
    while True:
        end = searched
        while match := _PIECE.match(buffer, end):
            end = match.end()
        if end + 1 >= len(buffer) and not ended:
            received = part.read(max(_READ, len(buffer)))
            ended = not received
            buffer += received
            continue
        if buffer[end : end + 1] == b";":
            statement = buffer[: end + 1]
            if _TRIGGER.match(statement) and not sqlite3.complete_statement(statement.decode("utf-8", "replace")):
                searched = end + 1
                continue
            yield offset, statement
            buffer, offset, searched = buffer[end + 1 :], offset + end + 1, 0
        elif end >= len(buffer):
            if buffer.strip():
                yield offset, buffer
            return
        elif ended:
            raise LoadError(f"the statement that begins at byte {offset} has no end")
        else:
            received = part.read(max(_READ, len(buffer)))
            ended = not received
            buffer += received
