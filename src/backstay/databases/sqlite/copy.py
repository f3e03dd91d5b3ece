"""A consistent copy of a SQLite file that others may be writing to."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from backstay.errors import DatabaseConnectionError, DatabaseLockedError, DumpError

MAGIC = b"SQLite format 3\x00"
_PATIENCE_SECONDS = 60.0
_STEP_SECONDS = 1.0
_SIDE_FILES = ("-wal", "-shm", "-journal")


def is_sqlite_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a SQLite database, recognised by its first sixteen bytes; an unreadable file is not."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path may hold bytes that are not UTF-8
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_read_only(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """Open a SQLite file that must exist, without writing to it.

    A file in WAL mode in a folder that cannot be written can only be read where nobody writes to it; where no WAL
    lies beside it, that is certain enough. Another program's exclusive lock is waited for, a minute at most: to read
    on under it would be to read half of what it writes.

    Raises:
        DatabaseConnectionError: the file is not there or is not a SQLite database.
        DatabaseLockedError: another program keeps it locked.
    """
    location = f"file:{quote(os.fsencode(path))}"
    problem: sqlite3.Error | None = None
    wal = Path(os.fspath(path) + "-wal")
    for parameters in ("?mode=ro", "?mode=ro&immutable=1"):
        if "immutable" in parameters and wal.exists():
            break
        try:
            connection = sqlite3.connect(
                location + parameters, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None
            )
        except sqlite3.Error as error:
            problem = error
            continue
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            connection.close()
            if is_locked(error):
                raise DatabaseLockedError(locked_message(path)) from error
            problem = error
            continue
        return connection
    raise DatabaseConnectionError(f"The SQLite file {_shown(path)} cannot be read: {problem}.") from problem


def row_count(path: str | os.PathLike[str]) -> int | None:
    """Return the number of rows of all tables in a SQLite file that nobody writes to; None where that is not to be had.

    Tables of modules that this machine lacks are not counted.
    """
    rows = 0
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", uri=True)) as connection:
            for (name,) in connection.execute(tables).fetchall():
                quoted = name.replace('"', '""')
                with suppress(sqlite3.OperationalError):
                    rows += connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608 - quoted
    except sqlite3.Error:
        return None
    return rows


def copy_sqlite(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> None:
    """Copy a live SQLite database, page by page, in one consistent state.

    Everything is kept: tables of every kind, ``user_version``, encoding, page size. The copy comes without ``-wal``,
    ``-shm`` or ``-journal``. Writers wait, or in WAL mode do not, while it is taken. It waits for them, for a minute:
    in WAL mode only for one that has the file for itself (``locking_mode=EXCLUSIVE``), else for every commit.

    Args:
        source: the database file.
        destination: the file to write; replaced if it exists.

    Raises:
        DatabaseConnectionError: the source is not there or is not a SQLite database.
        DatabaseLockedError: the source stays locked by another program.
        DumpError: the source is damaged.
        OSError: the destination cannot be written.
    """
    target = Path(destination)
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    try:
        _copy_pages(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        for suffix in _SIDE_FILES:
            with suppress(FileNotFoundError):
                Path(os.fspath(target) + suffix).unlink()


def _copy_pages(source: str | os.PathLike[str], target: Path) -> None:
    with closing(open_read_only(source)) as reading:
        # The driver tries again for ever, so that each try is to be short.
        reading.execute(f"PRAGMA busy_timeout = {_STEP_SECONDS * 1000:.0f}")
        location = f"file:{quote(os.fsencode(target))}?mode=rw"
        with closing(sqlite3.connect(location, uri=True, isolation_level=None)) as writing:
            ends = time.monotonic() + _PATIENCE_SECONDS

            def watch(status: int, _remaining: int, _total: int) -> None:
                if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > ends:
                    raise DatabaseLockedError(locked_message(source))

            try:
                # All pages in one go: a copy in steps starts over whenever somebody writes between two of them.
                reading.backup(writing, progress=watch)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorname", "").startswith("SQLITE_FULL"):
                    raise OSError(28, "No space left on device", os.fspath(target)) from error
                raise DumpError(f"The SQLite file {_shown(source)} cannot be copied: {error}.") from error
            except sqlite3.DatabaseError as error:
                raise DumpError(f"The SQLite file {_shown(source)} is damaged: {error}.") from error


def is_locked(error: sqlite3.Error) -> bool:
    """Whether an error says that another program has locked the file."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def locked_message(path: str | os.PathLike[str]) -> str:
    """Return the sentence for a file that another program does not release."""
    return (
        f"The SQLite file {_shown(path)} is locked by another program and stays so: "
        "end what writes to it, or back up at another time."
    )


def _shown(path: str | os.PathLike[str]) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
