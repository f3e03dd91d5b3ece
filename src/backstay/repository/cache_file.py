"""A SQLite file that is only a cache: made anew wherever it is missing, damaged, or another's."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from backstay.errors import DiskFullError, RepositoryError

_of_parents: list[sqlite3.Connection] = []


class CacheFile:
    """Tables in a SQLite file; safe to use from many threads and processes, and whole after a power cut.

    Args:
        path: the file; made, or made anew, where it is not what ``about`` says.
        name: what it is, for messages.
        about: what it must say of itself to be used: its version, and whose it is.
        tables: the statements that make its tables.
    """

    def __init__(self, path: Path, name: str, about: dict[str, str], tables: str) -> None:
        self._path = path
        self._name = name
        self._about = about
        self._tables = tables
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection = self._opened()

    def _open_in_fork(self) -> None:
        """Open the file anew in a forked process, for SQLite's connections and locks are those of one process."""
        # Never closed: its file is closed here already, and another one may have its number.
        _of_parents.append(self._connection)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        for _ in range(2):
            connection: sqlite3.Connection | None = None
            try:
                connection = sqlite3.connect(self._path, timeout=60, check_same_thread=False, isolation_level=None)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                self._prepare(connection)
            except sqlite3.DatabaseError as error:
                if connection is not None:
                    connection.close()
                self._refuse_full(error)
                remove_cache(self._path)
            else:
                return connection
        raise RepositoryError(f"The {self._name} {self._path} can't be made: check the disk.")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'about'").fetchone()[0]
        if there and dict(connection.execute("SELECT name, value FROM about")) != self._about:
            connection.execute("ROLLBACK")
            raise sqlite3.DatabaseError("another repository's")
        if not there:
            connection.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            for statement in filter(str.strip, self._tables.split(";")):
                connection.execute(statement)
            connection.executemany("INSERT INTO about VALUES (?, ?)", self._about.items())
        connection.execute("COMMIT")

    def _refuse_full(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            message = f"There is no space left for the {self._name} {self._path}: free some space there."
            raise DiskFullError(message) from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            message = f"The {self._name} {self._path} can't be used ({error}): check the disk."
            raise RepositoryError(message) from error

    @contextlib.contextmanager
    def used(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the connection, for one thread at a time; what is written is there as a whole or not at all.

        Raises:
            DiskFullError: there is no space left.
            RepositoryError: the file is damaged, or cannot be used.
        """
        if self._process != os.getpid():
            self._open_in_fork()
        with self._lock:
            try:
                if writes:
                    self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                if writes:
                    self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    self._refuse_full(error)
                    raise RepositoryError(
                        f"The {self._name} {self._path} is damaged ({error}): delete it, it is made again."
                    ) from error
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._process == os.getpid():
                self._connection.close()


def remove_cache(path: Path) -> None:
    """Remove such a file; it is made again when it is opened."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
