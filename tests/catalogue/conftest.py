"""A fresh home and its catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue import Catalogue, Home, open_catalogue, open_home


@pytest.fixture
def opened_home(home: Path) -> Home:
    """A fresh home."""
    return open_home(home)


@pytest.fixture
def catalogue(opened_home: Home) -> Iterator[Catalogue]:
    """A fresh catalogue."""
    with open_catalogue(opened_home) as opened:
        yield opened
