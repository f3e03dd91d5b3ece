"""One home, opened: what every job and every call needs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backstay.catalogue import Catalogue, Home, open_catalogue, open_home, write_private
from backstay.errors import ConfigurationError
from backstay.jobs.environment import SECRET_VARIABLE

if TYPE_CHECKING:
    from backstay.jobs.configuration import Configuration


class Installation:
    """A home with its catalogue and settings; safe to share between threads.

    Attributes:
        home: where things lie.
        catalogue: profiles, records, tokens, jobs.
    """

    def __init__(self, home: Home, catalogue: Catalogue) -> None:
        self.home = home
        self.catalogue = catalogue

    @cached_property
    def configuration(self) -> Configuration:
        """The settings of ``backstay.toml`` and the environment, read when they are first asked for.

        Raises:
            ConfigurationError: they cannot be used.
        """
        # Imported here: what only lists or shows needs no settings, and starts a quarter faster without them.
        from backstay.jobs.configuration import read_configuration

        return read_configuration(self.home.configuration)

    def patient(self, seconds: float, given_up: Callable[[], bool] | None = None) -> Installation:
        """Return the same home for work that waits for a catalogue whose database is away (``Catalogue.patient``)."""
        return Installation(self.home, self.catalogue.patient(seconds, given_up))

    def now(self) -> datetime:
        """Return this moment in the time zone of names.

        Raises:
            ConfigurationError: the time zone is not known.
        """
        name = self.configuration.jobs.time_zone
        try:
            return datetime.now(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(f"There is no time zone {name!r}: correct jobs.time_zone.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.catalogue.close()


def open_installation(path: Path | None = None, *, patience: float = 0.0) -> Installation:
    """Open a home, made where it is missing.

    Args:
        path: the folder; None: ``BACKSTAY_HOME``, or the platform's place for such state.
        patience: seconds for which the work waits for a catalogue whose database is away (``open_catalogue``).

    Raises:
        ConfigurationError: the home or its catalogue cannot be used.
        DatabaseConnectionError: the server of the catalogue's database can't be reached.
    """
    home = open_home(path)
    return Installation(home, open_catalogue(home, patience=patience))


def api_secret(installation: Installation) -> str:
    """Return the secret word of the API: of the environment, else of the home, made strong at the first asking.

    Raises:
        ConfigurationError: the file with the secret is empty.
    """
    if given := os.environ.get(SECRET_VARIABLE):
        return given
    path = installation.home.secret
    if not path.exists():
        write_private(path, (secrets.token_urlsafe(32) + "\n").encode())
    secret = path.read_text().strip()
    if not secret:
        raise ConfigurationError(f"The file {path} holds no secret: make a new one with 'backstay secret rotate'.")
    return secret


def set_secret(installation: Installation, secret: str | None = None) -> str:
    """Replace the secret word of the API; the old one is worth nothing at once.

    Args:
        installation: whose.
        secret: the new one, whose strength the caller has checked; None: one is made.

    Returns:
        The new secret.
    """
    new = secret or secrets.token_urlsafe(32)
    path = installation.home.secret
    staged = path.with_name(".secret.new")
    staged.unlink(missing_ok=True)
    write_private(staged, (new + "\n").encode())
    staged.replace(path)
    return new
