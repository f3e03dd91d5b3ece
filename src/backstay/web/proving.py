"""How a browser proves who its user is: passkeys and codes, for signing in and for being asked again."""

from __future__ import annotations

import base64
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from backstay.catalogue.users import User
from backstay.errors import ConfigurationError
from backstay.jobs.passkeys import PasskeyRefusedError, options_to_prove, proven_user
from backstay.jobs.second_factor import use_code, use_recovery_code
from backstay.web.sealed import seal, unseal
from backstay.web.security import set_cookie
from backstay.web.visit import Visit

CHALLENGE_SECONDS: Final = 300.0
PASSKEY_FIELD: Final = "passkey"
CHALLENGE_FIELD: Final = "challenge"
KNOWN_COOKIE: Final = "__Host-backstay-known"
_KNOWN_SECONDS: Final = 180 * 86400


def passkey_host(request: Request) -> str:
    """Return the name that passkeys belong to: the host that the browser names; empty where that is an IP address."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def page_origin(request: Request) -> str:
    """Return the origin of our page: as the browser names it, whose host was compared with ours; else as we see it."""
    return request.headers.get("origin") or f"{request.url.scheme}://{request.headers.get('host', '')}"


def passkey_question(visit: Visit, user: User | None = None) -> dict[str, str]:
    """Return what a page needs to ask for a passkey: ``options`` and ``challenge``, empty where none can be used.

    Args:
        visit: the request.
        user: whose passkeys; None: anybody's.
    """
    host = passkey_host(visit.request)
    known = visit.installation.catalogue.passkeys.of_user(user.id) if user is not None else None
    if not host or known == []:
        return {"options": "", "challenge": ""}
    challenge = seal(visit, "passkey")
    return {"options": options_to_prove(host, challenge.encode(), known), "challenge": challenge}


def taken_challenge(visit: Visit) -> bytes:
    """Return the challenge that a form brings back; it works once.

    Raises:
        PasskeyRefusedError: it is not ours, too old, or was used.
    """
    challenge = visit.field(CHALLENGE_FIELD)
    if unseal(visit, "passkey", challenge, CHALLENGE_SECONDS) is None or not visit.guesses.is_first_use(challenge):
        raise PasskeyRefusedError("This page was open for too long: try again.")
    return challenge.encode()


def user_of_passkey(visit: Visit) -> User | None:
    """Return who proved a passkey with this form; None: nobody."""
    try:
        challenge = taken_challenge(visit)
        return proven_user(
            visit.installation,
            visit.field(PASSKEY_FIELD),
            challenge,
            passkey_host(visit.request),
            page_origin(visit.request),
        )
    except PasskeyRefusedError:
        return None


def needs_second(visit: Visit, user: User) -> bool:
    """Return whether a user's password alone is not enough."""
    return bool(user.second_factor) or bool(visit.installation.catalogue.passkeys.of_user(user.id))


def is_second_factor(visit: Visit, user: User, code: str) -> bool:
    """Return whether a code is a user's one-time or recovery code; wrong ones are slowed."""
    if use_recovery_code(visit.installation, user, code):
        return True
    if visit.guesses.code_wait(user.id) > 0:
        return False
    if use_code(visit.installation, user, code):
        visit.guesses.code_right(user.id)
        return True
    visit.guesses.code_failed(user.id)
    return False


def remember_browser(visit: Visit, response: Response, user: User) -> None:
    """Let a browser be known as one in which a user signed in, so that others who guess don't keep it out."""
    word = visit.installation.catalogue.vault.encrypt(f"known {user.id}")
    set_cookie(response, KNOWN_COOKIE, base64.urlsafe_b64encode(word).decode(), _KNOWN_SECONDS)


def is_known(visit: Visit, user: User | None) -> bool:
    """Return whether a user has signed in in this browser before."""
    try:
        word = base64.urlsafe_b64decode(visit.request.cookies.get(KNOWN_COOKIE, "").encode("ascii"))
        return user is not None and visit.installation.catalogue.vault.decrypt(word) == f"known {user.id}"
    except (ConfigurationError, ValueError):
        return False
