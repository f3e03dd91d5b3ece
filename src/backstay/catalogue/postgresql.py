"""The catalogue in a PostgreSQL database, which several machines may share (PostgreSQL 13 or newer).

What holds with SQLite holds here: a transaction that only reads sees one moment; one that writes is alone, for it
holds an advisory lock from its beginning to its end. Where the engine has the option ``beside`` it is not: that is for
a condition and a change in one statement, which PostgreSQL keeps apart by the row.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy
from psycopg.adapt import AdaptersMap
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.pool import ConnectionPoolEntry

from backstay.errors import (
    BackstayError,
    CatalogueAwayError,
    ConfigurationError,
    DatabaseError,
    DiskFullError,
    UsageError,
)

_CONNECT_SECONDS = 10
_LOCK_SECONDS = 30
_IDLE_SECONDS = 60
# Any number that no other program takes in the same database.
_WRITER_LOCK = 0x4261636B73746179
_OLDEST = 130000
# Without these, a process whose network was cut off would wait for an answer for a quarter of an hour, and the server
# would keep its lock for two hours.
_CONNECTION: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "backstay",
}
_SESSION = (
    "SET client_encoding = 'UTF8'",
    "SET TimeZone = 'UTC'",
    f"SET lock_timeout = '{_LOCK_SECONDS}s'",
    f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'",
    "SET synchronous_commit = 'on'",
)


_GOING_AWAY = ("57P01", "57P02", "57P03", "57P05")
_REFUSALS: tuple[tuple[type[BackstayError], tuple[str, ...], str], ...] = (
    (
        DiskFullError,
        ("53100", "53200"),
        "The server of the catalogue in {where} has no space left ({said}): free some there.",
    ),
    (
        DatabaseError,
        ("55P03",),
        f"The catalogue in {{where}} is locked since {_LOCK_SECONDS} seconds: find in pg_stat_activity what holds it.",
    ),
    (UsageError, ("22001",), "A name or text is too long for the catalogue ({said}): choose a shorter one."),
    (ConfigurationError, ("25006", "42501", "3F000"), "The catalogue in {where} can't be used: {said}."),
    (
        CatalogueAwayError,
        ("53", "57", "58", "XX"),
        "The server of the catalogue in {where} can't do what was asked: {said}.",
    ),
)


class _NoNulDumper(StrDumper):
    """Sends texts; PostgreSQL's can't hold the character NUL."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class _Dialect(PGDialect_psycopg):
    """psycopg's dialect, which finds out whether a transaction was committed whose connection broke over that."""

    supports_statement_cache = True

    def do_commit(self, dbapi_connection: Any) -> None:
        number = dbapi_connection.info.pop("transaction", None)
        try:
            super().do_commit(dbapi_connection)  # type: ignore[no-untyped-call]  # the library's
        except psycopg.OperationalError:
            if number is None or not _was_committed(dbapi_connection.info["parameters"], number):
                raise


registry.register("postgresql.backstay", __name__, "_Dialect")


