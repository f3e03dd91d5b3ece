"""A connection to MySQL or MariaDB: opened with care, its errors in the tree of errors, rows as raw bytes."""

from __future__ import annotations

import errno
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import COMMAND

from backstay.databases.address import DatabaseAddress
from backstay.errors import DatabaseConnectionError, DatabaseError

CONNECT_SECONDS = 15
_GONE = frozenset({2003, 2006, 2013, 2014, 2055, 1053, 1077, 1080, 1927, 0})
_REFUSED = frozenset({1040, 1044, 1045, 1049, 1129, 1130, 1203, 1226, 1251, 1698, 2002, 2005, 2059, 3159, 4031})
# Unknown variable; rights missing that MySQL 8 asks for some variables of a session.
_NOT_SET = frozenset({1193, 1227})
# No memory, no disk, no lock, killed, out of time, too many connections: another try may well succeed.
_OF_THE_SERVER = frozenset({1021, 1037, 1038, 1041, 1114, 1135, 1203, 1205, 1213, 1226, 1317, 1969, 3024})
_LONG = 86_400
_USUAL_SOCKETS = (
    "/run/mysqld/mysqld.sock",
    "/var/run/mysqld/mysqld.sock",
    "/var/lib/mysql/mysql.sock",
    "/tmp/mysql.sock",  # noqa: S108 - where macOS has it
)


# Of a packet: three bytes of length, and its number.
_HEAD = struct.Struct("<I").unpack_from


class Connection(pymysql.connections.Connection):
    """A PyMySQL connection that can also stream a one-column result as raw bytes, which is several times faster."""

    def stream(self, sql: str, size: int) -> Iterator[list[bytes | None]]:
        """Run a query of one column and yield its rows in lists, each from about ``size`` bytes of the wire.

        Raises:
            pymysql.Error: the server refused the query or failed in the middle.
        """
        self._execute_command(COMMAND.COM_QUERY, sql)  # type: ignore[attr-defined]  # not in the stubs
        first = self._read_packet()  # type: ignore[no-untyped-call]  # untyped in the stubs
        for _ in range(first.read_length_encoded_integer() + 1):
            self._read_packet()  # type: ignore[no-untyped-call]  # the column's description, then the end of descriptions
        read = self._rfile.read1  # type: ignore[attr-defined]
        buffer = b""
        whole = bytearray()
        while True:
            try:
                received = read(size)
            except OSError as error:
                raise pymysql.err.OperationalError(2013, f"Lost connection during query ({error})") from error
            if not received:
                raise pymysql.err.OperationalError(2013, "Lost connection during query")
            if len(buffer) > size:  # one long row: collect it without copying all of it for every piece
                whole += buffer
                whole += received
                if len(whole) < 4 + int.from_bytes(whole[:3], "little"):
                    whole, buffer = _read_rest(whole, read), b""
                buffer = bytes(whole)
                whole = bytearray()
            else:
                buffer += received
            rows, buffer, done = _split_rows(buffer)
            if rows:
                yield rows
            if done:
                return

    def value(self, sql: str) -> Any:
        """Run a query and return the first column of its first row, or ``None``."""
        with self.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
        return row[0] if row else None

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Run a query and return its rows, their keys in lower case (MySQL 8 answers in upper case)."""
        with self.cursor() as cursor:
            cursor.execute(sql, values or None)
            names = [column[0].lower() for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, sql: str | bytes) -> int:
        """Run a statement and return the number of rows it changed."""
        return int(self.query(sql))

    def set_where_known(self, variable: str, value: object) -> None:
        """Set a session variable; a server that does not know it, or does not let this account, goes without."""
        try:
            self.execute(f"SET SESSION {variable} = {value}")
        except pymysql.err.Error as error:
            if code_of(error) not in _NOT_SET:
                raise

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB."""
        return "mariadb" in str(self.server_version).lower()  # type: ignore[attr-defined]

    @property
    def version(self) -> tuple[int, ...]:
        """The server's version as numbers."""
        text = str(self.server_version).lower().removeprefix("5.5.5-")  # type: ignore[attr-defined]
        return tuple(int(number) for number in text.split("-")[0].split(".") if number.isdigit())


