"""Answers to: what are you, which profiles have you, is there an update (api-methods.md 1 and 6)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from backstay.api.methods import NoParameters
from backstay.api.methods.updates import UpdateInformationParameters
from backstay.api.replies import ProfileItem, VersionInfo
from backstay.jobs.tenants import seen_profiles
from backstay.server.handlers.model import Call, Handler, Scheduling
from backstay.version import RELEASE_DATE, __version__

_LAST_LEVEL_WITH_UPDATES = 400


def get_version(call: Call, parameters: NoParameters) -> VersionInfo:
    """Return level and version; the reference leaves the update check out above level 400."""
    del parameters
    return VersionInfo(
        api=call.level,
        component=__version__,
        date=RELEASE_DATE,
        edition="pro",
        updateinfo=update_information(call) if call.level <= _LAST_LEVEL_WITH_UPDATES else None,
    )


def get_profiles(call: Call, parameters: NoParameters) -> list[ProfileItem]:
    """List number and description of all profiles that the caller sees."""
    del parameters
    seen = seen_profiles(call.installation, call.groups)
    names = call.installation.catalogue.profiles.names()
    return [ProfileItem(id=number, name=name) for number, name in names if seen is None or number in seen]


def update_information(call: Call, parameters: UpdateInformationParameters | None = None) -> dict[str, Any]:
    """Return what the settings say of updates; Backstay itself asks nobody."""
    del parameters
    server = call.installation.configuration.server
    return dict(_update(server.newest_version, server.newest_version_url))


@lru_cache(maxsize=16)
def _update(newest: str, url: str) -> dict[str, Any]:
    newer = _numbers(newest) > _numbers(__version__)
    return {
        "stuck": 0,
        "hasUpdate": newer,
        "version": newest or __version__,
        "date": "" if newer else RELEASE_DATE,
        "stability": "stable",
        "link": url if newer else "",
        "infoURL": url if newer else "",
        "minstabilityMatch": 1,
        "platformMatch": 1,
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version)[:4])


HANDLERS = {
    "getVersion": Handler(get_version, Scheduling.INLINE),
    "getProfiles": Handler(get_profiles),
    "updateGetInformation": Handler(update_information, Scheduling.INLINE),
}
