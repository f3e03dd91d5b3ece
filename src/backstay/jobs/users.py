"""Who may use the page, and what each role may do there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from backstay.catalogue.users import User
from backstay.errors import UsageError
from backstay.jobs.installation import Installation

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_PASSWORD = 12
"""Fewest characters of a password (NIST SP 800-63B-4 asks for 15 where it is the only factor, 8 beside another)."""
LONGEST_PASSWORD = 1000
INVITATION_LASTS = timedelta(hours=24)


class Role(StrEnum):
    """What a user may do; each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what another may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


def create_user(installation: Installation, name: str, role: Role, password: str = "") -> User:
    """Make a user.

    Args:
        installation: whose.
        name: to sign in with.
        role: what the user may do.
        password: in clear; empty: the user sets it through an invitation.

    Raises:
        UsageError: the name is taken or empty, or the password too short.
    """
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise UsageError("A user's name has 1 to 100 printable characters: choose another.")
    return installation.catalogue.users.create(
        name.strip(), role, datetime.now(UTC), hash_password(password) if password else ""
    )


def invite(installation: Installation, user: User | None) -> str:
    """Return a one-time word with which a user sets a password, or, without a user, makes the first one."""
    return installation.catalogue.sessions.invite(user.id if user else None, datetime.now(UTC), INVITATION_LASTS)


def hash_password(password: str) -> str:
    """Return what is kept of a password: Argon2id with a salt of its own (RFC 9106).

    Raises:
        UsageError: it is too short, or longer than is taken.
    """
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(f"A password has {LEAST_PASSWORD} characters or more: choose a longer one.")
    return _hasher().hash(password)


def is_password(user: User | None, password: str) -> bool:
    """Return whether a password is that of a user; takes as long where there is no such user."""
    from argon2.exceptions import InvalidHashError, VerificationError

    kept = user.password if user is not None and user.password else _nobodys_hash()
    try:
        _hasher().verify(kept, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
    return user is not None and bool(user.password)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    # Imported here: only who signs in needs it.
    from argon2 import PasswordHasher

    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher().hash("nobody's password")
