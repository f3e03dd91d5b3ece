"""Who may use the page, what each role may do there, and how users are changed."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstay.catalogue.users import Session, User
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import numbers_of_groups

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_PASSWORD = 12
"""Fewest characters of a password (NIST SP 800-63B-4 asks for 15 where it is the only factor, 8 beside another)."""
LONGEST_PASSWORD = 1000
INVITATION_LASTS = timedelta(hours=24)
# Argon2 takes 64 MiB and a core for each password that is looked at.
_hashing = threading.BoundedSemaphore(2)


class Role(StrEnum):
    """What a user may do; each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what another may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user as lists show them.

    Attributes:
        user: who.
        state: ``active``, ``invited`` (no password was set yet) or ``disabled``.
        factors: second factors and passkeys: any of ``codes`` and ``passkey``.
        sessions: how many browsers they are signed in in.
        groups: names of the groups of sites that they are bound to; none: they see everything.
    """

    user: User
    state: str
    factors: tuple[str, ...]
    sessions: int
    groups: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what is no secret, as JSON values."""
        return {
            "id": self.user.id,
            "name": self.user.name,
            "role": self.user.role,
            "groups": list(self.groups),
            "state": self.state,
            "factors": list(self.factors),
            "recovery_codes": len(self.user.recovery_codes),
            "sessions": self.sessions,
            "created": self.user.created.isoformat(),
            "last_seen": self.user.last_seen.isoformat() if self.user.last_seen else None,
        }


def facts_of_users(installation: Installation) -> list[UserFacts]:
    """Return all users by name, with what lists show of them."""
    catalogue = installation.catalogue
    counts, owners = (
        catalogue.sessions.counts(datetime.now(UTC), session_idle(installation)),
        catalogue.passkeys.owners(),
    )
    found = []
    users = catalogue.users.all()
    names = catalogue.groups.names_of({number for user in users for number in user.groups})
    for user in users:
        state = "disabled" if user.disabled else "active" if user.password else "invited"
        factors = (("codes",) if user.second_factor else ()) + (("passkey",) if user.id in owners else ())
        groups = tuple(sorted(names[number] for number in user.groups if number in names))
        found.append(UserFacts(user, state, factors, counts.get(user.id, 0), groups))
    return found


def facts_of(installation: Installation, user: User) -> UserFacts:
    """Return what lists show of one user."""
    return next(one for one in facts_of_users(installation) if one.user.id == user.id)


def create_user(
    installation: Installation, name: str, role: Role, password: str = "", groups: Collection[str] = ()
) -> User:
    """Make a user.

    Args:
        installation: whose.
        name: to sign in with.
        role: what the user may do.
        password: in clear; empty: the user sets it through an invitation.
        groups: names of the groups of sites that the user is bound to; none: they see everything.

    Raises:
        UsageError: the name is taken or empty, or the password too short; or an administrator is to be bound.
        NotFoundError: there is no such group.
    """
    _refuse_bound(role, groups)
    hashed = hash_password(password) if password else ""
    bound = numbers_of_groups(installation, groups)
    return installation.catalogue.users.create(require_name(name), role, datetime.now(UTC), hashed, bound)


def bind_user(installation: Installation, user: User, groups: Collection[str]) -> None:
    """Bind a user to groups of sites; to none: they see everything. All their sessions end, with what they watch.

    Raises:
        UsageError: the user is an administrator.
        NotFoundError: there is no such group.
    """
    _refuse_bound(Role(user.role), groups)
    installation.catalogue.users.bind(user.id, numbers_of_groups(installation, groups))
    installation.catalogue.sessions.revoke(user.id)


def _refuse_bound(role: Role, groups: Collection[object]) -> None:
    if groups and role is Role.ADMINISTRATOR:
        raise UsageError("An administrator sees everything: bind a viewer or an operator to groups.")


def require_name(name: str) -> str:
    """Return a name as it is kept.

    Raises:
        UsageError: a user can't have it.
    """
    cleaned = name.strip()
    if not cleaned or len(cleaned) > 100 or not cleaned.isprintable():
        raise UsageError("A user's name has 1 to 100 printable characters: choose another.")
    return cleaned


