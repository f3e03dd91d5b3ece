"""Asking the server of a site once what it is: how it is called, what it says of itself, whether it gives files out."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from backstay.api.replies import BackupRecord, VersionInfo
from backstay.catalogue import Connection
from backstay.client import Client, Endpoint
from backstay.client.endpoints import Address
from backstay.client.flows import TransportError
from backstay.errors import AuthenticationError, BackstayError, PermissionDeniedError

TIMEOUT_SECONDS: Final = 30.0
LONGEST_TEXT: Final = 200
MOST_PROFILES: Final = 200
_LOOKED_THROUGH: Final = 20
# Akeeba Backup answers version 3 of the API from its version 9.6 on; whatever answers it and counts lower is Backstay.
_FIRST_WITH_VERSION_3: Final = 9
_REFUSALS: Final = frozenset({401, 403, 503})


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest backup of a server: its number, beginning as the server writes it, state, and bytes."""

    id: int
    start: str
    state: str
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a server said of itself, every text cut and without control characters.

    Attributes:
        product: name of the software, as far as its answers give it away.
        version, edition: of it, as it says.
        level: of the API.
        profiles: number and name of each backup profile; None: the secret may not ask for them.
        newest: its newest backup; None: there is none, or the secret may not ask.
        backups: whether the secret may list backups.
        may_download: whether the secret may download; None: nothing is there to try it with.
        certificate: SHA-256 of its certificate, hexadecimal; empty: the connection is not encrypted.
        ip: what its name resolved to; empty: it did not.
    """

    product: str
    version: str
    edition: str
    level: int
    profiles: tuple[tuple[int, str], ...] | None
    newest: Newest | None
    backups: bool
    may_download: bool | None
    certificate: str
    ip: str
    asked: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "profiles": self.profiles and [list(one) for one in self.profiles]}


@dataclass(frozen=True, slots=True)
class Detected:
    """How a server is called, and what it said.

    Attributes:
        endpoint: what answered.
        address: of the site, with its scheme and without credentials.
        host: key of the limit of backups at the same time.
        found: what the server said.
        tried: what was tried to find the endpoint, for people.
    """

    endpoint: Endpoint
    address: str
    host: str
    found: Found
    tried: tuple[str, ...] = field(default=(), repr=False)


def plain_text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text of a server as one line: cut, without control characters, bytes that are no text escaped."""
    kept = text[: longest * 2].encode("utf-8", "backslashreplace").decode()
    one_line = " ".join("".join(letter if letter.isprintable() else " " for letter in kept).split())
    return one_line if len(one_line) <= longest else one_line[: longest - 1] + "…"


def client_of(address: str, connection: Connection, timeout: float = TIMEOUT_SECONDS) -> Client:
    """Return a client of the server of a site; the endpoint that is known is tried first.

    Raises:
        UsageError: the address or the secret cannot be used.
    """
    known = Endpoint.restored(dict(connection.endpoint)) if connection.endpoint else None
    return Client(address, connection.secret, endpoint=known, timeout=timeout, verify=connection.verify_tls)


