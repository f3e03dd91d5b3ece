"""Who may use the page: users made, changed and removed by an administrator."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from backstay.catalogue.users import User
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.users import (
    Role,
    bind_user,
    browser_in_words,
    create_user,
    facts_of,
    facts_of_users,
    invite,
    reset_factors,
    sessions_of,
    set_disabled,
    set_role,
    welcome_address,
)
from backstay.web.proving import page_origin
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _list(visit: Visit) -> Response:
    return _list_page(visit, 200)


def _list_page(visit: Visit, status: int, *, name: str = "", role: str = Role.VIEWER, problem: str = "") -> Response:
    return visit.page(
        "users/list.html",
        status,
        users=facts_of_users(visit.installation),
        roles=list(Role),
        groups=_groups(visit),
        chosen=visit.fields("group"),
        name=name,
        role=role,
        problem=problem,
    )


def _groups(visit: Visit) -> list[str]:
    return [group.name for group in visit.installation.catalogue.groups.all()]


def _add(visit: Visit) -> Response:
    name, role = visit.field("name"), _role(visit)
    try:
        user = create_user(visit.installation, name, role, groups=visit.fields("group"))
    except UsageError as error:
        return _list_page(visit, 400, name=name, role=role, problem=str(error))
    visit.note("user made", user.name, role=str(role), groups=", ".join(visit.fields("group")))
    return _link_page(visit, user)


def _link_page(visit: Visit, user: User) -> Response:
    link = welcome_address(visit.installation, invite(visit.installation, user), page_origin(visit.request))
    return visit.page("users/link.html", user=user, link=link)


def _one(visit: Visit) -> Response:
    user = _user(visit)
    rows = [(one, browser_in_words(one.agent)) for one in sessions_of(visit.installation, user)]
    facts, groups = facts_of(visit.installation, user), _groups(visit)
    return visit.page("users/one.html", facts=facts, sessions=rows, roles=list(Role), groups=groups)


def _invite(visit: Visit) -> Response:
    user = _user(visit)
    answer = _link_page(visit, user)
    visit.note("user invited", user.name)
    return answer


def _change_role(visit: Visit) -> Response:
    user, role = _user(visit), _role(visit)
    set_role(visit.installation, user, role)
    visit.note("role changed", user.name, role=str(role), before=user.role)
    return visit.redirect(f"/users/{user.id}", f"{user.name} has the role {role} now.")


def _change_groups(visit: Visit) -> Response:
    user, groups = _user(visit), visit.fields("group")
    bind_user(visit.installation, user, groups)
    visit.note("groups changed", user.name, groups=", ".join(groups) or "everything")
    seen = f"the sites of {', '.join(groups)}" if groups else "everything"
    return visit.redirect(f"/users/{user.id}", f"{user.name} sees {seen} now.")


def _remove(visit: Visit) -> Response:
    user = _user(visit)
    visit.installation.catalogue.users.delete(user.id)
    visit.note("user removed", user.name)
    return visit.redirect("/users", f"{user.name} is removed.")


def _revoke(visit: Visit) -> Response:
    user, session = _user(visit), visit.field("session")
    if session and not (session.isascii() and session.isdigit() and len(session) < 18):
        raise UsageError("This is no number of a session.")
    visit.installation.catalogue.sessions.revoke(user.id, int(session) if session else None)
    visit.note("sessions ended", user.name, session=session)
    return visit.redirect(f"/users/{user.id}", f"{user.name} is signed out{' there' if session else ' everywhere'}.")


def _changing(change: Callable[[Visit, User], None], action: str, said: str) -> Callable[[Visit], Response]:
    def handler(visit: Visit) -> Response:
        user = _user(visit)
        change(visit, user)
        visit.note(action, user.name)
        return visit.redirect(f"/users/{user.id}", f"{user.name} {said}")

    return handler


def _disable(visit: Visit, user: User) -> None:
    set_disabled(visit.installation, user, disabled=True)


def _enable(visit: Visit, user: User) -> None:
    set_disabled(visit.installation, user, disabled=False)


def _reset(visit: Visit, user: User) -> None:
    reset_factors(visit.installation, user)


def _user(visit: Visit) -> User:
    user = visit.installation.catalogue.users.of_id(visit.number())
    if user is None:
        raise NotFoundError("There is no such user any more.")
    return user


def _role(visit: Visit) -> Role:
    try:
        return Role(visit.field("role"))
    except ValueError:
        raise UsageError("A role is viewer, operator or administrator: choose one of them.") from None


_ADMINISTRATOR = Role.ADMINISTRATOR
_RESET = _changing(_reset, "second factor reset", "signs in with the password alone now.")

ROUTES = (
    PageRoute("GET", "/users", _ADMINISTRATOR, _list),
    PageRoute("POST", "/users", _ADMINISTRATOR, _add, confirmed=True),
    PageRoute("GET", "/users/{number:int}", _ADMINISTRATOR, _one),
    PageRoute("POST", "/users/{number:int}/invite", _ADMINISTRATOR, _invite, confirmed=True),
    PageRoute("POST", "/users/{number:int}/role", _ADMINISTRATOR, _change_role, confirmed=True),
    PageRoute("POST", "/users/{number:int}/groups", _ADMINISTRATOR, _change_groups, confirmed=True),
    PageRoute("POST", "/users/{number:int}/remove", _ADMINISTRATOR, _remove, confirmed=True),
    PageRoute("POST", "/users/{number:int}/revoke", _ADMINISTRATOR, _revoke),
    PageRoute(
        "POST", "/users/{number:int}/disable", _ADMINISTRATOR, _changing(_disable, "user disabled", "is disabled.")
    ),
    PageRoute(
        "POST",
        "/users/{number:int}/enable",
        _ADMINISTRATOR,
        _changing(_enable, "user enabled", "may sign in again."),
        confirmed=True,
    ),
    PageRoute("POST", "/users/{number:int}/reset-factors", _ADMINISTRATOR, _RESET, confirmed=True),
)
