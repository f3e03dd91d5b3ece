"""Reading and changing a profile on behalf of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstay.api.methods.profiles import INVALID_PROFILE
from backstay.catalogue import Profile
from backstay.errors import NotFoundError
from backstay.jobs import profiles
from backstay.profiles import Filters
from backstay.server.handlers.model import Call


def found_profile(call: Call, number: int) -> Profile:
    """Return a profile.

    Raises:
        ApiError: status 404, there is none with this number.
    """
    try:
        return call.installation.catalogue.profiles.get(number)
    except NotFoundError as error:
        raise INVALID_PROFILE.error() from error


def change_profile(call: Call, number: int, change: Callable[[Profile], Profile]) -> None:
    """Change a profile and store it.

    Raises:
        ApiError: status 404, there is none with this number.
    """
    try:
        profiles.change_profile(call.installation, number, change)
    except NotFoundError as error:
        raise INVALID_PROFILE.error() from error


def change_filters(call: Call, number: int, change: Callable[[Filters], Filters]) -> None:
    """Change the filters of a profile and store them.

    Raises:
        ApiError: status 404, there is no profile with this number.
    """
    change_profile(call, number, lambda profile: replace(profile, filters=change(profile.filters)))
