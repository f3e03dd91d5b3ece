"""Reading and changing a profile on behalf of a call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from backstay.api.methods.profiles import INVALID_PROFILE
from backstay.catalogue import Profile
from backstay.errors import NotFoundError
from backstay.profiles import Filters
from backstay.server.handlers.model import Call

# A change is read, made and stored: two calls that each set one filter must not undo each other.
_one_at_a_time = threading.Lock()


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
    with _one_at_a_time:
        call.installation.catalogue.profiles.save(change(found_profile(call, number)))


def change_filters(call: Call, number: int, change: Callable[[Filters], Filters]) -> None:
    """Change the filters of a profile and store them.

    Raises:
        ApiError: status 404, there is no profile with this number.
    """
    change_profile(call, number, lambda profile: replace(profile, filters=change(profile.filters)))