def invite(installation: Installation, user: User | None) -> str:
    """Return a one-time word with which a user sets a password, or, without a user, makes the first one.

    Raises:
        UsageError: the user is disabled; or no user is meant, and there are some.
    """
    if user is not None and user.disabled:
        raise UsageError(f"The user {user.name} is disabled: enable them first.")
    if user is None and installation.catalogue.users.count():
        raise UsageError("There are users already: name the one who is invited.")
    return installation.catalogue.sessions.invite(user.id if user else None, datetime.now(UTC), INVITATION_LASTS)


def welcome_address(installation: Installation, word: str, url: str = "") -> str:
    """Return the one-time link of an invitation's word.

    Args:
        installation: whose.
        word: of the invitation.
        url: of the server, where ``server.public_url`` does not say it; empty: as the settings tell.
    """
    server = installation.configuration.server
    base = server.public_url.rstrip("/") or url or f"http://{server.host}:{server.port}"
    return f"{base}/welcome/{word}"


def set_password(installation: Installation, user: User, password: str, *, keep: int | None = None) -> None:
    """Set a user's password and end all sessions, but for one that is kept; an open invitation is worthless.

    Raises:
        UsageError: the password is too short.
    """
    catalogue = installation.catalogue
    catalogue.users.update(user.id, password=hash_password(password))
    catalogue.sessions.revoke(user.id, but=keep)
    catalogue.sessions.withdraw(user.id)


def set_role(installation: Installation, user: User, role: Role) -> None:
    """Give a user another role, from their next click on.

    Raises:
        UsageError: nobody would be left who may make users; or the user is bound to groups, and would see everything.
    """
    _refuse_bound(role, user.groups)
    installation.catalogue.users.update(user.id, role=role)


def set_disabled(installation: Installation, user: User, *, disabled: bool) -> None:
    """Keep a user from signing in and end all sessions; or let them in again.

    Raises:
        UsageError: nobody would be left who may make users.
    """
    catalogue = installation.catalogue
    catalogue.users.update(user.id, disabled=disabled)
    if disabled:
        catalogue.sessions.revoke(user.id)
        catalogue.sessions.withdraw(user.id)


def reset_factors(installation: Installation, user: User) -> None:
    """Take a user's second factor, recovery codes and passkeys away, and end all sessions."""
    catalogue = installation.catalogue
    catalogue.users.update(user.id, second_factor="", factor_used=0, recovery_codes=[])
    catalogue.passkeys.remove(user.id)
    catalogue.sessions.revoke(user.id)


def session_idle(installation: Installation) -> timedelta:
    """Return how long a session lasts without being used."""
    return timedelta(minutes=installation.configuration.web.session_idle_minutes)


def session_lasts(installation: Installation) -> timedelta:
    """Return how long a session lasts, however much it is used."""
    return timedelta(days=installation.configuration.web.session_days)


def sessions_of(installation: Installation, user: User) -> list[Session]:
    """Return the sessions of a user that are good, newest first."""
    return installation.catalogue.sessions.of_user(user.id, datetime.now(UTC), session_idle(installation))


def browser_in_words(agent: str) -> str:
    """Return what a browser says of itself in a few words: ``Firefox on Linux``; its own words where it is unknown."""
    browsers = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    )
    browser = next((name for sign, name in browsers if f"{sign}/" in agent or f"{sign}A/" in agent), "")
    system = next((name for sign, name in systems if sign in agent), "")
    return " on ".join(one for one in (browser, system) if one) or agent[:60] or "an unnamed browser"


def hash_password(password: str) -> str:
    """Return what is kept of a password: Argon2id with a salt of its own (RFC 9106).

    Raises:
        UsageError: it is too short, or longer than is taken.
    """
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            f"A password has {LEAST_PASSWORD} to {LONGEST_PASSWORD} characters: choose a "
            f"{'longer' if len(password) < LEAST_PASSWORD else 'shorter'} one."
        )
    with _hashing:
        return _hasher().hash(password.encode("utf-8", "surrogatepass"))


def is_password(user: User | None, password: str) -> bool:
    """Return whether a password is that of a user; takes as long where there is no such user."""
    from argon2.exceptions import InvalidHashError, VerificationError

    kept = user.password if user is not None and user.password else _nobodys_hash()
    try:
        with _hashing:
            _hasher().verify(kept, password[:LONGEST_PASSWORD].encode("utf-8", "surrogatepass"))
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
