"""A fresh home and its catalogue, in each of the databases that may hold it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue import Catalogue, Home, open_catalogue, open_home, sqlite
from support.catalogues import make_engine, use_database


@pytest.fixture(autouse=True)
def _migrations_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each catalogue by its migrations, as a user's is made."""
    monkeypatch.setattr(sqlite, "make_engine", make_engine)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def opened_home(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh home whose catalogue will be in its own file, or in a database of a server."""
    if request.param == "postgresql":
        use_database(monkeypatch, request.getfixturevalue("postgresql_database"))
    return open_home(home)


@pytest.fixture
def own_home(home: Path) -> Home:
    """A fresh home whose catalogue will be in its own file."""
    return open_home(home)


@pytest.fixture
def catalogue(opened_home: Home) -> Iterator[Catalogue]:
    """A fresh catalogue."""
    with open_catalogue(opened_home) as opened:
        yield opened
