"""Hosts as CMS configurations write them: of databases, with a port or a socket behind a colon; of the site itself."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_IPV6 = re.compile(r"\[?([0-9A-Fa-f:.]+)(?:\]:(\d+)|\])?\Z")
_NAME = re.compile(r"([^:/]*)(?::(\d+))?\Z")


def split_host(text: str) -> tuple[str, int | None, str]:
    """Split ``host:port``, ``localhost:/path/of.sock``, ``[::1]:3306`` or ``unix:/path`` as PHP's drivers do.

    Returns:
        Host, port (``None`` for the usual one) and path of the socket (empty without one). With a socket there is
        no host.
    """
    text = text.strip().removeprefix("p:")
    if text.startswith("/"):
        return "", None, text
    if ":/" in text:
        return "", None, text.partition(":")[2].lstrip("0123456789:") if text.count(":") > 1 else text.partition(":")[2]
    match = _IPV6.match(text) if text.count(":") > 1 else _NAME.match(text)
    if match is None:
        return text, None, ""
    return match[1] or "localhost", int(match[2]) if match[2] else None, ""


def host_of(address: str) -> str:
    """Return the host name in a site's address, such as ``https://example.com/blog``; the scheme may be missing.

    Returns:
        The name in lower case, without a port; empty where the address holds none.
    """
    address = address.strip()
    try:
        return urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        # A bracket without its other half, or no IPv6 address between the two.
        return ""
