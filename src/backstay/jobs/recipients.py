"""Recipients of notifications as a person asks for them: adding, changing, testing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from backstay.catalogue import Recipient, RecipientOptions
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.notifications import receiver_of
from backstay.jobs.schedules import find_profile
from backstay.notifications.address import PROFILE_MARK, Address, parse_recipient
from backstay.notifications.model import DEFAULT_KINDS, GROUPS, NEWS, PING_KINDS, PROBLEMS, Event

_NAME = re.compile(r"[\w.@-]{1,100}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
NO_DIGEST: Final = "none"
Digest = Literal["none", "daily", "weekly"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asks of a recipient; what is None stays as it is, or gets its default.

    Attributes:
        url: its address; see ``parse_recipient``.
        secret: what a webhook is signed with; empty: a new one is made.
        events: kinds of events, and groups of them.
        profiles: numbers or names of the profiles it hears of; empty: all.
        digest: how often it gets a summary.
        digest_at: local time of the summary, ``HH:MM``.
    """

    url: str | None = None
    secret: str | None = None
    events: Sequence[str] | None = None
    profiles: Sequence[str] | None = None
    digest: Digest | None = None
    digest_at: str | None = None


def add_recipient(installation: Installation, name: str, wishes: Wishes, now: datetime) -> Recipient:
    """Store a recipient under a name; nothing is sent to it.

    Args:
        installation: whose.
        name: for a person.
        wishes: its address, and what it is notified of.
        now: this moment.

    Raises:
        UsageError: the name is taken or cannot be one, or a wish can't be fulfilled.
        NotFoundError: there is no such profile.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The name of a recipient has up to 100 letters, digits and . _ - @, no blanks: choose such a one."
        )
    empty = Recipient(0, name, "", "", (), RecipientOptions(mark=secrets.token_hex(4)), now)
    return installation.catalogue.recipients.create(_changed(installation, empty, wishes, now))


def edit_recipient(installation: Installation, name: str, wishes: Wishes, now: datetime) -> Recipient:
    """Change a recipient; what waits for it is tried at once where its address or secret is another.

    Raises:
        NotFoundError: there is no recipient of that name, or no such profile.
        UsageError: a wish can't be fulfilled.
    """
    found = installation.catalogue.recipients.get(name)
    edited = _changed(installation, found, wishes, now)
    installation.catalogue.recipients.save(edited)
    if (edited.url, edited.secret) != (found.url, found.secret):
        installation.catalogue.deliveries.hasten(edited.id, now)
    return edited


def send_test(installation: Installation, name: str, now: datetime) -> None:
    """Send a recipient a message that says it is a test.

    Raises:
        NotFoundError: there is no recipient of that name.
        ConnectionFailedError: it was not taken. The sentence holds no secret.
    """
    # Imported here, as everywhere: most processes send nothing.
    from backstay.notifications.sending import send

    recipient = installation.catalogue.recipients.get(name)
    profile = recipient.options.profiles[0] if recipient.options.profiles else None
    event = Event(
        key=f"test:{int(now.timestamp())}",
        kind="test",
        title=f"Test of the recipient {name}",
        message="This is a test: messages of this server arrive here.",
        profile_id=profile,
        at=now,
    )
    send(receiver_of(installation, recipient), event, now)


def _changed(installation: Installation, recipient: Recipient, wishes: Wishes, now: datetime) -> Recipient:
    address = _checked_address(wishes.url) if wishes.url is not None else _known_address(recipient)
    changed = replace(
        recipient,
        url=recipient.url if wishes.url is None else wishes.url.strip(),
        secret=_secret(address, recipient, wishes),
        events=_events(address, recipient, wishes),
        options=replace(recipient.options, shown=address.shown, host=address.host),
    )
    if wishes.profiles is not None:
        profiles = tuple(sorted({find_profile(installation, one) for one in wishes.profiles}))
        changed = replace(changed, options=replace(changed.options, profiles=profiles))
    changed = _with_digest(changed, wishes, now)
    _check_ping(address, changed)
    return changed


def _known_address(recipient: Recipient) -> Address:
    address = parse_recipient(recipient.url)
    return replace(address, host=address.host or recipient.options.host)


def _checked_address(url: str) -> Address:
    address = parse_recipient(url)
    if address.service != "apprise":
        return address
    # Imported here: it is needed only where an address is new.
    from backstay.notifications.apprise_message import check_apprise

    return check_apprise(address)


def _secret(address: Address, recipient: Recipient, wishes: Wishes) -> str:
    if address.service != "webhook":
        if wishes.secret:
            raise UsageError(f"Only webhooks are signed: {address.shown} takes no secret besides its URL.")
        return ""
    from backstay.notifications.webhook import new_secret, signing_key

    if wishes.secret is None and recipient.secret:
        return recipient.secret
    secret = wishes.secret or new_secret()
    signing_key(secret)
    return secret


def _events(address: Address, recipient: Recipient, wishes: Wishes) -> tuple[str, ...]:
    if wishes.events is None:
        default = PING_KINDS if address.service == "ping" else DEFAULT_KINDS
        return recipient.events if recipient.url and (address.service == "ping") == _is_ping(recipient) else default
    known = PING_KINDS if address.service == "ping" else (*GROUPS, *PROBLEMS, *NEWS)
    for kind in wishes.events:
        if kind not in known:
            what = "A health check is pinged" if address.service == "ping" else "A recipient is notified"
            raise UsageError(f"{what} of these events: {', '.join(known)}; {kind[:40]!r} is none of them.")
    if not wishes.events:
        raise UsageError(f"Name at least one event: {', '.join(known)}.")
    return tuple(dict.fromkeys(wishes.events))


def _is_ping(recipient: Recipient) -> bool:
    return parse_recipient(recipient.url).service == "ping"


def _with_digest(recipient: Recipient, wishes: Wishes, now: datetime) -> Recipient:
    options = recipient.options
    digest = options.digest if wishes.digest is None else wishes.digest.replace(NO_DIGEST, "")
    if "digest" in recipient.events and not digest:
        digest = "" if wishes.digest == NO_DIGEST else "daily"
    at = wishes.digest_at or options.digest_at
    if not _CLOCK.fullmatch(at):
        raise UsageError(f"{at[:20]!r} is no time of day: write hours and minutes, for example 08:00.")
    if (digest, at) == (options.digest, options.digest_at):
        return recipient
    kinds: dict[str, Literal["", "daily", "weekly"]] = {"daily": "daily", "weekly": "weekly"}
    asked = replace(options, digest=kinds.get(digest, ""), digest_at=at, digest_from=now.isoformat())
    return replace(recipient, options=asked)


def _check_ping(address: Address, recipient: Recipient) -> None:
    if address.service != "ping":
        return
    if recipient.options.digest:
        raise UsageError("A health check takes no digest: leave --digest out.")
    if len(recipient.options.profiles) != 1 and PROFILE_MARK not in recipient.url:
        raise UsageError(
            f"A health check is about one profile: name it with --profile, or write {PROFILE_MARK} in the URL, which "
            "stands for the number of each."
        )
