"""Sending one event to one recipient, by whatever service its address names."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from backstay.notifications.address import parse_recipient
from backstay.notifications.apprise_message import send_apprise
from backstay.notifications.model import Event
from backstay.notifications.ping import send_ping
from backstay.notifications.webhook import send_webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where an event goes, with all that is needed to send it.

    Attributes:
        url: of the recipient; see ``parse_recipient``.
        host: what may be shown of an address of Apprise; see ``check_apprise``.
        secret: what webhooks are signed with.
        mark: a word that no other recipient has, for the identifiers of webhooks.
        zone: time zone of the times in messages for people.
    """

    url: str = field(repr=False)
    host: str = ""
    secret: str = field(default="", repr=False)
    mark: str = ""
    zone: tzinfo = UTC


def send(receiver: Receiver, event: Event, now: datetime) -> None:
    """Send an event once; return when it was taken.

    Args:
        receiver: who gets it.
        event: what happened.
        now: moment of this attempt.

    Raises:
        ConnectionFailedError: it was not taken: no answer in 30 seconds, or a refusal. The sentence holds no secret.
        UsageError: the address or secret can't be used.
    """
    address = parse_recipient(receiver.url)
    server = socket.gethostname()
    if address.service == "webhook":
        send_webhook(address, receiver.secret, event, server=server, mark=receiver.mark, now=now)
    elif address.service == "ping":
        send_ping(address, event)
    else:
        send_apprise(replace(address, host=receiver.host), event, server=server, zone=receiver.zone)