def _read_rest(whole: bytearray, read: Any) -> bytearray:
    while len(whole) < 4 + int.from_bytes(whole[:3], "little"):
        received = read(1 << 20)
        if not received:
            raise pymysql.err.OperationalError(2013, "Lost connection during query")
        whole += received
    return whole


def _split_rows(buffer: bytes) -> tuple[list[bytes | None], bytes, bool]:
    """Cut whole packets of one text column off a buffer; return rows, what is left, and whether the result ended."""
    rows: list[bytes | None] = []
    append = rows.append
    position, end = 0, len(buffer)
    while end - position >= 5:
        start = position + 4
        length = _HEAD(buffer, position)[0] & 0xFFFFFF
        following = start + length
        if following > end:
            break
        first = buffer[start]
        if length == 0xFFFFFF:
            joined = _join_packets(buffer, position)
            if joined is None:
                break
            payload, following = joined
            append(payload[_prefix_size(payload[0]) :])
        elif first < 251:
            append(buffer[start + 1 : following])
        elif first == 252:
            append(buffer[start + 3 : following])
        elif first == 253:
            append(buffer[start + 4 : following])
        elif first == 251:
            append(None)
        elif first == 254 and length < 9:
            return rows, buffer[following:], True
        elif first == 255:
            pymysql.err.raise_mysql_exception(buffer[start:following])
        else:
            append(buffer[start + 9 : following])
        position = following
    return rows, buffer[position:], False


def _prefix_size(first: int) -> int:
    return {252: 3, 253: 4, 254: 9}.get(first, 1)


def _join_packets(buffer: bytes, position: int) -> tuple[bytes, int] | None:
    pieces = []
    while True:
        if len(buffer) - position < 4:
            return None
        length = int.from_bytes(buffer[position : position + 3], "little")
        start = position + 4
        if start + length > len(buffer):
            return None
        pieces.append(buffer[start : start + length])
        position = start + length
        if length < 0xFFFFFF:
            return b"".join(pieces), position


def code_of(error: BaseException) -> int:
    """Return the server's number of an error, 0 if it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def message_of(error: BaseException) -> str:
    """Return the server's sentence of an error."""
    return str(error.args[1] if len(error.args) > 1 else error).rstrip(".")


def is_of_one_object(error: BaseException) -> bool:
    """Whether an error says something of the object that was asked for, and not of the server as a whole."""
    return isinstance(error, pymysql.err.Error) and not is_lost(error) and code_of(error) not in _OF_THE_SERVER


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the connection is gone."""
    return isinstance(error, OSError) or (isinstance(error, pymysql.err.Error) and code_of(error) in _GONE)


@contextmanager
def reported_as(address: DatabaseAddress, kind: type[DatabaseError], doing: str) -> Iterator[None]:
    """Turn the driver's errors into the tree's, in one sentence that says what was being done.

    Raises:
        DatabaseConnectionError: the connection is gone or was refused.
        DatabaseError: of the given kind, for all else.
    """
    try:
        yield
    except pymysql.err.Error as error:
        if is_lost(error):
            raise DatabaseConnectionError(
                f"The connection to {address.redacted()} was lost while {doing}: {message_of(error)}."
            ) from error
        raise kind(f"The server of {address.redacted()} failed while {doing}: {message_of(error)}.") from error


def connect(address: DatabaseAddress, *, patience: float | None = None) -> Connection:
    """Log in to a MySQL or MariaDB database: utf8mb4, UTC, no SQL mode, patient timeouts.

    Args:
        address: the database.
        patience: seconds to wait for the connection, and for each answer; None: as long as a dump may take.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    connection: Connection | None = None
    opened: socket.socket | None = None
    try:
        path = _socket_path(address)
        opened = _open_socket(address, path, patience or CONNECT_SECONDS)
        connection = Connection(
            host=address.host or "localhost",
            user=address.user or None,
            password=address.password,
            database=address.name or None,
            charset="utf8mb4",
            autocommit=True,
            defer_connect=True,
            local_infile=False,
            read_timeout=patience,
            max_allowed_packet=1 << 30,
            ssl=_tls(address),
            # Otherwise the driver speaks TLS wherever the server can, which on a local socket is only slow.
            ssl_disabled=bool(path),
        )
        if path:
            connection.unix_socket = path
            connection._secure = True  # type: ignore[attr-defined]  # noqa: SLF001 - a local socket, as PyMySQL has it
        connection.connect(opened)
        _prepare(connection)
    except (pymysql.err.Error, OSError) as error:
        if connection is not None and connection.open:
            connection.close()
        if opened is not None:
            opened.close()
        raise DatabaseConnectionError(_refusal(address, error)) from error
    return connection


