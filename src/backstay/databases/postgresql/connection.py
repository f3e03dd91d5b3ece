"""A connection to PostgreSQL, and its errors as classes of ``backstay.errors``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from backstay.databases.address import DatabaseAddress
from backstay.errors import DatabaseConnectionError, DatabaseError

CONNECT_SECONDS = 15
_PASSED_ON = ("sslmode", "sslrootcert", "sslcert", "sslkey", "application_name")

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(address: DatabaseAddress) -> Connection:
    """Log in to a PostgreSQL database: UTF-8, UTC, no time limits, exact numbers.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    try:
        connection: Connection = psycopg.connect(**parameters(address), autocommit=True)
        connection.execute("SET client_encoding = 'UTF8'")
        connection.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'")
        connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        connection.execute("SET idle_in_transaction_session_timeout = 0; SET extra_float_digits = 3")
    except psycopg.Error as error:
        raise DatabaseConnectionError(_refusal(address, error)) from error
    return connection


def parameters(address: DatabaseAddress) -> dict[str, Any]:
    """Return an address as libpq's parameters."""
    found: dict[str, Any] = {
        "host": address.socket or address.host,
        "port": address.port,
        "user": address.user or None,
        "password": address.password or None,
        "dbname": address.name,
        "connect_timeout": CONNECT_SECONDS,
        **{key: value for key, value in address.options.items() if key in _PASSED_ON},
    }
    return {key: value for key, value in found.items() if value is not None}


def _refusal(address: DatabaseAddress, error: psycopg.Error) -> str:
    where, said = address.redacted(), first_line(error)
    if "does not exist" in said and "database" in said:
        return f"There is no database {address.name!r} at {where}: create it first, or check its name."
    if "password authentication" in said or "no password supplied" in said or "role" in said:
        return f"The database server refuses the log-in to {where}: check user, password and rights."
    return f"The database server of {where} cannot be reached: {said}."


def first_line(error: psycopg.Error) -> str:
    """Return the server's sentence of an error, without a full stop."""
    text = error.diag.message_primary or str(error).strip()
    lines = text.splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether an error says that the connection is gone."""
    gone = isinstance(error, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown)
    return gone or (isinstance(error, psycopg.OperationalError) and (connection.broken or connection.closed))


# Classes of errors that are of the connection, the server or the moment: the next object would meet them too.
_OF_THE_SERVER = ("08", "40", "53", "57")


def is_of_one_object(connection: Connection, error: psycopg.Error) -> bool:
    """Return whether an error is of the object that a statement is about, so that the next may well work.

    Source: PostgreSQL's manual, appendix A, "PostgreSQL Error Codes".
    """
    code = error.sqlstate or ""
    return bool(code) and not code.startswith(_OF_THE_SERVER) and not is_lost(connection, error)


@contextmanager
def reported_as(
    address: DatabaseAddress, connection: Connection, kind: type[DatabaseError], doing: str
) -> Iterator[None]:
    """Turn the driver's errors into the tree's, in one sentence that says what was being done.

    Raises:
        DatabaseConnectionError: the connection is gone.
        DatabaseError: of the given kind, for all else.
    """
    try:
        yield
    except psycopg.Error as error:
        if is_lost(connection, error):
            raise DatabaseConnectionError(
                f"The connection to {address.redacted()} was lost while {doing}: {first_line(error)}."
            ) from error
        raise kind(f"The server of {address.redacted()} failed while {doing}: {first_line(error)}.") from error


def server_version(address: DatabaseAddress) -> str:
    """Log in and return the server's name and version.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    with connect(address) as connection:
        return f"PostgreSQL {str(connection.info.parameter_status('server_version')).split()[0]}"
