"""A user's own second factor, recovery codes and passkeys."""

from __future__ import annotations

from typing import Final

import segno
from markupsafe import Markup
from starlette.responses import Response

from backstay.errors import NotFoundError, UsageError
from backstay.jobs.passkeys import PasskeyRefusedError, add_passkey, options_to_create
from backstay.jobs.second_factor import address_of_secret, new_recovery_codes, new_secret, turn_off, turn_on
from backstay.jobs.users import Role
from backstay.web.proving import PASSKEY_FIELD, page_origin, passkey_host, taken_challenge
from backstay.web.routes import PageRoute
from backstay.web.sealed import seal, unseal
from backstay.web.visit import Visit

_SETUP_SECONDS: Final = 1800.0


def _begin(visit: Visit) -> Response:
    return _setup_page(visit, 200, new_secret())


def _setup_page(visit: Visit, status: int, secret: str, problem: str = "") -> Response:
    address = address_of_secret(secret, visit.who.name, passkey_host(visit.request))
    drawn = segno.make(address, micro=False).svg_inline(scale=4, dark="#000", light="#fff", title="QR code")
    # Without style attributes, which the policy of the pages forbids.
    picture = Markup(drawn)  # noqa: S704 - squares alone, and no text of anybody's
    spaced = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return visit.page(
        "account/second_factor.html",
        status,
        picture=picture,
        secret=spaced,
        sealed=seal(visit, "second factor", secret),
        problem=problem,
    )


def _finish(visit: Visit) -> Response:
    secret = unseal(visit, "second factor", visit.field("sealed"), _SETUP_SECONDS)
    if secret is None:
        raise UsageError("This page was open for too long: begin anew from your account.")
    try:
        codes = turn_on(visit.installation, visit.who, secret, visit.field("code"))
    except UsageError as error:
        return _setup_page(visit, 400, secret, str(error))
    _end_others(visit)
    visit.note("second factor turned on", visit.who.name)
    return visit.page("account/recovery_codes.html", codes=codes)


def _off(visit: Visit) -> Response:
    turn_off(visit.installation, visit.who)
    visit.note("second factor turned off", visit.who.name)
    return visit.redirect("/account", "You are asked for no code any more.")


def _codes(visit: Visit) -> Response:
    codes = new_recovery_codes(visit.installation, visit.who)
    visit.note("recovery codes made anew", visit.who.name)
    return visit.page("account/recovery_codes.html", codes=codes)


def _new_passkey(visit: Visit) -> Response:
    host = passkey_host(visit.request)
    if not host:
        raise UsageError("Passkeys belong to a name: open the page by its name, or as localhost, not by an IP address.")
    challenge = seal(visit, "passkey")
    known = visit.installation.catalogue.passkeys.of_user(visit.who.id)
    options = options_to_create(visit.who, known, host, challenge.encode())
    return visit.page("account/passkey.html", options=options, challenge=challenge)


def _add_passkey(visit: Visit) -> Response:
    host, origin = passkey_host(visit.request), page_origin(visit.request)
    name, answer = visit.field("name"), visit.field(PASSKEY_FIELD)
    try:
        add_passkey(visit.installation, visit.who, name, answer, taken_challenge(visit), host, origin)
    except PasskeyRefusedError as error:
        raise UsageError(str(error)) from error
    _end_others(visit)
    visit.note("passkey added", visit.who.name, passkey=name)
    if not visit.who.recovery_codes:
        return visit.page("account/recovery_codes.html", codes=new_recovery_codes(visit.installation, visit.who))
    return visit.redirect("/account", "The passkey is added.")


def _remove_passkey(visit: Visit) -> Response:
    if not visit.installation.catalogue.passkeys.remove(visit.who.id, visit.number()):
        raise NotFoundError("This passkey is removed already.")
    visit.note("passkey removed", visit.who.name)
    return visit.redirect("/account", "The passkey is removed.")


def _end_others(visit: Visit) -> None:
    visit.installation.catalogue.sessions.revoke(visit.who.id, but=visit.session.id if visit.session else None)


ROUTES = (
    PageRoute("POST", "/account/second-factor/begin", Role.VIEWER, _begin, confirmed=True, bound="nobody"),
    PageRoute("POST", "/account/second-factor", Role.VIEWER, _finish, bound="nobody"),
    PageRoute("POST", "/account/second-factor/off", Role.VIEWER, _off, confirmed=True, bound="nobody"),
    PageRoute("POST", "/account/recovery-codes", Role.VIEWER, _codes, confirmed=True, bound="nobody"),
    PageRoute("POST", "/account/passkeys/begin", Role.VIEWER, _new_passkey, confirmed=True, bound="nobody"),
    PageRoute("POST", "/account/passkeys", Role.VIEWER, _add_passkey, confirmed=True, bound="nobody"),
    PageRoute(
        "POST", "/account/passkeys/{number:int}/remove", Role.VIEWER, _remove_passkey, confirmed=True, bound="nobody"
    ),
)
