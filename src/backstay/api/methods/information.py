"""Methods about the server itself: its version and its profiles (api-methods.md 1)."""

from __future__ import annotations

from backstay.api.methods.model import Method, NoParameters, Scope
from backstay.api.replies import Profiles, VersionInfo

GET_VERSION: Method[NoParameters, VersionInfo] = Method(
    name="getVersion",
    summary="Returns the API level and the version of the server.",
    parameters=NoParameters,
    reply_type=VersionInfo,
    scope=None,
    changes=(
        (320, "`edition` was added."),
        (330, "`updateinfo` was added; `api` is a string in version 1 up to level 400."),
        (500, "`updateinfo` was dropped; `api` is an integer everywhere."),
    ),
    example_reply={"api": 400, "component": "8.2.6", "date": "2023-01-31", "edition": "pro"},
)

GET_PROFILES: Method[NoParameters, Profiles] = Method(
    name="getProfiles",
    summary="Lists the backup profiles, ordered by number.",
    parameters=NoParameters,
    reply_type=Profiles,
    scope=Scope.READ,
    example_reply=[{"id": 1, "name": "Default Backup Profile"}],
)

METHODS = (GET_VERSION, GET_PROFILES)
