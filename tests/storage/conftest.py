"""One empty place at each kind of destination."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.destinations import Place
from support.s3 import S3Server

KINDS = ["folder", "s3"]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place, of each kind in turn."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        return server.place()
    folder = tmp_path / "destination"
    folder.mkdir()
    return Place(f"folder://{folder}")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of some pieces, all different."""
    path = tmp_path / "source.jpa"
    path.write_bytes(b"".join(number.to_bytes(8, "big") for number in range(600_001)))
    return path
