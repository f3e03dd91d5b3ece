"""Pings of health checks, as Healthchecks and its like expect them (healthchecks.io/docs/http_api).

``POST <url>/start`` as a backup begins, ``POST <url>`` as it succeeds, ``POST <url>/fail`` as it fails; the body is
shown beside the ping.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from backstay.notifications.address import PROFILE_MARK, Address
from backstay.notifications.model import Event
from backstay.notifications.request import post
from backstay.notifications.text import several_lines

LONGEST_BODY = 10_000
_ENDINGS = {"started": "/start", "succeeded": "", "failed": "/fail", "test": "/log"}


def ping_url(url: str, event: Event) -> str:
    """Return where the ping of an event goes.

    Args:
        url: of the check; ``{profile}`` in it is the number of the profile. A query stays behind the ending.
        event: the start or end of a backup, or a test, which changes no state (``/log``).
    """
    parts = urlsplit(url)
    number = str(event.profile_id or 0)
    path = parts.path.rstrip("/").replace(PROFILE_MARK, number) + _ENDINGS[event.kind]
    return urlunsplit(parts._replace(path=path, query=parts.query.replace(PROFILE_MARK, number)))


def ping_body(event: Event) -> bytes:
    """Return the body of a ping, at most 10,000 bytes: what happened, then the end of the log."""
    head = several_lines(f"{event.title}\n{event.message}").encode()[: LONGEST_BODY // 2]
    if not event.log_tail:
        return _whole(head)
    room = LONGEST_BODY - len(head) - 2
    return _whole(head) + b"\n\n" + _whole(event.log_tail.encode("utf-8", "backslashreplace")[-room:])


def send_ping(address: Address, event: Event) -> None:
    """Send an event to a health check.

    Raises:
        ConnectionFailedError: it was not taken.
    """
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    post(address, ping_url(address.url, event), ping_body(event), headers)


def _whole(content: bytes) -> bytes:
    """Return bytes cut out of UTF-8 without the halves of characters at their ends."""
    return content.decode("utf-8", "ignore").encode()
