"""Signing in and out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from backstay.catalogue.users import User
from backstay.jobs.throttle import Throttle
from backstay.jobs.users import Role, is_password
from backstay.web.routes import PageRoute
from backstay.web.security import SESSION_COOKIE, set_cookie
from backstay.web.visit import Visit

SESSION_LASTS: Final = timedelta(days=14)
_throttle = Throttle(time.monotonic)


def begin_session(visit: Visit, user: User, path: str, notice: str = "") -> Response:
    """Sign a user in in this browser, and lead on to a page."""
    word = visit.installation.catalogue.sessions.create(
        user.id, datetime.now(UTC), SESSION_LASTS, visit.address, visit.request.headers.get("user-agent", "")
    )
    response = visit.redirect(path, notice)
    set_cookie(response, SESSION_COOKIE, word, int(SESSION_LASTS.total_seconds()))
    return response


def _form(visit: Visit) -> Response:
    if visit.user is not None:
        return visit.redirect("/")
    return visit.page("sign_in.html", next=visit.asked("next"), name="", problem="")


def _sign_in(visit: Visit) -> Response:
    name = visit.field("name").strip()
    if not _throttle.is_flooding(visit.address):
        user = visit.installation.catalogue.users.find(name)
        if is_password(user, visit.field("password")) and user is not None and not user.disabled:
            _throttle.forget(visit.address)
            return begin_session(visit, user, _own_path(visit.field("next")))
        time.sleep(_throttle.delay_after_failure(visit.address))
    problem = "The name or the password is wrong: try again, or ask an administrator for a new link."
    return visit.page("sign_in.html", 403, next=visit.field("next"), name=name, problem=problem)


def _sign_out(visit: Visit) -> Response:
    if visit.session is not None:
        visit.installation.catalogue.sessions.revoke(visit.who.id, visit.session.id)
    response = visit.redirect("/sign-in", "You are signed out.")
    response.delete_cookie(SESSION_COOKIE, secure=True, path="/")
    return response


def _own_path(path: str) -> str:
    """Return a path of this site, never an address of another."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


ROUTES = (
    PageRoute("GET", "/sign-in", None, _form),
    PageRoute("POST", "/sign-in", None, _sign_in),
    PageRoute("POST", "/sign-out", Role.VIEWER, _sign_out),
)
