"""The catalogue in a file of the home: SQLite in WAL mode, each commit synced, one writer at a time."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry

from backstay.catalogue.home import Home
from backstay.errors import BackstayError, ConfigurationError, DiskFullError

_BUSY_MILLISECONDS = 30_000
# SQLite reports a disk without space for a page as an error of input and output.
_LEAST_SPACE = 1 << 16


def make_engine(home: Home) -> Engine:
    """Return the engine over a home's own file, which is made private to its user where it is missing."""
    if not home.catalogue.exists():
        home.catalogue.touch(mode=0o600)
    engine = sqlalchemy.create_engine(
        f"sqlite:///{home.catalogue}", connect_args={"timeout": _BUSY_MILLISECONDS / 1000}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", lambda context: _translate(context, home))
    return engine


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none yet."""
    there = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
    ).scalar_one()
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if there else None


def problem(home: Home, original: BaseException | None) -> BackstayError:
    """Return what a user is shown of a catalogue that cannot be used.

    Only a catalogue that is damaged itself is to be replaced: on a full disk that advice would lose a good one.
    """
    code = getattr(original, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ConfigurationError(
            f"The catalogue {home.catalogue} is damaged ({original}): put a good copy in its place."
        )
    if code == sqlite3.SQLITE_FULL or _free_bytes(home.path) < _LEAST_SPACE:
        return DiskFullError(
            f"There is no space left for the catalogue in {home.path}: free some space there and try again."
        )
    if code == sqlite3.SQLITE_BUSY:
        return ConfigurationError(
            f"The catalogue {home.catalogue} is locked since {_BUSY_MILLISECONDS // 1000} seconds: find what holds it."
        )
    return ConfigurationError(f"The catalogue {home.catalogue} can't be used: {original}.")


def _translate(context: sqlalchemy.ExceptionContext, home: Home) -> BackstayError | None:
    """Turn what SQLite refuses, whenever it does, into an error that a user can read; bugs stay what they are."""
    if isinstance(context.original_exception, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
        context.original_exception, sqlite3.IntegrityError | sqlite3.ProgrammingError
    ):
        return problem(home, context.original_exception)
    return None


def _free_bytes(folder: Path) -> int:
    """Return the bytes free on a folder's disk; plenty where that is not known."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 60


def _prepare(connection: Any, record: ConnectionPoolEntry) -> None:
    del record
    # SQLAlchemy sends BEGIN itself (below), so that a transaction that writes holds the lock from its start on
    # and waits for its turn instead of failing in the middle.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL mode; SQLite refuses that at once, without waiting, while another process makes the same switch."""
    patience = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
        time.sleep(0.01)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")
