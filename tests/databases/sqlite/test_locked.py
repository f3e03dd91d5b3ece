"""A SQLite file that another program has locked is waited for, and reported if it stays so; it is never read half."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress, copy_sqlite
from backstay.databases.sqlite import copy
from backstay.errors import DatabaseLockedError
from support.sinks import dump_to


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(copy, "_STEP_SECONDS", 0.05)


@pytest.fixture(params=["delete", "wal"])
def writer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file with one row, in each mode of its journal."""
    path = tmp_path / "site.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES ('before')")
        yield connection


def rows(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT x FROM t").fetchall()


def mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def lock(connection: sqlite3.Connection) -> None:
    """Take the file for this connection alone, a row half written."""
    if mode(connection) == "wal":
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("INSERT INTO t VALUES ('half')")


def test_a_file_that_stays_locked_is_an_error_of_its_own(writer: sqlite3.Connection, tmp_path: Path) -> None:
    if mode(writer) == "wal":
        # A connection that has the file for itself from its first look at it lets nobody else in.
        writer.execute("PRAGMA journal_mode = delete")
        writer.execute("PRAGMA locking_mode = EXCLUSIVE")
        writer.execute("PRAGMA journal_mode = wal")
    lock(writer)
    with pytest.raises(DatabaseLockedError, match=r"site\.db is locked by another program and stays so"):
        copy_sqlite(tmp_path / "site.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    with pytest.raises(DatabaseLockedError, match="is locked by another program"):
        dump_to(tmp_path / "dump", DatabaseAddress("sqlite", name=str(tmp_path / "site.db")))


def test_a_lock_that_is_let_go_is_waited_for(writer: sqlite3.Connection, tmp_path: Path) -> None:
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("INSERT INTO t VALUES ('while it was locked')")

    def let_go() -> None:
        time.sleep(0.2)
        writer.execute("COMMIT")

    other = threading.Thread(target=let_go)
    other.start()
    copy_sqlite(tmp_path / "site.db", tmp_path / "copy.db")
    other.join()
    expected = [("before",), ("while it was locked",)]
    # Nobody waits for a writer in WAL mode: what it has not committed is not seen.
    assert rows(tmp_path / "copy.db") in ([expected[:1], expected] if mode(writer) == "wal" else [expected])


def test_a_lock_that_comes_between_opening_and_copying_is_reported(
    writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_read_only = copy.open_read_only

    def opened(path: Path) -> sqlite3.Connection:
        connection = open_read_only(path)
        writer.execute("BEGIN EXCLUSIVE")
        return connection

    monkeypatch.setattr(copy, "open_read_only", opened)
    if mode(writer) == "wal":
        copy_sqlite(tmp_path / "site.db", tmp_path / "copy.db")
        assert rows(tmp_path / "copy.db") == [("before",)]
        return
    with pytest.raises(DatabaseLockedError, match="is locked by another program"):
        copy_sqlite(tmp_path / "site.db", tmp_path / "copy.db")
