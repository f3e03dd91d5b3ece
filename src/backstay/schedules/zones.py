"""Time zones by their IANA names."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from backstay.errors import UsageError

_LOCAL_TIME = Path("/etc/localtime")


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        UsageError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"There is no time zone {name[:60]!r}: give an IANA name such as Europe/Berlin (or install the system's "
            "package tzdata, where no name is known)."
        ) from None


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Return the IANA names of all places that this machine knows, in order."""
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))


def machine_time_zone() -> str:
    """Return the IANA name of this machine's time zone: of TZ, else of ``/etc/localtime``; UTC where neither says."""
    link = str(_LOCAL_TIME.resolve()).partition("/zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").removeprefix(":"), link):
        with suppress(UsageError):
            if name:
                return find_zone(name).key
    return "UTC"