def make_engine(url: str) -> Engine:
    """Return the engine over a database.

    Args:
        url: as libpq reads it (PostgreSQL's manual, "Connection URIs").

    Raises:
        ConfigurationError: the URL can't be read.
    """
    parameters = _parameters(url)
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(str, _NoNulDumper)
    engine = sqlalchemy.create_engine(
        "postgresql+backstay://",
        creator=lambda: psycopg.connect(autocommit=True, context=adapters, **parameters),
        pool_size=5,
        max_overflow=20,
        use_native_hstore=False,
    )

    def prepare(connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
        for statement in _SESSION:
            connection.execute(statement)
        record.info["parameters"] = parameters

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", lambda context: _translate(context, shown(url)))
    return engine


def driver_url(url: str) -> str:
    """Return a URL as SQLAlchemy reads it, password included, with what keeps a connection from waiting for ever."""
    given = {name: str(value) for name, value in _parameters(url).items()}
    parts: dict[str, Any] = {
        "username": given.pop("user", None),
        "password": given.pop("password", None),
        "database": given.pop("dbname", None),
    }
    return sqlalchemy.URL.create("postgresql+psycopg", query=given, **parts).render_as_string(hide_password=False)


def shown(url: str) -> str:
    """Return a URL for people: server, port and name of the database, without account and options."""
    found = _parameters(url)
    host = found.get("host") or found.get("hostaddr") or "localhost"
    port = f":{found['port']}" if found.get("port") else ""
    return f"postgresql://{host}{port}/{found.get('dbname', '')}"


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none yet.

    Raises:
        ConfigurationError: the server is too old.
    """
    driver: Any = connection.connection.driver_connection
    if driver.info.server_version < _OLDEST:
        raise ConfigurationError("The catalogue needs PostgreSQL 13 or newer: use a newer server.")
    there = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if there else None


def _parameters(url: str) -> dict[str, Any]:
    try:
        return {**_CONNECTION, **psycopg.conninfo.conninfo_to_dict(url)}
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            "The URL of the catalogue's database can't be read: write postgresql://user:password@host/name, with "
            "special characters percent-encoded."
        ) from error


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", False):
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")
    # The number says afterwards whether the transaction was committed.
    lock = "" if options.get("beside", False) else f", pg_advisory_xact_lock({_WRITER_LOCK})"
    number = connection.exec_driver_sql(f"SELECT pg_current_xact_id()::text{lock}").one()[0]
    connection.connection.info["transaction"] = number


def _was_committed(parameters: dict[str, Any], number: str) -> bool:
    """Return whether a transaction was committed; asked over a new connection.

    Raises:
        psycopg.OperationalError: nobody can be asked now.
    """
    with psycopg.connect(autocommit=True, **parameters) as connection:
        while True:
            row = connection.execute("SELECT pg_xact_status(%s::text::xid8)", [number]).fetchone()
            # The server may not have noticed yet that the other connection is gone.
            if row is None or row[0] != "in progress":
                return row is not None and row[0] == "committed"
            connection.execute("SELECT pg_sleep(0.2)")


def _translate(context: sqlalchemy.ExceptionContext, where: str) -> BackstayError | None:
    """Turn what PostgreSQL refuses, whenever it does, into an error that a user can read; bugs stay what they are."""
    error = context.original_exception
    return problem(error, where, lost=context.is_disconnect) if isinstance(error, psycopg.Error) else None


def problem(error: psycopg.Error, where: str, *, lost: bool = False) -> BackstayError | None:
    """Return what a user is shown of a catalogue that cannot be used; None for what is a bug.

    Args:
        error: the driver's.
        where: the database, for people.
        lost: the connection had been made before, and is gone.

    Source of the codes: PostgreSQL's manual, appendix A, "PostgreSQL Error Codes".
    """
    code, said = error.sqlstate or "", _first_line(error)
    if not code and isinstance(error, psycopg.OperationalError) and not lost:
        return _refused(where, said)
    if lost or code.startswith("08") or code in _GOING_AWAY:
        return CatalogueAwayError(f"The connection to the catalogue in {where} was lost: {said}.", lost=True)
    for kind, codes, sentence in _REFUSALS:
        if code.startswith(codes):
            return kind(sentence.format(where=where, said=said))
    return None


def _refused(where: str, said: str) -> BackstayError:
    """Return what is shown where no connection could be made: the server's codes are not given then."""
    if "does not exist" in said and "database" in said:
        return ConfigurationError(f"There is no database for the catalogue at {where}: create it, or check its name.")
    if any(words in said for words in ("password", "role", "authentication", "pg_hba.conf", "permission denied")):
        return ConfigurationError(
            f"The server of the catalogue refuses the log-in to {where} ({said}): check user, password and rights."
        )
    if "certificate" in said or "SSL" in said:
        return ConfigurationError(f"No safe connection to the catalogue in {where} could be made: {said}.")
    return CatalogueAwayError(f"The server of the catalogue in {where} can't be reached: {said}.")


def _first_line(error: psycopg.Error) -> str:
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    # libpq begins with the address, which the sentence names already.
    line = lines[0] if lines else type(error).__name__
    return line.rpartition("FATAL:  ")[2].rpartition(" failed: ")[2].strip().rstrip(".")
