"""The secrets that a message about a profile could hold by mistake, so that they can be taken out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from backstay.errors import NotFoundError
from backstay.jobs.installation import Installation

_SECRET_KEYS: Final = ("backstay.site.database", "engine.archiver.jps.key")
# A shorter one would blank half of every sentence.
_SHORTEST: Final = 4


def secret_words(installation: Installation, profile_id: int | None) -> list[str]:
    """Return the secrets that the catalogue holds of a profile, and of the storages.

    Args:
        installation: whose.
        profile_id: of the profile; None, or that of one that was removed: of the storages alone.
    """
    words = [word for one in installation.catalogue.destinations.all() for word in one.secrets.values()]
    if profile_id is not None:
        words += _of_profile(installation, profile_id)
    return sorted({word for word in words if len(word) >= _SHORTEST})


def _of_profile(installation: Installation, profile_id: int) -> Iterator[str]:
    try:
        profile = installation.catalogue.profiles.get(profile_id)
    except NotFoundError:
        return
    values = [profile.configuration.get(key, "") for key in _SECRET_KEYS]
    for value in [*values, *(one.password for one in profile.filters.extra_databases.values())]:
        yield value
        if "://" in value and (password := _password_of(value)):
            yield password
            yield unquote(password)


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
