"""A user's own account: password and sessions."""

from __future__ import annotations

from starlette.responses import Response

from backstay.errors import NotFoundError, UsageError
from backstay.jobs.users import Role, browser_in_words, is_password, sessions_of, set_password
from backstay.web.pages.first_steps import new_password
from backstay.web.proving import passkey_host
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def account_page(visit: Visit, status: int = 200, *, wrong: str = "", problem: str = "") -> Response:
    """Return the page of an account.

    Args:
        visit: the request.
        status: of the answer.
        wrong: what is wrong with the present password.
        problem: what is wrong with the new one.
    """
    user = visit.who
    rows = [(one, browser_in_words(one.agent)) for one in sessions_of(visit.installation, user)]
    return visit.page(
        "account/account.html",
        status,
        sessions=rows,
        passkeys=visit.installation.catalogue.passkeys.of_user(user.id),
        host=passkey_host(visit.request),
        wrong=wrong,
        problem=problem,
    )


def _password(visit: Visit) -> Response:
    if visit.guesses.is_refused(visit.address, visit.who.name, known=True):
        return account_page(visit, 429, wrong="Too many wrong passwords came: wait a minute, and try again.")
    if not is_password(visit.who, visit.field("old")):
        visit.delay = visit.guesses.failed(visit.address, visit.who.name)
        return account_page(visit, 403, wrong="The password is wrong: try again.")
    try:
        set_password(
            visit.installation, visit.who, new_password(visit), keep=visit.session.id if visit.session else None
        )
    except UsageError as error:
        return account_page(visit, 400, problem=str(error))
    visit.note("password changed", visit.who.name)
    return visit.redirect("/account", "Your password is changed, and you are signed out everywhere else.")


def _revoke(visit: Visit) -> Response:
    if not visit.installation.catalogue.sessions.revoke(visit.who.id, visit.number()):
        raise NotFoundError("This session has ended already.")
    visit.note("session ended", visit.who.name, session=visit.number())
    return visit.redirect("/account", "That browser is signed out.")


def _revoke_others(visit: Visit) -> Response:
    visit.installation.catalogue.sessions.revoke(visit.who.id, but=visit.session.id if visit.session else None)
    visit.note("all other sessions ended", visit.who.name)
    return visit.redirect("/account", "You are signed out everywhere else.")


ROUTES = (
    PageRoute("GET", "/account", Role.VIEWER, account_page, bound="nobody"),
    PageRoute("POST", "/account/password", Role.VIEWER, _password, bound="nobody"),
    PageRoute("POST", "/account/sessions/{number:int}/revoke", Role.VIEWER, _revoke, bound="nobody"),
    PageRoute("POST", "/account/sessions/revoke-others", Role.VIEWER, _revoke_others, bound="nobody"),
)
