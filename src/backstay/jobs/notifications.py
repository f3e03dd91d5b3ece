"""Events on their way to people: who gets which, and sending each until it is taken, or three days have passed.

An event is published where it happens, which costs a transaction, and sent by whoever looks next: the end of a backup's
process, or a server's minute.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backstay.catalogue import Backup, Delivery, Recipient
from backstay.errors import BackstayError, NotFoundError
from backstay.jobs.installation import Installation
from backstay.jobs.records import read_log
from backstay.jobs.secret_words import secret_words
from backstay.notifications.address import parse_recipient
from backstay.notifications.model import Event, event_as_json, event_from_json, wants
from backstay.notifications.sending import Receiver, send
from backstay.notifications.text import one_line, several_lines

_log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
PATIENCE: Final = timedelta(days=3)
KEPT: Final = timedelta(days=90)
_TAIL_BYTES = 10_000


def publish(installation: Installation, event: Event, *, now: datetime | None = None) -> int:
    """Make a message of an event for each recipient that wants it; a second time nothing is made.

    Args:
        installation: whose.
        event: what happened; secrets that are known of its profile are taken out of its texts.
        now: this moment; None: it is looked up.

    Returns:
        How many messages were made.
    """
    recipients = installation.catalogue.recipients.all()
    pings = {one.id for one in recipients if parse_recipient(one.url).service == "ping"}
    found = [one for one in recipients if wants(one.events, one.options.profiles, event, is_ping=one.id in pings)]
    return publish_to(installation, found, event, now or datetime.now(UTC), pings=pings)


def publish_to(
    installation: Installation,
    recipients: list[Recipient],
    event: Event,
    now: datetime,
    *,
    pings: frozenset[int] | set[int] = frozenset(),
) -> int:
    """Make a message of an event for these recipients; see ``publish``."""
    if not recipients:
        return 0
    told = _without_secrets(installation, _with_links(installation, replace(event, at=event.at or now)))
    with_log, without = event_as_json(told), event_as_json(replace(told, log_tail=""))
    made = 0
    for is_ping, thread in ((True, f"profile:{event.profile_id}"), (False, ":".join(event.key.split(":")[:2]))):
        contents = [(one.id, with_log if is_ping else without) for one in recipients if (one.id in pings) == is_ping]
        if contents:
            made += len(installation.catalogue.deliveries.create(told.identity, thread, contents, now))
    return made


def due(installation: Installation, now: datetime) -> list[int]:
    """Return the numbers of the messages that are to be sent now."""
    return installation.catalogue.deliveries.due(now)


def deliver(installation: Installation, delivery_id: int, now: datetime) -> bool:
    """Try once to send a message; when it is taken, go on with what waited behind it in its thread.

    Safe to call from several processes at once: each message is claimed by one. After a failure it is tried again,
    after pauses that grow from a minute to an hour, and given up after three days.

    Args:
        installation: whose.
        delivery_id: number of the message.
        now: this moment.

    Returns:
        Whether that message was taken in this call.
    """
    taken = False
    number: int | None = delivery_id
    while number is not None:
        delivery = installation.catalogue.deliveries.claim(number, now)
        if delivery is None or not _attempted(installation, delivery, now):
            break
        taken = taken or number == delivery_id
        number = installation.catalogue.deliveries.succeed(delivery, now)
    return taken


def deliver_due(installation: Installation, now: datetime | None = None, *, seconds: float = 60.0) -> int:
    """Send what is due; one attempt each.

    Args:
        installation: whose.
        now: this moment; None: it is looked up.
        seconds: after which no further attempt is begun; what is left is due still.

    Returns:
        How many messages were taken.
    """
    moment = now or datetime.now(UTC)
    end = time.monotonic() + seconds
    tried: set[int] = set()
    taken = 0
    while waiting := [number for number in due(installation, moment) if number not in tried]:
        for number in waiting:
            if time.monotonic() >= end:
                return taken
            tried.add(number)
            taken += deliver(installation, number, moment)
    return taken


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after as many attempts: a minute, two, four … an hour."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 10)), LONGEST_PAUSE)


def log_tail(installation: Installation, backup: Backup) -> str:
    """Return the last 10,000 bytes of a backup's log, for ``Event.log_tail``; empty where it has none."""
    try:
        content = read_log(installation, backup).encode("utf-8", "backslashreplace")
    except NotFoundError:
        return ""
    return content[-_TAIL_BYTES:].decode("utf-8", "ignore").replace("\r\n", "\n")


def _attempted(installation: Installation, delivery: Delivery, now: datetime) -> bool:
    """Send a claimed message; where that fails, note why and when to try again."""
    try:
        recipient = installation.catalogue.recipients.by_number(delivery.recipient_id)
    except NotFoundError:
        return False  # removed meanwhile, and its messages with it
    try:
        send(receiver_of(installation, recipient), event_from_json(delivery.content), now)
    except BackstayError as error:
        is_over = now - delivery.created >= PATIENCE
        following = None if is_over else now + pause_after(delivery.attempts)
        installation.catalogue.deliveries.fail(delivery, str(error), following)
        _log.warning(
            "The message %s to %s was not delivered%s: %s",
            delivery.event,
            recipient.name,
            " and is given up" if is_over else "",
            error,
        )
        return False
    _log.info("The message %s was delivered to %s.", delivery.event, recipient.name)
    return True


def receiver_of(installation: Installation, recipient: Recipient) -> Receiver:
    """Return what is needed to send to a recipient."""
    return Receiver(
        url=recipient.url,
        host=recipient.options.host,
        secret=recipient.secret,
        mark=recipient.options.mark,
        zone=installation.now().tzinfo or UTC,
    )


def _with_links(installation: Installation, event: Event) -> Event:
    """Return an event with the address of the server, where it has one, and the command that tells more."""
    command = event.command
    if not command and event.kind != "digest":
        command = "backstay alarms" if not event.ends_backup else f"backstay show {event.backup_id}"
    return replace(event, command=command, link=event.link or installation.configuration.server.public_url)


def _without_secrets(installation: Installation, event: Event) -> Event:
    """Return an event in whose texts no secret stands, and no character that begins a line or a header."""
    # Imported here: it comes with the whole client, and most of what is published has no recipient.
    from backstay.client.secrecy import blanked

    words = secret_words(installation, event.profile_id)
    texts: dict[str, Any] = {
        name: one_line(blanked(getattr(event, name), words))
        for name in ("title", "advice", "profile", "site", "link", "command")
    }
    texts |= {name: several_lines(blanked(getattr(event, name), words)) for name in ("message", "log_tail")}
    return replace(event, **texts)
