"""Where a site may answer the API: the routes to try for an address, newest first (clients.md, endpoints)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from backstay.errors import UsageError

COMPONENTS = ("com_akeebabackup", "com_akeeba")
WORDPRESS_ACTION = ("action", "akeebabackup_api")
_V3_ROUTE = re.compile(r"(.*/api(?:/index\.php)?/v3/akeebabackup)(?:/\w*)?/?$", re.IGNORECASE)
_V2_ROUTE = re.compile(r"(.*/api(?:/index\.php)?/v2/akeebabackup)(?:/index\.php)?/?$", re.IGNORECASE)


class Credential(StrEnum):
    """How a request says who sends it."""

    JOOMLA_HEADER = "token"
    AKEEBA_HEADER = "secret-header"
    AKEEBA_QUERY = "secret-in-url"
    CHALLENGE = "challenge"


class Verb(StrEnum):
    """How parameters travel; a file is always asked for with GET."""

    POST = "POST"
    GET = "GET"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to call one server.

    Attributes:
        version: version of the API, 1, 2 or 3.
        url: address without query; for version 3 the method's name is appended to it.
        query: parameters that route the request to the API.
        credential: how the request says who sends it.
        verb: how parameters travel.
    """

    version: int
    url: str
    query: tuple[tuple[str, str], ...] = ()
    credential: Credential = Credential.AKEEBA_HEADER
    verb: Verb = Verb.POST

    def __str__(self) -> str:
        """The endpoint for people: version, verb, address, kind of credential."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"version {self.version}, {self.verb} {self.url}{'?' if query else ''}{query} ({self.credential})"

    def stored(self) -> dict[str, Any]:
        """The endpoint as JSON values, to keep what worked; it holds no secret."""
        return {
            "version": self.version,
            "url": self.url,
            "query": [list(pair) for pair in self.query],
            "credential": self.credential.value,
            "verb": self.verb.value,
        }

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Self:
        """What ``stored`` gave, as an endpoint again.

        Raises:
            UsageError: it is something else.
        """
        try:
            query = tuple((str(name), str(value)) for name, value in stored["query"])
            credential, verb = Credential(stored["credential"]), Verb(stored["verb"])
            return cls(int(stored["version"]), str(stored["url"]), query, credential, verb)
        except (KeyError, TypeError, ValueError):
            raise UsageError("The stored endpoint cannot be read: detect it again.") from None


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a site or of its API, as a user gave it, taken apart."""

    scheme: str
    netloc: str
    path: str
    query: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, given: str) -> Self:
        """An address from what a user typed; without a scheme it is HTTPS, on the own machine HTTP.

        Raises:
            UsageError: it is no HTTP address.
        """
        text = given.strip()
        if "://" not in text:
            own = re.match(r"(localhost|127\.[\d.]+|\[::1\])([:/]|$)", text)
            text = ("http://" if own else "https://") + text
        try:
            parts = urlsplit(text)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            parts, usable = urlsplit(""), False
        if not usable:
            raise UsageError("The address of the server is not an HTTP address: give one such as https://example.com.")
        if parts.username is not None:
            raise UsageError("The address of the server carries a user name: give the secret apart from the address.")
        return cls(parts.scheme, parts.netloc, parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)))

    def url(self, path: str) -> str:
        """The address with another path and no query."""
        return urlunsplit((self.scheme, self.netloc, path, "", ""))

    def without_credentials(self) -> str:
        """The whole address, without a secret or a call that stood in its query."""
        return urlunsplit((self.scheme, self.netloc, self.path, urlencode(_query_of(self)), ""))

    def asks_for(self, name: str) -> str:
        """A parameter of the query, in lower case; empty if it is not there."""
        return next((value.lower() for key, value in self.query if key.lower() == name), "")


def routes(given: str, version: int | None = None) -> list[tuple[Endpoint, ...]]:
    """The routes to try for an address, newest version first.

    Args:
        given: address of the site or of its API.
        version: only routes of this version of the API; None: all that the address allows.

    Returns:
        Routes; each is one address with its alternatives (kinds of credential), of which a later one is only worth
        trying when an earlier one was answered by the API and refused.

    Raises:
        UsageError: the address is no HTTP address, or never answers that version.
    """
    found = _routes(Address.parse(given))
    wanted = [route for route in found if version in (None, route[0].version)]
    if not wanted:
        raise UsageError(f"This address does not answer version {version} of the API: give the address of the site.")
    return wanted