def _socket_path(address: DatabaseAddress) -> str:
    """Return the Unix socket to use: for ``localhost`` without a port the server's usual one, as PHP has it."""
    if address.socket or address.host != "localhost" or address.port is not None:
        return address.socket
    return next((path for path in _USUAL_SOCKETS if Path(path).is_socket()), "")


def _open_socket(address: DatabaseAddress, path: str, seconds: float) -> socket.socket:
    if not path:
        opened = socket.create_connection((address.host or "localhost", address.port or 3306), seconds)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    else:
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(seconds)
            opened.connect(path)
        except OSError:
            opened.close()
            raise
    opened.settimeout(None)
    return opened


def _tls(address: DatabaseAddress) -> ssl.SSLContext | None:
    """Return the TLS settings that the address's options ask for (``ssl_ca``, ``ssl_cert``, ``ssl_key`` …)."""
    wanted = {key: value for key, value in address.options.items() if key.startswith("ssl") and value}
    if not wanted or address.socket:
        return None
    context = ssl.create_default_context(cafile=wanted.get("ssl_ca"))
    if "ssl_ca" not in wanted and wanted.get("ssl_verify", "") not in {"1", "true"}:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_cert" in wanted:
        context.load_cert_chain(wanted["ssl_cert"], wanted.get("ssl_key"))
    if "ssl_cipher" in wanted:
        context.set_ciphers(wanted["ssl_cipher"])
    return context


def _prepare(connection: Connection) -> None:
    connection.execute("SET NAMES utf8mb4")
    connection.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    # The other side of a dump or a load may pause for long: a slow disk, a busy pool.
    connection.execute(
        f"SET SESSION wait_timeout = {_LONG}, net_read_timeout = {_LONG // 24}, net_write_timeout = {_LONG // 24}"
    )
    for variable in ("max_statement_time", "max_execution_time", "idle_transaction_timeout", "sql_safe_updates"):
        connection.set_where_known(variable, 0)
    connection.set_where_known("sql_select_limit", "DEFAULT")
    connection.set_where_known("sql_quote_show_create", 1)


def _refusal(address: DatabaseAddress, error: BaseException) -> str:
    where = address.redacted()
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, OSError) and not isinstance(error, pymysql.err.Error):
        reason = "nobody listens there" if cause.errno == errno.ECONNREFUSED else (cause.strerror or str(cause))
        return f"The database server of {where} cannot be reached: {reason}."
    code = code_of(error)
    if code in {1044, 1045, 1698}:
        return f"The database server refuses the log-in to {where}: check user, password and rights."
    if code == 1049:
        return f"There is no database {address.name!r} at {where}: create it first, or check its name."
    known = "refuses the connection" if code in _REFUSED else "failed"
    return f"The database server of {where} {known}: {message_of(error)}."


def server_version(address: DatabaseAddress) -> str:
    """Log in and return the server's name and version.

    Raises:
        DatabaseConnectionError: the server cannot be reached or refuses the log-in.
    """
    with connect(address) as connection:
        numbers = ".".join(str(number) for number in connection.version)
        return f"{'MariaDB' if connection.is_mariadb else 'MySQL'} {numbers}"
