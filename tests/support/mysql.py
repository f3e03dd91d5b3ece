"""A MySQL or MariaDB server for tests: one from ``BACKSTAY_TEST_MYSQL``, or a private throwaway ``mariadbd``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql

from backstay.databases import DatabaseAddress

_SBIN = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")


def find_program(*names: str) -> str | None:
    """Return the path of the first program of these names, looked for in PATH and where servers are installed."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    for name in names:
        if found := shutil.which(name, path=search):
            return found
    return None


class MySQLServer:
    """A running server, and the right to make databases in it."""

    def __init__(self, address: DatabaseAddress, process: subprocess.Popen[bytes] | None = None) -> None:
        self._address = address
        self._process = process

    def address(self, name: str, *, prefix: str = "") -> DatabaseAddress:
        """Return the address of a database of this server."""
        return replace(self._address, name=name, prefix=prefix)

    def url(self, name: str) -> str:
        """Return the URL of a database of this server."""
        return self.address(name).url()

    @property
    def socket(self) -> str:
        """Path of the Unix socket; empty where the server is reached by TCP."""
        return self._address.socket

    def client_arguments(self) -> list[str]:
        """Return the arguments that make the ``mariadb`` programs talk to this server."""
        if self._address.socket:
            arguments = ["--no-defaults", f"--socket={self._address.socket}"]
        else:
            arguments = ["--no-defaults", f"--host={self._address.host}", f"--port={self._address.port or 3306}"]
        arguments += [f"--user={self._address.user}", "--default-character-set=utf8mb4"]
        return [*arguments, f"--password={self._address.password}"] if self._address.password else arguments

    def connect(self, name: str = "", **options: Any) -> pymysql.Connection[Any]:
        """Open a connection of the test's own; utf8mb4, autocommit, UTC."""
        where: dict[str, Any] = (
            {"unix_socket": self._address.socket}
            if self._address.socket
            else {"host": self._address.host, "port": self._address.port or 3306}
        )
        settings: dict[str, Any] = {
            "user": self._address.user,
            "password": self._address.password,
            "database": name or None,
            "charset": "utf8mb4",
            "autocommit": True,
            "init_command": "SET time_zone='+00:00'",
            **where,
            **options,
        }
        return pymysql.connect(**settings)

    def execute(self, sql: str | Sequence[str], name: str = "") -> list[tuple[Any, ...]]:
        """Run one statement, or several, in a database; return the last one's rows."""
        rows: list[tuple[Any, ...]] = []
        connection = self.connect(name)
        with connection, connection.cursor() as cursor:
            for statement in [sql] if isinstance(sql, str) else sql:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def create(self, name: str) -> DatabaseAddress:
        """Make an empty database, in place of one of that name, and return its address."""
        quoted = "`" + name.replace("`", "``") + "`"
        self.execute(
            [
                f"DROP DATABASE IF EXISTS {quoted}",
                f"CREATE DATABASE {quoted} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
            ]
        )
        return self.address(name)

    def drop(self, name: str) -> None:
        """Remove a database."""
        self.execute("DROP DATABASE IF EXISTS `" + name.replace("`", "``") + "`")

    def kill(self) -> None:
        """End a private server the hard way, as a power cut would; the caller owns it."""
        if self._process is None:
            message = "only a private server may be killed"
            raise RuntimeError(message)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def is_private(self) -> bool:
        """Whether the server was started by the tests."""
        return self._process is not None

    def close(self) -> None:
        """Stop a private server and remove its folder."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            if self._process.poll() is None:
                self.kill()
        shutil.rmtree(Path(self.socket).parent, ignore_errors=True)


def given_server() -> MySQLServer | None:
    """Return the server that ``BACKSTAY_TEST_MYSQL`` names, if it is set."""
    url = os.environ.get("BACKSTAY_TEST_MYSQL", "")
    if not url:
        return None
    if url.count("/") < 3:
        url += "/mysql"
    elif url.endswith("/"):
        url += "mysql"
    return MySQLServer(DatabaseAddress.parse(url))


def start_private_server(folder: Path, *, arguments: Sequence[str] = ()) -> MySQLServer | None:
    """Start a ``mariadbd`` of our own in an empty folder, on a socket; ``None`` where MariaDB is not installed."""
    server, install = find_program("mariadbd", "mysqld"), find_program("mariadb-install-db", "mysql_install_db")
    if server is None or install is None:
        return None
    # A socket's path may have 107 bytes at most, which a test folder of pytest's easily passes.
    runtime = Path(tempfile.mkdtemp(prefix="bsmy"))
    # Its own folder for temporary files: a server that starts clears away those of all others in a common one.
    environment = {**os.environ, "TMPDIR": str(runtime)}
    root = ["--user=root"] if os.geteuid() == 0 else []
    small = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--key-buffer-size=1M"]
    subprocess.run(
        [
            install,
            "--no-defaults",
            f"--datadir={folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            *root,
        ],
        check=True,
        capture_output=True,
        env=environment,
    )
    log = folder / "server.log"
    process = subprocess.Popen(
        [
            server,
            "--no-defaults",
            *root,
            f"--datadir={folder}",
            f"--socket={runtime}/s",
            f"--log-error={log}",
            f"--pid-file={runtime}/pid",
            "--skip-networking",
            "--innodb-flush-log-at-trx-commit=0",
            "--event-scheduler=OFF",
            "--performance-schema=OFF",
            "--log-bin-trust-function-creators=1",
            *small,
            *arguments,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    started = MySQLServer(DatabaseAddress("mysql", socket=f"{runtime}/s", user="root", name="mysql"), process)
    _wait_until_it_answers(started, process, log)
    return started


def _wait_until_it_answers(server: MySQLServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    # A try of the driver that fails leaves its socket to the garbage collector, which complains: knock first.
    while not _listens(server.socket):
        if process.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            server.close()
            message = f"the throwaway MariaDB server did not start:\n{text}"
            raise RuntimeError(message)
        time.sleep(0.05)
    server.execute("SELECT 1")


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as knock:
        return knock.connect_ex(path) == 0
