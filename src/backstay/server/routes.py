"""Which path means what, under any path in front (clients.md, endpoints)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Endpoint(Enum):
    """What stands at a path; the value is its name in the metrics, where the version of the API does not say it."""

    CLASSIC = "classic"
    VERSION_2 = "v2"
    VERSION_3 = "v3"
    MONITOR_JOOMLA = "monitor-joomla"
    MONITOR_WORDPRESS = "monitor-wordpress"
    OPENAPI = "openapi"
    BROWSER = "browser"
    START = "start"
    METRICS = "metrics"
    ALIVE = "healthz"
    READY = "readyz"
    NO_ROUTE = "no-route"
    NOTHING = "unknown"


@dataclass(frozen=True, slots=True)
class Route:
    """A path, understood.

    Attributes:
        endpoint: what stands there.
        base: the path in front of it, without a slash at its end.
        name: of the method, where the path holds it.
    """

    endpoint: Endpoint
    base: str = ""
    name: str = ""


_API = r"(?P<base>.*?)/api(?:/index\.php)?"
_PATTERNS: tuple[tuple[Endpoint, re.Pattern[str]], ...] = (
    (Endpoint.VERSION_3, re.compile(_API + r"/v3/akeebabackup/(?P<name>[A-Za-z0-9._-]{1,64})/?")),
    (Endpoint.VERSION_2, re.compile(_API + r"/v2/akeebabackup(?:/index\.php)?/?")),
    (Endpoint.MONITOR_JOOMLA, re.compile(_API + r"/v1/panopticon/akeebabackup/info/?")),
    (
        Endpoint.MONITOR_WORDPRESS,
        re.compile(r"(?P<base>.*?)(?:/wp-json|/index\.php)?/v1/panopticon/akeebabackup/info/?"),
    ),
    (Endpoint.OPENAPI, re.compile(r"(?P<base>.*)/openapi\.json")),
    (Endpoint.BROWSER, re.compile(r"(?P<base>.*)/docs/?")),
    (Endpoint.NO_ROUTE, re.compile(_API + r"/(?:v\d+(?:/.*)?)?")),
    (Endpoint.CLASSIC, re.compile(r"(?P<base>.*)/(?:index|remote)\.php")),
    (Endpoint.CLASSIC, re.compile(r"(?P<base>.*)/wp-admin/admin-ajax\.php")),
    (Endpoint.START, re.compile(r"(?P<base>.*)/")),
    (Endpoint.METRICS, re.compile(r"(?P<base>.*)/metrics")),
    (Endpoint.ALIVE, re.compile(r"(?P<base>.*)/healthz")),
    (Endpoint.READY, re.compile(r"(?P<base>.*)/readyz")),
)
_LONGEST_PATH = 2048


def route_of(path: str) -> Route:
    """Return what a path means.

    Args:
        path: decoded, without query.
    """
    if len(path) > _LONGEST_PATH:
        return Route(Endpoint.NOTHING)
    for endpoint, pattern in _PATTERNS:
        if match := pattern.fullmatch(path):
            return Route(endpoint, match["base"], match.groupdict().get("name") or "")
    return Route(Endpoint.NOTHING)
