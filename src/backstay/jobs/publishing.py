"""Events become messages: one for each recipient that wants it, without any secret in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backstay.catalogue import Recipient
from backstay.jobs.installation import Installation
from backstay.jobs.secret_words import secret_words
from backstay.notifications.address import parse_recipient
from backstay.notifications.model import Event, event_as_json, wants
from backstay.notifications.text import one_line, several_lines

KEPT: Final = timedelta(days=90)
"""So long a message is kept that was delivered or given up."""
_LONGEST: Final = 12_000


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
    recipients: Sequence[Recipient],
    event: Event,
    now: datetime,
    *,
    pings: Collection[int] = (),
) -> int:
    """Make a message of an event for these recipients; see ``publish``."""
    if not recipients:
        return 0
    told = _without_secrets(installation, _completed(installation, replace(event, at=event.at or now)))
    with_log, without = event_as_json(told), event_as_json(replace(told, log_tail=""))
    made = 0
    for is_ping, thread in ((True, f"profile:{event.profile_id}"), (False, ":".join(event.key.split(":")[:2]))):
        contents = [(one.id, with_log if is_ping else without) for one in recipients if (one.id in pings) == is_ping]
        if contents:
            made += len(installation.catalogue.deliveries.create(told.identity, thread, contents, now))
    installation.catalogue.deliveries.forget(now - KEPT)
    return made


def _completed(installation: Installation, event: Event) -> Event:
    """Return an event with the name of its profile, the command that shows more, and the address of the server."""
    command = event.command
    if not command and event.kind != "digest":
        command = f"backstay show {event.backup_id}" if event.ends_backup else "backstay alarms"
    names = {} if event.profile else dict(installation.catalogue.profiles.names())
    return replace(
        event,
        profile=event.profile or names.get(event.profile_id or 0, ""),
        command=command,
        link=event.link or installation.configuration.server.public_url,
    )


def _without_secrets(installation: Installation, event: Event) -> Event:
    """Return an event in whose texts no secret stands, and no character that begins a line or a header."""
    # Imported here: it comes with the whole client, and most of what is published has no recipient.
    from backstay.client.secrecy import blanked

    # Nothing is cut before: half a secret would not be found.
    words = secret_words(installation, event.profile_id)
    texts: dict[str, Any] = {
        name: one_line(blanked(getattr(event, name), words))[:_LONGEST]
        for name in ("title", "advice", "profile", "site", "link", "command")
    }
    texts |= {
        "message": several_lines(blanked(event.message, words))[:_LONGEST],
        "log_tail": several_lines(blanked(event.log_tail, words))[-_LONGEST:],
    }
    return replace(event, **texts)
