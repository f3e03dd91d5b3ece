"""Signing in, with a password and perhaps a second factor, or with a passkey; and out."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from backstay.catalogue.users import User
from backstay.jobs.users import Role, is_password, session_lasts
from backstay.web.proving import (
    PASSKEY_FIELD,
    is_known,
    is_second_factor,
    needs_second,
    passkey_question,
    remember_browser,
    user_of_passkey,
)
from backstay.web.routes import PageRoute
from backstay.web.sealed import seal, unseal
from backstay.web.security import SESSION_COOKIE, set_cookie
from backstay.web.visit import Visit

_SECOND_SECONDS: Final = 600.0
_WRONG: Final = "The name or the password is wrong: try again, or ask an administrator for a new link."
_WRONG_PASSKEY: Final = "The passkey was not accepted: try again, or use the password."
_WRONG_CODE: Final = "This is no code that is good now: wait for the next one, or use a recovery code."
_TOO_MANY: Final = "Too many wrong passwords came: wait a minute, and try again."


def begin_session(visit: Visit, user: User, path: str, notice: str = "") -> Response:
    """Sign a user in in this browser, in a session of its own, and lead on to a page."""
    sessions, lasts = visit.installation.catalogue.sessions, session_lasts(visit.installation)
    if visit.session is not None and visit.user is not None:
        sessions.revoke(visit.user.id, visit.session.id)
    agent = visit.request.headers.get("user-agent", "")
    word = sessions.create(user.id, datetime.now(UTC), lasts, visit.address, agent)
    visit.user = user
    visit.note("signed in", user.name)
    response = visit.redirect(path, notice)
    set_cookie(response, SESSION_COOKIE, word, int(lasts.total_seconds()))
    remember_browser(visit, response, user)
    return response


def _form(visit: Visit) -> Response:
    if visit.user is not None:
        return visit.redirect("/")
    return _page(visit, 200, visit.asked("next"))


def _page(visit: Visit, status: int, path: str, name: str = "", problem: str = "") -> Response:
    question = passkey_question(visit)
    return visit.page("sign_in.html", status, next=path, name=name, problem=problem, question=question)


def _sign_in(visit: Visit) -> Response:
    path = visit.field("next")
    if visit.field(PASSKEY_FIELD):
        user = user_of_passkey(visit)
        if user is not None:
            return begin_session(visit, user, own_path(path))
        visit.delay = visit.guesses.failed(visit.address, "")
        return _page(visit, 403, path, problem=_WRONG_PASSKEY)
    name = visit.field("name").strip()
    user = visit.installation.catalogue.users.find(name)
    if visit.guesses.is_refused(visit.address, name, known=is_known(visit, user)):
        return _page(visit, 429, path, name, _TOO_MANY)
    if not is_password(user, visit.field("password")) or user is None or user.disabled:
        visit.delay = visit.guesses.failed(visit.address, name)
        return _page(visit, 403, path, name, _WRONG)
    visit.guesses.succeeded(visit.address)
    if needs_second(visit, user):
        return _second_page(visit, 200, user, path)
    return begin_session(visit, user, own_path(path))


def _second_page(visit: Visit, status: int, user: User, path: str, problem: str = "") -> Response:
    proof = seal(visit, "second step", f"{user.id} {_fingerprint(user)}")
    question = passkey_question(visit, user)
    return visit.page(
        "account/second_step.html", status, next=path, proof=proof, question=question, problem=problem, user=user
    )


def _second(visit: Visit) -> Response:
    proven = unseal(visit, "second step", visit.field("proof"), _SECOND_SECONDS)
    path, user = visit.field("next"), None
    if proven is not None:
        number, _, fingerprint = proven.partition(" ")
        user = visit.installation.catalogue.users.of_id(int(number))
        user = user if user is not None and not user.disabled and fingerprint == _fingerprint(user) else None
    if user is None:
        return _page(visit, 403, path, problem="That took too long: sign in anew.")
    if visit.field(PASSKEY_FIELD):
        shown = user_of_passkey(visit)
        good, problem = shown is not None and shown.id == user.id, _WRONG_PASSKEY
    else:
        good, problem = is_second_factor(visit, user, visit.field("code")), _WRONG_CODE
    if good:
        return begin_session(visit, user, own_path(path))
    visit.delay = visit.guesses.failed(visit.address, user.name)
    return _second_page(visit, 403, user, path, problem)


def _fingerprint(user: User) -> str:
    return hashlib.sha256(user.password.encode()).hexdigest()


def _sign_out(visit: Visit) -> Response:
    if visit.session is not None:
        visit.installation.catalogue.sessions.revoke(visit.who.id, visit.session.id)
    visit.note("signed out", visit.who.name)
    response = visit.redirect("/sign-in", "You are signed out.")
    response.delete_cookie(SESSION_COOKIE, secure=True, path="/")
    return response


def own_path(path: str) -> str:
    """Return a path of this site, never an address of another; a browser takes a backslash for a slash."""
    good = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if good else "/"


ROUTES = (
    PageRoute("GET", "/sign-in", None, _form),
    PageRoute("POST", "/sign-in", None, _sign_in),
    PageRoute("POST", "/sign-in/second", None, _second),
    PageRoute("POST", "/sign-out", Role.VIEWER, _sign_out, bound="nobody"),
)
