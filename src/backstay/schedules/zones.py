"""Time zones by their IANA names."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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


def machine_time_zone() -> str:
    """Return the IANA name of this machine's time zone: of TZ, else of ``/etc/localtime``; UTC where neither says."""
    link = str(_LOCAL_TIME.resolve()).partition("/zoneinfo/")[2]
    for name in (os.environ.get("TZ", "").removeprefix(":"), link):
        with suppress(UsageError):
            if name:
                return find_zone(name).key
    return "UTC"
