"""Variables in names of archives, descriptions and folders (engine-behaviour, name templates)."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from datetime import datetime

from backstay.version import __version__

_RANDOM_ALPHABET = string.ascii_letters + string.digits + "_-"
_RANDOM_LENGTH = 16
_UNSAFE = re.compile(r"[^\w.@+-]+")
# File systems take 255 bytes; the extension of a part and a temporary suffix must still fit.
_LONGEST_NAME = 200


def variables(moment: datetime, *, host: str, site_name: str, platform: str, platform_version: str) -> dict[str, str]:
    """Return the value of each variable, without the brackets.

    Args:
        moment: start of the backup, in the time zone that names are written in.
        host: host name of the site; empty where it is not known.
        site_name: name of the site for a person.
        platform: name of the software the site runs on.
        platform_version: its version; empty where it is not known.
    """
    zone = moment.strftime("%Z") or "UTC"
    return {
        "DATE": moment.strftime("%Y%m%d"),
        "YEAR": moment.strftime("%Y"),
        "MONTH": moment.strftime("%m"),
        "DAY": moment.strftime("%d"),
        "TIME": moment.strftime("%H%M%S"),
        "TIME_TZ": moment.strftime("%H%M%S") + _file_safe(zone.lower()),
        "TZ": _file_safe(zone.lower()),
        "TZ_RAW": zone,
        "GMT_OFFSET": moment.strftime("%z") or "+0000",
        "WEEK": moment.strftime("%V"),
        "WEEKDAY": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[moment.weekday()],
        "HOST": _file_safe(host.lower()) or "unknown_host",
        "VERSION": __version__,
        "PLATFORM_NAME": platform,
        "PLATFORM_VERSION": platform_version,
        "SITENAME": _file_safe(site_name.lower())[:50].strip("-"),
        "RANDOM": "".join(secrets.choice(_RANDOM_ALPHABET) for _ in range(_RANDOM_LENGTH)),
    }


def expand(template: str, values: Mapping[str, str]) -> str:
    """Return a template with its variables replaced; what is not a variable stays as it is."""
    return re.sub(r"\[([A-Z_]+)\]", lambda match: values.get(match[1], match[0]), template)


def archive_name(template: str, values: Mapping[str, str]) -> str:
    """Return the base name of an archive, without extension, safe as a file name and not to be guessed."""
    name = _file_safe(expand(template, values)).lstrip("-.")
    if values["RANDOM"] in name and len(name) <= _LONGEST_NAME:
        return name
    # Archives lie where a web server may reach them by mistake: a name without the random piece could be guessed.
    return f"{name[: _LONGEST_NAME - _RANDOM_LENGTH - 1].rstrip('-.')}-{values['RANDOM']}".lstrip("-.")


def _file_safe(text: str) -> str:
    return _UNSAFE.sub("-", text)
