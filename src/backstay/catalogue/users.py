"""Users of the page, and the sessions in which they are signed in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, insert, select, update

from backstay.catalogue.bindings import bind, groups_of, groups_of_all
from backstay.catalogue.schema import invitations, sessions, users
from backstay.catalogue.vault import Vault
from backstay.errors import NotFoundError, UsageError

# A session is used often and written rarely: its last use is noted at most this often.
_LAST_SEEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in.

    Attributes:
        role: ``viewer``, ``operator`` or ``administrator``.
        password: hash as Argon2 writes it; empty: no password was set yet.
        second_factor: secret of the one-time passwords, Base32; empty: none.
        factor_used: number of the newest time step whose one-time password was used; older ones are refused.
        recovery_codes: hashes of those that are left.
        last_seen: when the user last signed in; None: never.
        groups: numbers of the groups of sites that the user is bound to; none: they see everything.
    """

    id: int
    name: str
    role: str
    created: datetime
    password: str = field(default="", repr=False)
    second_factor: str = field(default="", repr=False)
    factor_used: int = 0
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)
    disabled: bool = False
    last_seen: datetime | None = None
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which a user is signed in.

    Attributes:
        confirmed: when the user last proved who they are: at signing in, or when asked again.
        address, agent: of the browser, when it signed in.
    """

    id: int
    user_id: int
    created: datetime
    last_seen: datetime
    expires: datetime
    confirmed: datetime
    address: str
    agent: str


def digest(word: str) -> bytes:
    """Return what is kept of a random word: it has 256 bits, so that one plain hash is as strong as a slow one."""
    return hashlib.sha256(word.encode("utf-8", "replace")).digest()


class UserTable:
    """Makes, finds and changes users."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._vault = vault

    def create(self, name: str, role: str, now: datetime, password: str = "", groups: Iterable[int] = ()) -> User:
        """Make a user.

        Args:
            name: to sign in with.
            role: ``viewer``, ``operator`` or ``administrator``.
            now: this moment.
            password: hash of it; empty: it is set later, through an invitation.
            groups: numbers of the groups of sites that the user is bound to; none: they see everything.

        Raises:
            UsageError: the name is taken.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(users.c.id).where(users.c.name == name)).first():
                raise UsageError(f"There is a user named {name} already: choose another name.")
            made = connection.execute(
                insert(users).values(
                    name=name,
                    role=role,
                    password=password,
                    second_factor=self._vault.encrypt(""),
                    factor_used=0,
                    recovery_codes=[],
                    disabled=False,
                    created=now,
                )
            )
            number = made.inserted_primary_key[0] if made.inserted_primary_key else 0
            bind(connection, users, number, groups)
        return User(number, name, role, now, password, groups=tuple(sorted(set(groups))))

    def all(self) -> list[User]:
        """Return all users by name."""
        with self._engine.connect() as connection:
            bound = groups_of_all(connection, users)
            rows = connection.execute(select(users).order_by(users.c.name))
            return [self._user(row, bound.get(row.id, ())) for row in rows]

    def count(self) -> int:
        """Return how many users there are."""
        return len(self.all())

    def find(self, name: str) -> User | None:
        """Return the user of a name, or None."""
        with self._engine.connect() as connection:
            return self._one(connection, users.c.name == name)

    def get(self, name: str) -> User:
        """Return the user of a name.

        Raises:
            NotFoundError: there is none.
        """
        if (found := self.find(name)) is None:
            raise NotFoundError(f"There is no user named {name}: see them with 'backstay user list'.")
        return found

    def of_id(self, user_id: int) -> User | None:
        """Return the user of a number, or None."""
        with self._engine.connect() as connection:
            return self._one(connection, users.c.id == user_id)

    def update(self, user_id: int, **values: object) -> None:
        """Change columns of a user; ``second_factor`` is given in clear and kept encrypted.

        Raises:
            UsageError: nobody would be left who may make users.
        """
        if "second_factor" in values:
            values["second_factor"] = self._vault.encrypt(str(values["second_factor"]))
        with self._writer.begin() as connection:
            before = _administrators(connection)
            connection.execute(update(users).where(users.c.id == user_id).values(**values))
            if {"role", "disabled"} & values.keys():
                _require_administrator(connection, before)

    def bind(self, user_id: int, groups: Iterable[int]) -> None:
        """Bind a user to these groups of sites; to none: they see everything."""
        with self._writer.begin() as connection:
            bind(connection, users, user_id, groups)

    def delete(self, user_id: int) -> None:
        """Remove a user with their sessions and passkeys.

        Raises:
            UsageError: nobody would be left who may make users.
        """
        with self._writer.begin() as connection:
            before = _administrators(connection)
            connection.execute(delete(users).where(users.c.id == user_id))
            _require_administrator(connection, before)

    def use_step(self, user_id: int, step: int) -> bool:
        """Note that the one-time password of a time step was used; return False where that, or a newer, was before."""
        statement = update(users).where(users.c.id == user_id, users.c.factor_used < step).values(factor_used=step)
        with self._writer.begin() as connection:
            return connection.execute(statement).rowcount == 1

    def use_recovery_code(self, user_id: int, hashed: str) -> bool:
        """Take a recovery code out of those that are left; return False where it is none of them."""
        with self._writer.begin() as connection:
            left = connection.execute(select(users.c.recovery_codes).where(users.c.id == user_id)).scalar() or []
            if hashed not in left:
                return False
            kept = [one for one in left if one != hashed]
            connection.execute(update(users).where(users.c.id == user_id).values(recovery_codes=kept))
            return True

    def _one(self, connection: Connection, which: ColumnElement[bool]) -> User | None:
        row = connection.execute(select(users).where(which)).one_or_none()
        return self._user(row, groups_of(connection, users, row.id)) if row else None

    def _user(self, row: Row[Any], groups: tuple[int, ...]) -> User:
        return User(
            id=row.id,
            name=row.name,
            role=row.role,
            created=row.created,
            password=row.password,
            second_factor=self._vault.decrypt(row.second_factor),
            factor_used=row.factor_used,
            recovery_codes=tuple(row.recovery_codes),
            disabled=row.disabled,
            last_seen=row.last_seen,
            groups=groups,
        )


def _administrators(connection: Connection) -> int:
    """Return how many users may make others: those that set a password, if there are any."""
    who = (users.c.role == "administrator") & ~users.c.disabled & (users.c.password != "")
    return connection.execute(select(func.count()).select_from(users).where(who)).scalar_one()


def _require_administrator(connection: Connection, before: int) -> None:
    if before and not _administrators(connection):
        raise UsageError("This is the last administrator who can sign in: make another one first.")


class SessionTable:
    """Makes, finds and revokes sessions, and the one-time links that invite a user."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def create(self, user_id: int, now: datetime, lasts: timedelta, address: str, agent: str) -> str:
        """Begin a session; return its word for the browser's cookie, the only time."""
        word = secrets.token_urlsafe(32)
        with self._writer.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires <= now))
            connection.execute(
                insert(sessions).values(
                    user_id=user_id,
                    digest=digest(word),
                    created=now,
                    last_seen=now,
                    expires=now + lasts,
                    confirmed=now,
                    address=address,
                    agent=agent[:300],
                )
            )
            connection.execute(update(users).where(users.c.id == user_id).values(last_seen=now))
        return word

    def find(self, word: str, now: datetime, idle: timedelta) -> Session | None:
        """Return the session of a cookie's word, or None where it is unknown, has expired, or was not used for long.

        Args:
            word: of the cookie.
            now: this moment.
            idle: how long a session lasts without being used.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(sessions).where(sessions.c.digest == digest(word))).one_or_none()
        if row is None or row.expires <= now or row.last_seen + idle <= now:
            return None
        found = _session(row)
        if (now - found.last_seen).total_seconds() >= _LAST_SEEN_SECONDS:
            self.update(found.id, last_seen=now)
        return found

    def living(self, session_ids: Collection[int], now: datetime, idle: timedelta) -> set[int]:
        """Return those of these sessions that are good, and whose users are not disabled.

        That a session is asked for so is no use of it.
        """
        query = select(sessions.c.id).join(users, users.c.id == sessions.c.user_id)
        query = query.where(sessions.c.id.in_(session_ids), sessions.c.expires > now, users.c.disabled.is_(False))
        query = query.where(sessions.c.last_seen > now - idle)
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def of_user(self, user_id: int, now: datetime, idle: timedelta) -> list[Session]:
        """Return the sessions of a user that are good, newest first."""
        statement = (
            select(sessions)
            .where(sessions.c.user_id == user_id, sessions.c.expires > now, sessions.c.last_seen > now - idle)
            .order_by(sessions.c.id.desc())
        )
        with self._engine.connect() as connection:
            return [_session(row) for row in connection.execute(statement)]

    def counts(self, now: datetime, idle: timedelta) -> dict[int, int]:
        """Return how many good sessions each user has who has any."""
        statement = (
            select(sessions.c.user_id, func.count())
            .where(sessions.c.expires > now, sessions.c.last_seen > now - idle)
            .group_by(sessions.c.user_id)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def update(self, session_id: int, **values: object) -> None:
        """Change columns of a session."""
        with self._writer.begin() as connection:
            connection.execute(update(sessions).where(sessions.c.id == session_id).values(**values))

    def revoke(self, user_id: int, session_id: int | None = None, *, but: int | None = None) -> int:
        """End one session of a user, or all, or all but one; return how many."""
        statement = delete(sessions).where(sessions.c.user_id == user_id)
        if session_id is not None:
            statement = statement.where(sessions.c.id == session_id)
        if but is not None:
            statement = statement.where(sessions.c.id != but)
        with self._writer.begin() as connection:
            return connection.execute(statement).rowcount

    def withdraw(self, user_id: int) -> None:
        """Make a user's one-time link worthless."""
        with self._writer.begin() as connection:
            connection.execute(delete(invitations).where(invitations.c.user_id == user_id))

    def invite(self, user_id: int | None, now: datetime, lasts: timedelta) -> str:
        """Make a one-time link's word: for a user's password, or, without a user, for the first user; return it."""
        word = secrets.token_urlsafe(32)
        with self._writer.begin() as connection:
            connection.execute(delete(invitations).where(invitations.c.expires <= now))
            of_user = invitations.c.user_id.is_(None) if user_id is None else invitations.c.user_id == user_id
            connection.execute(delete(invitations).where(of_user))
            connection.execute(
                insert(invitations).values(digest=digest(word), user_id=user_id, created=now, expires=now + lasts)
            )
        return word

    def invited(self, word: str, now: datetime, *, use: bool = False) -> tuple[bool, int | None]:
        """Return whether a link's word is good, and whom it is for; ``use`` makes it worthless from now on."""
        with (self._writer if use else self._engine).begin() as connection:
            row = connection.execute(select(invitations).where(invitations.c.digest == digest(word))).one_or_none()
            if row is None or row.expires <= now:
                return False, None
            if use:
                connection.execute(delete(invitations).where(invitations.c.digest == digest(word)))
            return True, row.user_id


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        created=row.created,
        last_seen=row.last_seen,
        expires=row.expires,
        confirmed=row.confirmed,
        address=row.address,
        agent=row.agent,
    )
