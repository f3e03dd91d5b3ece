"""Where a message goes: one URL for each kind of service, and what of it may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from backstay.errors import UsageError

Service = Literal["apprise", "webhook", "ping"]
FORMS: Final = (
    "webhook+https://host/path",
    "ping+https://hc-ping.com/uuid",
    "mailto://user:password@host?to=you@example.com",
    "an address of any other service of Apprise",
)
PROFILE_MARK: Final = "{profile}"
_BLANK = "***"
_OWN = re.compile(r"(?i)(webhook|ping)\+(https?)://")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages of one recipient go.

    Attributes:
        service: what speaks to it.
        url: as the service takes it: without our prefix. Holds secrets.
        scheme: what may be shown of it, besides the host of our own services.
        host: server and port of a webhook or ping; empty for services of Apprise, where a secret may stand there.
    """

    service: Service
    url: str = field(repr=False)
    scheme: str
    host: str = ""

    @property
    def shown(self) -> str:
        """The address as it may be shown: scheme and host."""
        return f"{self.scheme}://{self.host}" if self.host else f"{self.scheme}://…"


def parse_recipient(url: str) -> Address:
    """Read the URL of a recipient.

    Args:
        url: ``webhook+https://…``, ``ping+https://…`` (both with ``http``, too), or an address of Apprise.

    Raises:
        UsageError: it is none. The sentence holds no part of the URL that may be secret.
    """
    url = url.strip()
    if any(not character.isprintable() or character.isspace() for character in url):
        raise UsageError("The URL of a recipient holds a blank or a control character: write it as %20 and the like.")
    own = _OWN.match(url)
    if own is None:
        return _of_apprise(url)
    service: Service = "webhook" if own[1].lower() == "webhook" else "ping"
    plain = f"{own[2].lower()}://{url[own.end() :]}"
    try:
        parts = urlsplit(plain)
        host, port = parts.hostname, parts.port
    except ValueError as problem:
        raise UsageError(f"The {service} URL can't be read: its host or port is malformed.") from problem
    if not host:
        raise UsageError(f"The {service} URL names no host: write {service}+https://host/path.")
    if parts.fragment or (PROFILE_MARK in plain and (service == "webhook" or PROFILE_MARK in parts.netloc)):
        raise UsageError(f"The {service} URL can't be used: it holds '#', or {PROFILE_MARK} where that can't stand.")
    host = f"[{host}]" if ":" in host else host
    return Address(service, plain, f"{service}+{parts.scheme}", host if port is None else f"{host}:{port}")


def _of_apprise(url: str) -> Address:
    scheme, separator, rest = url.partition("://")
    if not separator or not rest or not re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", scheme):
        raise UsageError(f"The URL of a recipient is one of: {'; '.join(FORMS)}. This one is not.")
    return Address("apprise", url, scheme.lower())


def blanked(text: str, address: Address, secrets: Iterable[str] = ()) -> str:
    """Return a text without any piece of a URL that may be secret.

    Args:
        text: why something could not be sent, in the words of whatever library.
        address: where it was to be sent.
        secrets: further words to blank.
    """
    pieces = {address.url, address.url.partition("://")[2], *secrets}
    for piece in re.split(r"[/:@?&=#,+;]", address.url):
        pieces |= {piece, unquote(piece), unquote_plus(piece), quote(piece, safe="")}
    harmless = {address.scheme, *re.split(r"[:+]", address.scheme), address.host, *address.host.split(":")}
    for piece in sorted(pieces - harmless, key=len, reverse=True):
        if len(piece) >= _SHORTEST_SECRET:
            text = text.replace(piece, _BLANK)
    return text
