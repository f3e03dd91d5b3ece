"""Access tokens: named credentials with scopes, kept as digests."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from backstay.catalogue.bindings import bind, groups_of, groups_of_all
from backstay.catalogue.schema import tokens
from backstay.errors import NotFoundError, UsageError

PREFIX = "bst_"
# A token is read often and written rarely: its last use is noted at most this often.
_LAST_USED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of one token; the token itself is shown once, when it is made.

    Attributes:
        scopes: what it may do: any of read, backup, download, delete, configure, metrics.
        expires: moment from which it is worth nothing; None: never.
        last_used: to the minute; None: not yet.
        groups: numbers of the groups of sites that it is bound to; none: it sees everything.
    """

    id: int
    name: str
    scopes: frozenset[str]
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    groups: tuple[int, ...] = ()


def _digest(token: str) -> bytes:
    # The token is 256 random bits, so that one plain hash is as strong as a slow one.
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _token(row: Row[Any], groups: tuple[int, ...]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        created=row.created,
        expires=row.expires,
        last_used=row.last_used,
        groups=groups,
    )


class TokenTable:
    """Makes, finds and revokes tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        now: datetime,
        expires: datetime | None = None,
        groups: Iterable[int] = (),
    ) -> str:
        """Make a token; return it in clear, the only time.

        Args:
            name: what it is for.
            scopes: what it may do.
            now: this moment.
            expires: moment from which it is worth nothing; None: never.
            groups: numbers of the groups of sites that it is bound to; none: it sees everything.

        Raises:
            UsageError: the name is taken.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        with self._writer.begin() as connection:
            if connection.execute(select(tokens.c.id).where(tokens.c.name == name)).first():
                raise UsageError(f"There is a token named {name} already: choose another name, or regenerate it.")
            values = {"name": name, "digest": _digest(token), "created": now, "expires": expires}
            query = insert(tokens).values(**values, scopes=" ".join(sorted(scopes))).returning(tokens.c.id)
            bind(connection, tokens, connection.execute(query).scalar_one(), groups)
        return token

    def regenerate(self, name: str, now: datetime) -> str:
        """Replace a token by a new one with the same name and scopes; the old one is worth nothing at once.

        Raises:
            NotFoundError: there is no token of that name.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        with self._writer.begin() as connection:
            changed = connection.execute(
                update(tokens).where(tokens.c.name == name).values(digest=_digest(token), created=now, last_used=None)
            )
            if changed.rowcount == 0:
                raise NotFoundError(f"There is no token named {name}: see them with 'backstay token list'.")
        return token

    def revoke(self, name: str) -> None:
        """Remove a token; it is worth nothing at once.

        Raises:
            NotFoundError: there is no token of that name.
        """
        with self._writer.begin() as connection:
            if connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount == 0:
                raise NotFoundError(f"There is no token named {name}: see them with 'backstay token list'.")

    def all(self) -> list[Token]:
        """Return all tokens by name."""
        with self._engine.connect() as connection:
            bound = groups_of_all(connection, tokens)
            rows = connection.execute(select(tokens).order_by(tokens.c.name))
            return [_token(row, bound.get(row.id, ())) for row in rows]

    def authenticate(self, token: str, now: datetime) -> Token | None:
        """Return what a token in clear stands for, or None where it is unknown or has expired.

        The look-up is by digest: how long it takes says nothing about a token's characters.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(tokens).where(tokens.c.digest == _digest(token))).one_or_none()
            groups = groups_of(connection, tokens, row.id) if row is not None else ()
        if row is None or (row.expires is not None and row.expires <= now):
            return None
        found = _token(row, groups)
        if found.last_used is None or (now - found.last_used).total_seconds() >= _LAST_USED_SECONDS:
            with self._writer.begin() as connection:
                connection.execute(update(tokens).where(tokens.c.id == found.id).values(last_used=now))
        return found
