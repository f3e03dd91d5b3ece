"""Which redirects a client may follow, since every request carries a credential (api-v3.md)."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urljoin, urlsplit

from backstay.client.secrecy import blanked
from backstay.errors import ProtocolError

MAX_REDIRECTS = 20
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})


def redirect_target(given: str, current: str, location: str) -> str:
    """The address that a redirect leads to, if it may be followed.

    Allowed are the same host, the same without ``www.``, hosts beneath that, and ancestors of the host given, compared
    on label boundaries; numeric addresses only to themselves; never from HTTPS to HTTP, never another scheme.

    Args:
        given: the address that the user gave.
        current: the address that answered with the redirect.
        location: its ``Location`` header.

    Returns:
        The absolute address to ask next.

    Raises:
        ProtocolError: the redirect leads where the credential must not go. Nothing was sent there.
    """
    try:
        target = urljoin(current, location)
        parts = urlsplit(target)
        known = urlsplit(given)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ProtocolError(_refusal(location, "it is not an address")) from None
    if parts.scheme not in ("http", "https"):
        raise ProtocolError(_refusal(target, "it is not HTTP"))
    if parts.scheme == "http" and "https" in (urlsplit(current).scheme, known.scheme):
        raise ProtocolError(_refusal(target, "it leads from HTTPS to HTTP"))
    if parts.username is not None or parts.password is not None:
        raise ProtocolError(_refusal(target, "it carries credentials of its own"))
    if not _same_owner(_host(known), host.rstrip(".").lower()):
        raise ProtocolError(_refusal(target, "it leads to another host"))
    return target


def _refusal(target: str, reason: str) -> str:
    shown = blanked(target).partition("?")[0][:200]
    return f"The server redirects to {shown}, which is not followed because {reason}: give that address yourself."


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".").lower()


def _same_owner(given: str, target: str) -> bool:
    if given == target:
        return bool(given)
    if _is_address(given) or _is_address(target) or not target:
        return False
    bare = given.removeprefix("www.")
    if target == bare or target.endswith("." + bare):
        return True
    return given.endswith("." + target) and "." in target


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.replace(".", "").isdigit()
    return True
