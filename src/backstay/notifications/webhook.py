"""Plain webhooks: a JSON document, signed as the Standard Webhooks specification says (standardwebhooks.com).

``webhook-signature`` is ``v1,`` and the Base64 of HMAC-SHA256 over ``<webhook-id>.<webhook-timestamp>.<body>``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from backstay.errors import UsageError
from backstay.notifications.address import Address
from backstay.notifications.model import Event
from backstay.notifications.request import post

SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, not one
_SECRET_BYTES = 32
_LEAST_BYTES = 24  # what the specification asks for


def new_secret() -> str:
    """Return a new secret: ``whsec_`` and 32 random bytes in Base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signing_key(secret: str) -> bytes:
    """Return the bytes that a secret stands for: behind ``whsec_`` Base64, any other text in UTF-8.

    Raises:
        UsageError: it has less than 24 bytes, or what follows ``whsec_`` is not Base64.
    """
    if secret.startswith(SECRET_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise UsageError(f"The webhook's secret begins with {SECRET_PREFIX}, but no Base64 follows.") from None
    else:
        key = secret.encode("utf-8", "surrogateescape")
    if len(key) < _LEAST_BYTES:
        raise UsageError(f"The webhook's secret is too short: give one of at least {_LEAST_BYTES} bytes.")
    return key


def payload(event: Event, *, server: str, sent: datetime) -> dict[str, Any]:
    """Return the document of an event.

    Args:
        event: what happened.
        server: name of this machine.
        sent: moment of this attempt; stands in for that of the event where it has none.
    """
    return {
        "type": event.kind,
        "timestamp": _moment(event.at or sent),
        "data": {
            "event": event.identity,
            "problem": event.is_problem,
            "title": event.title,
            "message": event.message,
            "advice": event.advice,
            "since": _moment(event.since),
            "alarm": event.alarm or None,
            "profile_id": event.profile_id,
            "profile": event.profile,
            "site": event.site,
            "backup_id": event.backup_id,
            "link": event.link or None,
            "command": event.command or None,
            "server": server,
        },
    }


def signature(key: bytes, identifier: str, timestamp: int, content: bytes) -> str:
    """Return the value of the header ``webhook-signature``.

    Args:
        key: see ``signing_key``.
        identifier: value of ``webhook-id``.
        timestamp: value of ``webhook-timestamp``, Unix seconds.
        content: the body.
    """
    signed = f"{identifier}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def send_webhook(address: Address, secret: str, event: Event, *, server: str, mark: str, now: datetime) -> None:
    """Send an event to a webhook.

    Args:
        address: of the webhook.
        secret: what the request is signed with.
        event: what happened.
        server: name of this machine.
        mark: of the recipient; makes the event's identifier one that no other installation sends.
        now: moment of this attempt.

    Raises:
        ConnectionFailedError: it was not taken.
    """
    content = json.dumps(payload(event, server=server, sent=now)).encode()
    identifier, timestamp = f"{mark}:{event.identity}", int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(signing_key(secret), identifier, timestamp, content),
    }
    post(address, address.url, content, headers)


def _moment(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if value else None