def with_get(route: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """The same route asked with GET, for servers that refuse POST."""
    return tuple(replace(endpoint, verb=Verb.GET) for endpoint in route)


def _routes(address: Address) -> list[tuple[Endpoint, ...]]:
    path = address.path
    if match := _V3_ROUTE.match(path):
        return [_version_3(address.url(match[1]))]
    if match := _V2_ROUTE.match(path):
        return [_version_2(address.url(match[1] + "/index.php"), _query_of(address))]
    name = path.rpartition("/")[2].lower()
    if name == "index.php":
        return _index(address)
    if name == "remote.php":
        return _with_views(address, lambda view: (("view", view),))
    if name == "admin-ajax.php":
        return _with_views(address, _wordpress)
    return _site(address, path.rstrip("/"))


def _index(address: Address) -> list[tuple[Endpoint, ...]]:
    """Routes for an ``index.php``: as given where it says what it is, else with every component."""
    url = address.url(address.path)
    view = address.asks_for("view")
    if view:
        query = _query_of(address)
        return [_version_1(url, query)] if view == "json" else [_version_2(url, query)]
    return [
        *(_version_2(url, _joomla(component, "api")) for component in COMPONENTS),
        *(_version_1(url, _joomla(component, "json")) for component in reversed(COMPONENTS)),
    ]


def _with_views(address: Address, query: Any) -> list[tuple[Endpoint, ...]]:
    url = address.url(address.path)
    found = [_version_2(url, query("api")), _version_1(url, query("json"))]
    view = address.asks_for("view")
    return {"api": found[:1], "json": found[1:]}.get(view, found)


def _site(address: Address, base: str) -> list[tuple[Endpoint, ...]]:
    def url(path: str) -> str:
        return address.url(base + path)

    plugin = url("/wp-content/plugins/akeebabackupwp/app/index.php")
    return [
        _version_3(url("/api/index.php/v3/akeebabackup")),
        _version_3(url("/api/v3/akeebabackup")),
        *(_version_2(url("/index.php"), _joomla(component, "api")) for component in COMPONENTS),
        _version_2(url("/wp-admin/admin-ajax.php"), _wordpress("api")),
        _version_2(plugin, _joomla("com_akeeba", "api")),
        _version_1(url("/index.php"), _joomla("com_akeeba", "json")),
        _version_1(
            url("/index.php"), (("option", "com_akeeba"), ("view", "json"), ("format", "html"), ("tmpl", "component"))
        ),
        _version_1(url("/remote.php"), (("view", "json"),)),
        _version_1(url("/wp-admin/admin-ajax.php"), _wordpress("json")),
        _version_1(plugin, _joomla("com_akeeba", "json")),
    ]


def _query_of(address: Address) -> tuple[tuple[str, str], ...]:
    carried = {"method", "json", "_akeebaauth"}
    return tuple((name, value) for name, value in address.query if name.lower() not in carried)


def _joomla(component: str, view: str) -> tuple[tuple[str, str], ...]:
    return (("option", component), ("view", view), ("format", "raw"))


def _wordpress(view: str) -> tuple[tuple[str, str], ...]:
    return (WORDPRESS_ACTION, ("option", "com_akeeba"), ("view", view), ("format", "raw"))


def _version_3(url: str) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(3, url, (), credential) for credential in (Credential.JOOMLA_HEADER, Credential.AKEEBA_HEADER)
    )


def _version_2(url: str, query: tuple[tuple[str, str], ...]) -> tuple[Endpoint, ...]:
    credentials = (Credential.AKEEBA_HEADER, Credential.AKEEBA_QUERY)
    return tuple(Endpoint(2, url, query, credential) for credential in credentials)


def _version_1(url: str, query: tuple[tuple[str, str], ...]) -> tuple[Endpoint, ...]:
    return (Endpoint(1, url, query, Credential.CHALLENGE),)
