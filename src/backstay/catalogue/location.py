"""Where the catalogue of a home is: in a file of the home, or in a PostgreSQL database that several homes share."""

from __future__ import annotations

import os
import re
import secrets
import socket
from typing import Any

from backstay.catalogue.home import Home
from backstay.catalogue.vault import write_private
from backstay.errors import ConfigurationError

CATALOGUE_VARIABLE = "BACKSTAY_CATALOGUE"
NAME_VARIABLE = "BACKSTAY_WORKER__NAME"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SCHEMES = ("postgresql", "postgres")


def catalogue_url(home: Home) -> str:
    """Return the URL of the database that holds a home's catalogue; empty: it is the home's own SQLite file.

    Raises:
        ConfigurationError: the settings can't be read, or name a database of another kind.
    """
    url = _setting(home, "catalogue", "url", CATALOGUE_VARIABLE, f"{CATALOGUE_VARIABLE}__URL")
    if url:
        check_url(url)
    return url


def machine_name(home: Home) -> str:
    """Return by which name the others that share a catalogue know this home: a setting, else that of the machine.

    Raises:
        ConfigurationError: it is no name.
    """
    given = _setting(home, "worker", "name", NAME_VARIABLE)
    name = given or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:100]
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"The setting worker.name can't be {name!r}: it has at most 100 letters, digits, dots, dashes and "
            "underscores, and begins with a letter or digit."
        )
    return name


def home_word(home: Home) -> str:
    """Return a word that no other home has, made at the first asking."""
    path = home.path / "machine"
    if not path.exists():
        write_private(path, (secrets.token_hex(16) + "\n").encode())
    return path.read_text().strip()


def check_url(url: str) -> None:
    """Refuse a URL that is not one of PostgreSQL.

    Raises:
        ConfigurationError: it is not; the message does not hold its password.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in _SCHEMES or not separator or not rest:
        raise ConfigurationError(
            f"The catalogue can be in a PostgreSQL database or in the home: begin the URL of catalogue.url or "
            f"{CATALOGUE_VARIABLE} with postgresql://, or leave it out."
        )


def _setting(home: Home, table: str, name: str, *variables: str) -> str:
    """Return a setting of the environment or of ``backstay.toml``, without loading what all the settings need."""
    for variable in variables:
        if given := os.environ.get(variable):
            return given
    try:
        content = home.configuration.read_bytes()
    except OSError:
        return ""  # whoever reads the other settings says why
    if table.encode() not in content:
        return ""
    # Imported here: most homes have no such setting, and start without it.
    import tomllib

    try:
        values: Any = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{home.configuration} can't be read: {error}.") from error
    section = values.get(table, {})
    found = section.get(name, "") if isinstance(section, dict) else ""
    if not isinstance(found, str):
        raise ConfigurationError(f"The setting {table}.{name} in {home.configuration} can't be used: it is no text.")
    return found
