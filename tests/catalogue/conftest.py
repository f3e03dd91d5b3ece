"""A fresh home and its catalogue, in each of the databases that may hold it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue import Catalogue, Home, open_catalogue, open_home, postgresql, sqlite, store
from backstay.databases import DatabaseAddress
from support.catalogues import catalogue_url, make_engine, use_database
from support.postgresql import PostgreSQLServer

MIGRATED = {"test_catalogue", "test_copying", "test_shared"}


@pytest.fixture(autouse=True)
def _migrations_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the catalogues of some files by the migrations, as a user's is made; those of the others are copies."""
    if request.path.stem in MIGRATED:
        monkeypatch.setattr(sqlite, "make_engine", make_engine)


@pytest.fixture(scope="session")
def migrated_database(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    """Give the name of a database with the tables of a catalogue, and nothing in them."""
    name = f"backstay_test_migrated_{os.getpid()}"
    engine = postgresql.make_engine(catalogue_url(postgresql_server.create(name)))
    store._migrate(engine, postgresql.revision, name)
    engine.dispose()
    yield name
    postgresql_server.drop(name)


@pytest.fixture
def migrated_copy(postgresql_server: PostgreSQLServer, migrated_database: str) -> Iterator[DatabaseAddress]:
    """Give a database with the tables of a catalogue, and nothing in them, for one test."""
    address = postgresql_server.create(f"backstay_test_copy_{os.getpid()}", migrated_database)
    yield address
    postgresql_server.drop(address.name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def opened_home(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh home whose catalogue will be in its own file, or in a database of a server."""
    if request.param == "postgresql":
        name = "postgresql_database" if request.path.stem in MIGRATED else "migrated_copy"
        use_database(monkeypatch, request.getfixturevalue(name))
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
