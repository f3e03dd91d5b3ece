"""Passkeys of users: what is kept of a key that never leaves its owner's device."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from backstay.catalogue.schema import passkeys
from backstay.errors import UsageError


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey.

    Attributes:
        credential: its identifier, chosen by the device.
        public_key: as COSE writes it.
        signatures: how many the device counted; 0 where it does not count.
    """

    id: int
    user_id: int
    name: str
    credential: bytes
    public_key: bytes
    signatures: int
    created: datetime
    last_used: datetime | None


class PasskeyTable:
    """Adds, finds and removes passkeys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def add(
        self, user_id: int, name: str, credential: bytes, public_key: bytes, signatures: int, now: datetime
    ) -> None:
        """Add a passkey to a user.

        Raises:
            UsageError: it is known already.
        """
        with self._writer.begin() as connection:
            if connection.execute(select(passkeys.c.id).where(passkeys.c.credential == credential)).first():
                raise UsageError("This passkey is known already: choose another device.")
            connection.execute(
                insert(passkeys).values(
                    user_id=user_id,
                    name=name,
                    credential=credential,
                    public_key=public_key,
                    signatures=signatures,
                    created=now,
                )
            )

    def of_user(self, user_id: int) -> list[Passkey]:
        """Return the passkeys of a user, oldest first."""
        statement = select(passkeys).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id)
        with self._engine.connect() as connection:
            return [_passkey(row) for row in connection.execute(statement)]

    def owners(self) -> set[int]:
        """Return the numbers of the users that have any."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(passkeys.c.user_id).distinct()).scalars())

    def find(self, credential: bytes) -> Passkey | None:
        """Return the passkey of an identifier, or None."""
        statement = select(passkeys).where(passkeys.c.credential == credential)
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return _passkey(row) if row else None

    def used(self, passkey_id: int, signatures: int, now: datetime) -> None:
        """Note that a passkey was used."""
        statement = update(passkeys).where(passkeys.c.id == passkey_id).values(signatures=signatures, last_used=now)
        with self._writer.begin() as connection:
            connection.execute(statement)

    def remove(self, user_id: int, passkey_id: int | None = None) -> int:
        """Remove one passkey of a user, or all; return how many."""
        statement = delete(passkeys).where(passkeys.c.user_id == user_id)
        if passkey_id is not None:
            statement = statement.where(passkeys.c.id == passkey_id)
        with self._writer.begin() as connection:
            return connection.execute(statement).rowcount


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        credential=row.credential,
        public_key=row.public_key,
        signatures=row.signatures,
        created=row.created,
        last_used=row.last_used,
    )
