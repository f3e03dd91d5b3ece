"""Opening the catalogue: the database, its migrations, and the tables in it."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DatabaseError as SqlError
from sqlalchemy.pool import ConnectionPoolEntry

from backstay.catalogue.activity import ActivityTable
from backstay.catalogue.alarms import AlarmTable
from backstay.catalogue.copies import CopyTable
from backstay.catalogue.counts import CountTable
from backstay.catalogue.destinations import DestinationTable
from backstay.catalogue.figures import FigureTable
from backstay.catalogue.home import Home
from backstay.catalogue.jobs import JobTable
from backstay.catalogue.newest import NewestBackups
from backstay.catalogue.observations import ObservationTable
from backstay.catalogue.profiles import ProfileTable
from backstay.catalogue.recipients import DeliveryTable, RecipientTable
from backstay.catalogue.records import BackupTable
from backstay.catalogue.schedules import RunTable, ScheduleTable
from backstay.catalogue.tokens import TokenTable
from backstay.catalogue.users import SessionTable, UserTable
from backstay.catalogue.vault import Vault
from backstay.errors import BackstayError, ConfigurationError, DiskFullError

REVISION = "0004"
_BUSY_MILLISECONDS = 30_000
# SQLite reports a disk without space for a page as an error of input and output.
_LEAST_SPACE = 1 << 16
_MIGRATIONS = Path(__file__).parent / "migrations"


class Catalogue:
    """The tables of one home; safe to use from several threads and processes."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self.vault = vault
        self.backups = BackupTable(engine)
        self.profiles = ProfileTable(engine, vault)
        self.jobs = JobTable(engine, vault)
        self.tokens = TokenTable(engine)
        self.destinations = DestinationTable(engine, vault)
        self.copies = CopyTable(engine)
        self.schedules = ScheduleTable(engine)
        self.runs = RunTable(engine)
        self.recipients = RecipientTable(engine, vault)
        self.deliveries = DeliveryTable(engine)
        self.figures = FigureTable(engine)
        self.activity = ActivityTable(engine)
        self.counts = CountTable(engine)
        self.newest = NewestBackups(engine)
        self.observations = ObservationTable(engine)
        self.alarms = AlarmTable(engine)
        self.users = UserTable(engine, vault)
        self.sessions = SessionTable(engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_catalogue(home: Home) -> Catalogue:
    """Open the catalogue of a home, made or brought up to date where needed; profile 1 always exists.

    Raises:
        ConfigurationError: the database is damaged, newer than this version, or not to be opened.
    """
    made = not home.catalogue.exists()
    if made:
        home.catalogue.touch(mode=0o600)
    engine = sqlalchemy.create_engine(
        f"sqlite:///{home.catalogue}", connect_args={"timeout": _BUSY_MILLISECONDS / 1000}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", lambda context: _translate(context, home))
    try:
        _migrate(engine, home)
        catalogue = Catalogue(engine, Vault(home.key))
        catalogue.profiles.create_first()
    except SqlError as error:
        engine.dispose()
        raise _problem(home, error.orig) from error
    except BaseException:
        engine.dispose()
        raise
    return catalogue


def _translate(context: sqlalchemy.ExceptionContext, home: Home) -> BackstayError | None:
    """Turn what SQLite refuses, whenever it does, into an error that a user can read; bugs stay what they are."""
    if isinstance(context.original_exception, sqlite3.OperationalError | sqlite3.DatabaseError) and not isinstance(
        context.original_exception, sqlite3.IntegrityError | sqlite3.ProgrammingError
    ):
        return _problem(home, context.original_exception)
    return None


def _problem(home: Home, original: BaseException | None) -> BackstayError:
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


def _begin(connection: sqlalchemy.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes", False) else "BEGIN")


def _migrate(engine: Engine, home: Home) -> None:
    """Bring the tables to this version's form; costs one small query where they are in it already."""
    with engine.connect() as connection:
        there = connection.execute(
            text("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
        ).scalar_one()
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if there else None
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise ConfigurationError(
            f"The catalogue {home.catalogue} was written by a newer version of Backstay: install that version."
        )
    # Imported here because it is slow, and needed only when the version of Backstay changes.
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, REVISION)
