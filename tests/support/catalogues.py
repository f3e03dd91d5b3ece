"""Catalogues for the homes of tests: copied from one that was made once, or in a database that several homes share."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Engine

from backstay.catalogue import Home, open_home, sqlite, store
from backstay.databases import DatabaseAddress

if TYPE_CHECKING:
    import pytest

VARIABLE = "BACKSTAY_CATALOGUE"
make_engine = sqlite.make_engine
"""The product's own: a fresh catalogue is empty then, and gets its tables from the migrations."""


@functools.cache
def migrated() -> bytes:
    """Return a catalogue as the migrations leave it, made at the first call."""
    with tempfile.TemporaryDirectory(prefix="backstay-migrated-") as folder:
        home = open_home(Path(folder))
        engine = make_engine(home)
        store._migrate(engine, sqlite.revision, str(home.catalogue))
        engine.dispose()
        return home.catalogue.read_bytes()


def make_engine_of_a_copy(home: Home) -> Engine:
    """Do what ``make_engine`` does; a fresh catalogue has its tables already, which saves the migrations."""
    if not home.catalogue.exists():
        with tempfile.NamedTemporaryFile(dir=home.path) as file:
            file.write(migrated())
            file.flush()
            # Whoever else makes the same home may have been first.
            with contextlib.suppress(FileExistsError):
                home.catalogue.hardlink_to(file.name)
    return make_engine(home)


def copy_fresh_ones(patch: pytest.MonkeyPatch) -> None:
    """Let the homes that this process makes have a copy of one catalogue; ``support.commands`` does the same.

    Some files of ``tests/catalogue`` test the migrations themselves, as do programs that a test starts.
    """
    patch.setattr(sqlite, "make_engine", make_engine_of_a_copy)


def catalogue_url(address: DatabaseAddress) -> str:
    """Return the URL of a database as the setting of the catalogue takes it."""
    account = quote(address.user, safe="") + (f":{quote(address.password, safe='')}" if address.password else "")
    if address.socket:
        return f"postgresql://{account}@/{address.name}?host={quote(address.socket, safe='')}"
    port = f":{address.port}" if address.port else ""
    return f"postgresql://{account}@{address.host}{port}/{address.name}"


def use_database(monkeypatch: pytest.MonkeyPatch, address: DatabaseAddress) -> str:
    """Let all homes of a test, and the programs it starts, have their catalogue in a database; return its URL."""
    url = catalogue_url(address)
    monkeypatch.setenv(VARIABLE, url)
    return url
