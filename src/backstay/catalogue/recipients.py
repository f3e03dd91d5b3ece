"""Who is notified, and each message on its way: claimed by one process, tried again, kept when it was given up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, exists, func, insert, or_, select, update

from backstay.catalogue.schema import deliveries, recipients
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError, UsageError

# Longer than an attempt can take: whoever claimed a message and has said nothing by then is dead.
LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class RecipientOptions:
    """How a recipient is notified.

    Attributes:
        shown: its address without secrets.
        host: the part of an address of Apprise that may be shown.
        mark: a word that no other recipient has, for the identifiers of webhooks.
        profiles: numbers of the profiles it hears of; empty: all.
        digest: ``daily``, ``weekly``, or empty for none.
        digest_at: local time of the digest, ``HH:MM``.
        digest_from: moment it was asked for, ISO 8601: no digest is made for a time before; empty where there is none.
    """

    shown: str = ""
    host: str = ""
    mark: str = ""
    profiles: tuple[int, ...] = ()
    digest: Literal["", "daily", "weekly"] = ""
    digest_at: str = "08:00"
    digest_from: str = ""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient.

    Attributes:
        id: its number; 0 in one that is not stored yet.
        name: unique.
        url: its address; holds secrets.
        secret: what webhooks are signed with; empty for other services.
        events: kinds of events, and groups of them, of which it is notified.
        options: how it is notified.
        created: moment it was added.
    """

    id: int
    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    events: tuple[str, ...]
    options: RecipientOptions
    created: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one recipient.

    Attributes:
        recipient_id: to whom.
        event: what it is known by; a recipient gets each event once.
        thread: messages of one thread arrive in the order in which they were made.
        content: the event as plain JSON, without secrets.
        attempts: how often it was tried, an attempt under way included.
        next_attempt: moment of the next attempt; None: it was delivered or given up.
        delivered: moment it was taken.
        error: why the last attempt failed.
    """

    id: int
    recipient_id: int
    event: str
    thread: str
    content: dict[str, Any]
    created: datetime
    attempts: int
    next_attempt: datetime | None
    delivered: datetime | None
    error: str

    @property
    def state(self) -> Literal["delivered", "waiting", "given up"]:
        """How far it is."""
        if self.delivered is not None:
            return "delivered"
        return "given up" if self.next_attempt is None else "waiting"


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """How many messages of one recipient are in which state, and why the newest that failed did."""

    delivered: int = 0
    waiting: int = 0
    given_up: int = 0
    last_delivered: datetime | None = None
    error: str = ""


class RecipientTable:
    """Reads and writes recipients; their addresses are kept encrypted."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def all(self) -> list[Recipient]:
        """Return all recipients by name."""
        with self._engine.connect() as connection:
            return [self._recipient(row) for row in connection.execute(select(recipients).order_by(recipients.c.name))]

    def count(self) -> int:
        """Return how many recipients there are."""
        with self._engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(recipients)).scalar_one()

    def get(self, name: str) -> Recipient:
        """Return a recipient by its name.

        Raises:
            NotFoundError: there is none of that name.
        """
        return self._one(recipients.c.name == name, name)

    def by_number(self, number: int) -> Recipient:
        """Return a recipient by its number.

        Raises:
            NotFoundError: it was removed.
        """
        return self._one(recipients.c.id == number, str(number))

    def create(self, recipient: Recipient) -> Recipient:
        """Store a new recipient; return it with its number.

        Raises:
            UsageError: the name is taken.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(recipients.c.id).where(recipients.c.name == recipient.name)).first():
                raise UsageError(f"There is a recipient named {recipient.name} already: choose another name.")
            number = connection.execute(
                insert(recipients)
                .values(name=recipient.name, created=recipient.created, **self._values(recipient))
                .returning(recipients.c.id)
            ).scalar_one()
        return replace(recipient, id=number)

    def save(self, recipient: Recipient) -> None:
        """Store what was changed of a recipient that exists already.

        Raises:
            NotFoundError: it was removed meanwhile.
        """
        query = update(recipients).where(recipients.c.id == recipient.id).values(**self._values(recipient))
        with self._writer.begin() as connection:
            if connection.execute(query).rowcount == 0:
                raise NotFoundError(f"The recipient {recipient.name} was removed meanwhile.")

    def delete(self, name: str) -> None:
        """Remove a recipient with all its messages.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._writer.begin() as connection:
            if connection.execute(delete(recipients).where(recipients.c.name == name)).rowcount == 0:
                raise _unknown(name)

    def _one(self, condition: ColumnElement[bool], name: str) -> Recipient:
        with self._engine.connect() as connection:
            row = connection.execute(select(recipients).where(condition)).one_or_none()
        if row is None:
            raise _unknown(name)
        return self._recipient(row)

    def _values(self, recipient: Recipient) -> dict[str, Any]:
        return {
            "secrets": self._vault.encrypt(json.dumps({"url": recipient.url, "secret": recipient.secret})),
            "events": list(recipient.events),
            "options": asdict(recipient.options),
        }

    def _recipient(self, row: Row[Any]) -> Recipient:
        options = {**row.options, "profiles": tuple(row.options["profiles"])}
        return Recipient(
            id=row.id,
            name=row.name,
            events=tuple(row.events),
            options=RecipientOptions(**options),
            created=row.created,
            **json.loads(self._vault.decrypt(row.secrets)),
        )


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no recipient named {name!r}: see them with 'backstay notify list'.")


