"""Events on their way to people: sending each until it is taken, or three days have passed.

An event is published where it happens, which costs a transaction, and sent by whoever looks next: the end of a backup's
process, or a server's minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backstay.catalogue import Delivery, Recipient
from backstay.errors import BackstayError, NotFoundError
from backstay.jobs import lock
from backstay.jobs.digests import publish_digests
from backstay.jobs.installation import Installation
from backstay.jobs.publishing import publish
from backstay.jobs.schedules import default_time_zone
from backstay.notifications.model import event_from_json
from backstay.schedules.zones import find_zone

if TYPE_CHECKING:
    from backstay.notifications.sending import Receiver

__all__ = ["deliver", "deliver_due", "due", "publish", "receiver_of", "retry_for_a_while"]

_log = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
PATIENCE: Final = timedelta(days=3)


def due(installation: Installation, now: datetime) -> list[int]:
    """Return the numbers of the messages that are to be sent now; digests whose time has come are made first."""
    publish_digests(installation, now)
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
    return _delivered(installation, delivery_id, now) > 0


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
            taken += _delivered(installation, number, moment)
    return taken


def retry_for_a_while(
    installation: Installation,
    *,
    span: timedelta = timedelta(minutes=16),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Try again what is not delivered, for as long as given; where another process does so, return at once.

    For backups without a server beside them: many mail servers take a message only minutes after they saw it first.
    """
    end = clock() + span
    with lock.tried(installation.home.queue / "messages") as alone:
        while alone and (following := installation.catalogue.deliveries.next_attempt()) and following <= end:
            sleep(max(1.0, (following - clock()).total_seconds()))
            deliver_due(installation, clock())


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after as many attempts: a minute, two, four … an hour."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 10)), LONGEST_PAUSE)


def _delivered(installation: Installation, delivery_id: int, now: datetime) -> int:
    """Send a message and what waited behind it, until one is not taken; return how many were."""
    taken = 0
    number: int | None = delivery_id
    while number is not None:
        delivery = installation.catalogue.deliveries.claim(number, now)
        if delivery is None or not _attempted(installation, delivery, now):
            break
        taken += 1
        number = installation.catalogue.deliveries.succeed(delivery, now)
    return taken


def _attempted(installation: Installation, delivery: Delivery, now: datetime) -> bool:
    """Send a claimed message; where that fails, note why and when to try again."""
    # Imported here: most processes send nothing.
    from backstay.notifications.sending import send

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
    # Imported here, as above: most processes send nothing.
    from backstay.notifications.sending import Receiver

    return Receiver(
        url=recipient.url,
        host=recipient.options.host,
        secret=recipient.secret,
        mark=recipient.options.mark,
        zone=find_zone(default_time_zone(installation)),
    )