def detect(address: str, connection: Connection, timeout: float = TIMEOUT_SECONDS) -> Detected:
    """Find out how a server is called, and ask it what it is.

    Args:
        address: of the site, or of its API in any form.
        connection: secret and, where it was found before, endpoint.
        timeout: seconds to wait for the next bytes of an answer.

    Raises:
        AuthenticationError: it does not know the secret.
        ConnectionFailedError: it cannot be reached.
        ProtocolError: nothing there answers the API; the message lists what was tried.
    """
    with client_of(address, connection, timeout) as client:
        version = client.get_version()
        endpoint = client.endpoint or client.detect()
        profiles = _profiles(client)
        listed = _backups(client)
        shown = Address.parse(address).without_credentials()
        host = host_of(endpoint.url)
        found = Found(
            product=product_of(endpoint, version),
            version=plain_text(version.component, 40),
            edition=plain_text(version.edition, 20),
            level=version.api,
            profiles=profiles,
            newest=_newest(listed),
            backups=listed is not None,
            may_download=_may_download(client, listed or []),
            certificate=client.certificate,
            ip=host if _is_ip(host) else "",
            asked=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return Detected(endpoint, shown, host, found, tuple(plain_text(line, 500) for line in client.tried))


def host_of(address: str) -> str:
    """Return the IP address that the host name of an address resolves to now; the name itself where it does not.

    Of several the same is taken each time, IPv4 before IPv6.
    """
    name = (urlsplit(address).hostname or "").rstrip(".").lower()
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return name[:255]
    return min((answer[0] is socket.AF_INET6, str(answer[4][0]).partition("%")[0]) for answer in answers)[1]


def product_of(endpoint: Endpoint, version: VersionInfo) -> str:
    """Return what software answers, as far as its address and version give it away."""
    first = re.match(r"\d{1,6}", version.component)
    if endpoint.version == 3 and first and int(first[0]) < _FIRST_WITH_VERSION_3:
        return "Backstay"
    path, component = urlsplit(endpoint.url).path.lower(), dict(endpoint.query).get("option", "")
    if "/wp-admin/" in path or "/wp-content/" in path:
        return "Akeeba Backup for WordPress"
    if path.endswith("/remote.php"):
        return "Akeeba Solo"
    if endpoint.version == 3 or path.endswith("/akeebabackup/index.php") or component == "com_akeebabackup":
        return "Akeeba Backup for Joomla"
    return "Akeeba Backup"


def changes_between(before: Mapping[str, Any], after: Found) -> list[str]:
    """Return in sentences what has changed of a server since it was asked before."""
    if not before:
        return []
    sentences = []
    if before.get("certificate") and after.certificate and before["certificate"] != after.certificate:
        sentences.append("It shows another certificate than before.")
    if before.get("certificate") and not after.certificate:
        sentences.append("It is no longer asked over an encrypted connection.")
    if before.get("ip") and after.ip and before["ip"] != after.ip:
        sentences.append(f"Its address has changed from {before['ip']} to {after.ip}.")
    sentences += [
        f"Its {name} was {before[name]}, and is {getattr(after, name) or 'not told'} now."
        for name in ("product", "version")
        if before.get(name) and before[name] != getattr(after, name)
    ]
    return sentences


def _profiles(client: Client) -> tuple[tuple[int, str], ...] | None:
    try:
        found = client.get_profiles()
    except (PermissionDeniedError, AuthenticationError):
        return None
    return tuple((one.id, plain_text(one.name)) for one in found[:MOST_PROFILES])


def _backups(client: Client) -> list[BackupRecord] | None:
    try:
        return client.list_backups(0, _LOOKED_THROUGH)[:_LOOKED_THROUGH]
    except (PermissionDeniedError, AuthenticationError):
        return None


def _newest(listed: list[BackupRecord] | None) -> Newest | None:
    if not listed:
        return None
    newest = max(listed, key=lambda record: record.id)
    size = newest.size if newest.size is not None else newest.total_size
    return Newest(
        newest.id, plain_text(newest.backupstart or "", 30), plain_text(newest.meta or newest.status, 20), size or 0
    )


def _may_download(client: Client, listed: list[BackupRecord]) -> bool | None:
    """Return whether the first byte of a backup that has its files is given out; None where there is none."""
    held = next(
        (one for one in listed if one.meta in ("ok", "remote") or (one.status == "complete" and one.filesexist)), None
    )
    if held is None:
        return None
    try:
        with client.open_part(held.id, 1, "bytes=0-0") as part:
            if part.status in _REFUSALS:
                return False
            # A refusal may come as JSON with HTTP status 200.
            kind = part.headers.get("content-type", "")
            given = part.status in (200, 206) and not kind.startswith(("text/html", "application/json"))
        if not given:
            client.download_segment(held.id, 1, 1)
    except (PermissionDeniedError, AuthenticationError):
        return False
    except (TransportError, BackstayError):
        return None
    return True


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
