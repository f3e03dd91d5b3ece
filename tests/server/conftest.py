"""A running server for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.driving import Driven, driven


@pytest.fixture
def server(home: Path) -> Iterator[Driven]:
    """Run a server with the default settings over a fresh home."""
    with driven(home) as running:
        yield running