_WAITING = and_(deliveries.c.delivered.is_(None), deliveries.c.next_attempt.is_not(None))
_GIVEN_UP = and_(deliveries.c.delivered.is_(None), deliveries.c.next_attempt.is_(None))


def _ready(now: datetime) -> ColumnElement[bool]:
    """Return the condition of messages that may be sent: their time has come, and no other of their thread waits."""
    earlier = deliveries.alias("earlier")
    before = exists().where(
        earlier.c.recipient_id == deliveries.c.recipient_id,
        earlier.c.thread == deliveries.c.thread,
        earlier.c.id < deliveries.c.id,
        earlier.c.next_attempt.is_not(None),
        earlier.c.delivered.is_(None),
    )
    return and_(_WAITING, deliveries.c.next_attempt <= now, ~before)


class DeliveryTable:
    """Reads and writes messages on their way; safe to use from several processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def create(
        self, event: str, thread: str, contents: Sequence[tuple[int, dict[str, Any]]], now: datetime
    ) -> list[int]:
        """Make the messages of one event, due at once; a recipient that has this event already gets none.

        Args:
            event: what it is known by.
            thread: see ``Delivery``.
            contents: number of each recipient, and what it is sent.
            now: this moment.

        Returns:
            The numbers of those that were made.
        """
        values = {"event": event, "thread": thread, "created": now, "next_attempt": now, "attempts": 0, "error": ""}
        query = insert(deliveries).returning(deliveries.c.id)
        with self._writer.begin() as connection:
            known = set(
                connection.execute(
                    select(deliveries.c.recipient_id).where(
                        deliveries.c.event == event, deliveries.c.recipient_id.in_([number for number, _ in contents])
                    )
                ).scalars()
            )
            present = set(connection.execute(select(recipients.c.id)).scalars())
            return [
                connection.execute(query.values(recipient_id=number, content=content, **values)).scalar_one()
                for number, content in contents
                if number in present and number not in known
            ]

    def due(self, now: datetime, limit: int = 200) -> list[int]:
        """Return the messages that may be sent now: those that were tried least first, then the oldest."""
        query = select(deliveries.c.id).where(_ready(now)).order_by(deliveries.c.attempts, deliveries.c.id).limit(limit)
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def next_attempt(self) -> datetime | None:
        """Return the moment of the next attempt of all; None where nothing waits."""
        query = select(func.min(deliveries.c.next_attempt, type_=deliveries.c.next_attempt.type)).where(_WAITING)
        with self._engine.connect() as connection:
            found: datetime | None = connection.execute(query).scalar()
        return found

    def claim(self, number: int, now: datetime) -> Delivery | None:
        """Take a message for one attempt; return it, or None where it is not due, or another process has it.

        For as long as an attempt can take, nobody else gets it; a process that dies leaves it to the others after that.
        """
        query = (
            update(deliveries)
            .where(deliveries.c.id == number, _ready(now))
            .values(attempts=deliveries.c.attempts + 1, next_attempt=now + LEASE)
            .returning(*deliveries.c)
        )
        with self._writer.begin() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Delivery(**row._asdict())

    def succeed(self, delivery: Delivery, now: datetime) -> int | None:
        """Note that a claimed message was taken; return the next of its thread that waits, if there is one."""
        following = (
            select(func.min(deliveries.c.id))
            .where(deliveries.c.recipient_id == delivery.recipient_id, deliveries.c.thread == delivery.thread)
            .where(_WAITING)
        )
        with self._writer.begin() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery.id)
                .values(delivered=now, next_attempt=None, error="")
            )
            return connection.execute(following).scalar_one_or_none()

    def fail(self, delivery: Delivery, error: str, next_attempt: datetime | None) -> None:
        """Note that an attempt failed; the others for the same recipient wait as long.

        Args:
            delivery: as it was claimed; one that another process has claimed since is left to that.
            error: why.
            next_attempt: when to try again; None gives the message up.
        """
        mine = and_(
            deliveries.c.id == delivery.id,
            deliveries.c.attempts == delivery.attempts,
            deliveries.c.delivered.is_(None),
        )
        others = and_(deliveries.c.recipient_id == delivery.recipient_id, _WAITING)
        with self._writer.begin() as connection:
            connection.execute(update(deliveries).where(mine).values(next_attempt=next_attempt, error=error))
            if next_attempt is not None:
                earlier = and_(others, deliveries.c.next_attempt < next_attempt)
                connection.execute(update(deliveries).where(earlier).values(next_attempt=next_attempt))

    def hasten(self, recipient_id: int, now: datetime) -> None:
        """Let all waiting messages of a recipient be tried at once: its address was corrected."""
        query = update(deliveries).where(deliveries.c.recipient_id == recipient_id, _WAITING).values(next_attempt=now)
        with self._writer.begin() as connection:
            connection.execute(query)

    def of(self, recipient_id: int, limit: int = 20) -> list[Delivery]:
        """Return the newest messages of a recipient, newest first."""
        query = (
            select(deliveries)
            .where(deliveries.c.recipient_id == recipient_id)
            .order_by(deliveries.c.id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Delivery(**row._asdict()) for row in connection.execute(query)]

    def last_of(self, recipient_id: int, beginning: str) -> Delivery | None:
        """Return the newest message of a recipient whose event begins so, or None."""
        query = select(deliveries).where(
            deliveries.c.recipient_id == recipient_id, deliveries.c.event.startswith(beginning, autoescape=True)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query.order_by(deliveries.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else Delivery(**row._asdict())

    def has(self, recipient_id: int, event: str) -> bool:
        """Return whether a recipient was notified of an event, or is about to be."""
        query = select(deliveries.c.id).where(deliveries.c.recipient_id == recipient_id, deliveries.c.event == event)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def counts(self) -> dict[int, DeliveryCounts]:
        """Return for each recipient that has messages how many are in which state."""
        failed = select(func.max(deliveries.c.id).label("id")).where(deliveries.c.error != "")
        failed = failed.group_by(deliveries.c.recipient_id)
        reasons = select(deliveries.c.recipient_id, deliveries.c.error).where(deliveries.c.id.in_(failed))
        counts = select(
            deliveries.c.recipient_id,
            func.count(deliveries.c.delivered).label("delivered"),
            func.count(deliveries.c.next_attempt).label("waiting"),
            func.count().label("all"),
            func.max(deliveries.c.delivered, type_=deliveries.c.delivered.type).label("last_delivered"),
        ).group_by(deliveries.c.recipient_id)
        with self._engine.connect() as connection:
            errors = {row.recipient_id: row.error for row in connection.execute(reasons)}
            return {
                row.recipient_id: DeliveryCounts(
                    row.delivered,
                    row.waiting,
                    row.all - row.delivered - row.waiting,
                    row.last_delivered,
                    errors.get(row.recipient_id, ""),
                )
                for row in connection.execute(counts)
            }

    def forget(self, before: datetime) -> None:
        """Remove messages that were delivered or given up, and made before a moment."""
        done = or_(deliveries.c.delivered.is_not(None), _GIVEN_UP)
        query = delete(deliveries).where(deliveries.c.created < before, done)
        with self._writer.begin() as connection:
            connection.execute(query)
