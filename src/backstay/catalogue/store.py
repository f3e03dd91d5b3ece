"""Opening the catalogue: the database, its migrations, and the tables in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DatabaseError as SqlError

from backstay.catalogue import sqlite
from backstay.catalogue.facts import CatalogueFacts, read_facts
from backstay.catalogue.home import Home
from backstay.catalogue.location import catalogue_url, home_word, machine_name
from backstay.catalogue.tables import Tables
from backstay.catalogue.vault import Vault
from backstay.errors import ConfigurationError, UsageError

REVISION = "0009"
PATIENT_SECONDS = 3600.0
"""For so long work that nobody watches waits for a database that is away."""
_MIGRATIONS = Path(__file__).parent / "migrations"


class Catalogue(Tables):
    """The tables of one home, or of several that share a database; safe to use from several threads and processes.

    Attributes:
        place: where it is, for people.
        machine: name of this machine, where several share it; else empty.
    """

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        place: str,
        *,
        machine: str = "",
        patience: float = 0.0,
        given_up: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__(engine, vault, machine, patience, given_up)
        self.place = place

    def patient(self, seconds: float, given_up: Callable[[], bool] | None = None) -> Catalogue:
        """Return this catalogue for work that waits for a database that is away; it shares the connections.

        Args:
            seconds: for which it waits.
            given_up: whether it waits no longer all the same, because the program ends, say.
        """
        return Catalogue(
            self._engine, self.vault, self.place, machine=self.machine, patience=seconds, given_up=given_up
        )

    def copy_to(self, home: Home, url: str) -> dict[str, int]:
        """Copy the catalogue of a home into an empty PostgreSQL database; see ``copying.copy_tables``.

        Raises:
            UsageError: it is in such a database already.
        """
        from backstay.catalogue import postgresql
        from backstay.catalogue.copying import copy_tables

        if self.is_shared:
            raise UsageError(
                f"The catalogue is in {self.place} already: copy that database with pg_dump and pg_restore."
            )
        return copy_tables(
            home, self._engine, url, lambda engine: _migrate(engine, postgresql.revision, f"in {postgresql.shown(url)}")
        )

    def facts(self) -> CatalogueFacts:
        """Return where it is and how large."""
        return read_facts(self._engine, self.place, self.machine, REVISION)

    @contextlib.contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a lock that all machines know for some seconds; a home with a catalogue of its own locks a file."""
        if not self.is_shared:
            yield
            return
        with self._engine.connect() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"backstay {name}"))))
            yield

    def close(self) -> None:
        """Close all connections."""
        if "overview" in vars(self):
            self.overview.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_catalogue(home: Home, *, patience: float = 0.0) -> Catalogue:
    """Open the catalogue of a home, made or brought up to date where needed; profile 1 always exists.

    Args:
        home: whose; its settings say where the catalogue is.
        patience: seconds for which this, and all that is asked of the catalogue, waits for a database that is away.

    Raises:
        ConfigurationError: the database is damaged, newer than this version, or not to be opened.
        DatabaseConnectionError: the database's server can't be reached.
    """
    url = catalogue_url(home)
    return _open_shared(home, url, patience) if url else _open_own(home)


def _open_own(home: Home) -> Catalogue:
    engine = sqlite.make_engine(home)
    try:
        _migrate(engine, sqlite.revision, str(home.catalogue))
        catalogue = Catalogue(engine, Vault(home.key), str(home.catalogue))
        catalogue.profiles.create_first()
    except SqlError as error:
        engine.dispose()
        raise sqlite.problem(home, error.orig) from error
    except BaseException:
        engine.dispose()
        raise
    return catalogue


def _open_shared(home: Home, url: str, patience: float) -> Catalogue:
    # Imported here: a home with a catalogue of its own starts without the driver.
    from backstay.catalogue import postgresql, retrying

    engine, place = postgresql.make_engine(url), postgresql.shown(url)
    has_key = home.key.exists()
    try:
        retried = retrying.retried
        retried(lambda: _migrate(engine, postgresql.revision, f"in {place}"), patience)
        machine = machine_name(home)
        catalogue = Catalogue(engine, Vault(home.key), place, machine=machine, patience=patience)
        catalogue.profiles.create_first()
        if not catalogue.machines.knows(machine, home_word(home)):
            _check_key(home, catalogue, has_key)
            catalogue.machines.register(machine, home_word(home))
    except BaseException:
        engine.dispose()
        raise
    return catalogue


def _check_key(home: Home, catalogue: Catalogue, had_key: bool) -> None:
    """Refuse a home that can't read what others have written."""
    try:
        catalogue.profiles.all()
    except ConfigurationError as error:
        if not had_key:
            home.key.unlink()
        raise ConfigurationError(
            f"The catalogue in {catalogue.place} is encrypted with a key that {home.path} does not have: copy the file "
            "'key' there from the home of a machine that uses this catalogue."
        ) from error


def _migrate(engine: Engine, revision: Callable[[Connection], str | None], place: str) -> None:
    """Bring the tables to this version's form; costs one small query where they are in it already."""
    with engine.connect() as connection:
        found = revision(connection)
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise ConfigurationError(
            f"The catalogue {place} was written by a newer version of Backstay: install that version."
        )
    # Imported here because it is slow, and needed only when the version of Backstay changes.
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, REVISION)
