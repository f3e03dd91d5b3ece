"""The journal: who did what, through which door, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, func, insert, or_, select

from backstay.catalogue.schema import journal


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that somebody did.

    Attributes:
        who: name of a user, of a token, or of a user of the shell.
        through: ``page``, ``api`` or ``command``.
        address: it came from; empty for a command.
        action: what was done.
        subject: what it was done to.
        details: what else is to be known; never a secret.
    """

    id: int
    at: datetime
    who: str
    through: str
    address: str
    action: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalSearch:
    """Which entries are asked for; what is empty is not looked at.

    Attributes:
        who, through, action: exactly.
        text: somewhere in who, action, subject or address, in capitals or not.
        since, until: from the first of these moments on, and before the second.
    """

    who: str = ""
    through: str = ""
    action: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


class JournalTable:
    """Adds entries, finds them, and forgets old ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def add(
        self, at: datetime, who: str, through: str, address: str, action: str, subject: str, details: Mapping[str, Any]
    ) -> int:
        """Add an entry; return its number."""
        with self._writer.begin() as connection:
            made = connection.execute(
                insert(journal).values(
                    at=at,
                    who=who,
                    through=through,
                    address=address,
                    action=action,
                    subject=subject,
                    details=dict(details),
                )
            )
            return made.inserted_primary_key[0] if made.inserted_primary_key else 0

    def newest(self, search: JournalSearch, limit: int, offset: int = 0) -> list[JournalEntry]:
        """Return the entries that a search finds, newest first.

        Args:
            search: which.
            limit: how many at most.
            offset: how many to leave out before.
        """
        statement = select(journal).where(_matching(search)).order_by(journal.c.id.desc()).limit(limit).offset(offset)
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    def forget(self, before: datetime, most: int) -> None:
        """Remove the entries from before a moment, and the oldest of those that are more than a number."""
        with self._writer.begin() as connection:
            newest = connection.execute(select(func.max(journal.c.id))).scalar() or 0
            connection.execute(delete(journal).where(or_(journal.c.at < before, journal.c.id <= newest - most)))


def _matching(search: JournalSearch) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (journal.c.who, search.who),
            (journal.c.through, search.through),
            (journal.c.action, search.action),
        )
        if value
    ]
    if search.text:
        columns = (journal.c.who, journal.c.action, journal.c.subject, journal.c.address)
        wanted.append(or_(*(column.icontains(search.text, autoescape=True) for column in columns)))
    if search.since is not None:
        wanted.append(journal.c.at >= search.since)
    if search.until is not None:
        wanted.append(journal.c.at < search.until)
    return and_(True, *wanted)


def _entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(row.id, row.at, row.who, row.through, row.address, row.action, row.subject, row.details)
