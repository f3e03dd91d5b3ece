"""One empty place at each kind of destination."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.azure import AzureServer
from support.destinations import Place, crypt_place
from support.google import GoogleServer
from support.s3 import S3Server
from support.sftp import SftpServer
from support.webdav import WebDavServer

# What encrypts is rclone again, in front of a folder: one test of it is not slow (test_rclone).
KINDS = ["folder", "s3", "webdav", "sftp", pytest.param("crypt", marks=pytest.mark.slow), "azure", "google"]
_Server = WebDavServer | SftpServer | AzureServer | GoogleServer
_SERVERS = {"webdav", "sftp", "azure", "google"}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place, of each kind in turn."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        return server.place()
    if request.param in _SERVERS:
        other: WebDavServer | SftpServer | AzureServer | GoogleServer = request.getfixturevalue(
            f"{request.param}_server"
        )
        return other.place()
    folder = tmp_path / "destination"
    folder.mkdir()
    if request.param == "crypt":
        return crypt_place(folder, tmp_path / "rclone.conf")
    return Place(f"folder://{folder}")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of some pieces, all different."""
    path = tmp_path / "source.jpa"
    path.write_bytes(b"".join(number.to_bytes(8, "big") for number in range(600_001)))
    return path
