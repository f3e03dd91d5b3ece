"""The one-time link with which the first user is made, or an invited one sets a password."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from backstay.catalogue.users import User
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.users import Role, create_user, hash_password, require_name
from backstay.web.pages.sign_in import begin_session
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _form(visit: Visit) -> Response:
    return visit.page("welcome.html", user=_invited(visit), problem="", name="")


def _set(visit: Visit) -> Response:
    user, name = _invited(visit), visit.field("name").strip()
    catalogue = visit.installation.catalogue
    try:
        password = new_password(visit)
        hashed = hash_password(password)
        if user is None:
            require_name(name)
        _invited(visit, use=True)
        if user is None:
            user = create_user(visit.installation, name, Role.ADMINISTRATOR, password)
        else:
            catalogue.users.update(user.id, password=hashed)
            catalogue.sessions.revoke(user.id)
    except UsageError as error:
        return visit.page("welcome.html", 400, user=user, problem=str(error), name=name)
    if user.second_factor or catalogue.passkeys.of_user(user.id):
        # The link stands for the password alone.
        return visit.redirect("/sign-in", "Your password is set: sign in with it.")
    return begin_session(visit, user, "/", f"Welcome, {user.name}.")


def new_password(visit: Visit) -> str:
    """Return the password that a form has twice.

    Raises:
        UsageError: the two differ.
    """
    password = visit.field("password")
    if password != visit.field("password_again"):
        raise UsageError("The two passwords differ: type the same twice.")
    return password


def _invited(visit: Visit, *, use: bool = False) -> User | None:
    """Return whom the link is for; None: the first user.

    Raises:
        NotFoundError: the link was used, or is too old.
    """
    catalogue = visit.installation.catalogue
    is_good, user_id = catalogue.sessions.invited(visit.request.path_params["word"], datetime.now(UTC), use=use)
    user = catalogue.users.of_id(user_id) if user_id is not None else None
    if (
        not is_good
        or (user_id is not None and (user is None or user.disabled))
        or (user_id is None and catalogue.users.count())
    ):
        raise NotFoundError("This link was used already, or is too old: make a new one with 'backstay user invite'.")
    return user


ROUTES = (
    PageRoute("GET", "/welcome/{word}", None, _form),
    PageRoute("POST", "/welcome/{word}", None, _set),
)
