"""Asking again who somebody is, before what can't be taken back or shows a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from backstay.jobs.users import is_password
from backstay.web.proving import (
    CHALLENGE_FIELD,
    PASSKEY_FIELD,
    is_second_factor,
    needs_second,
    passkey_question,
    user_of_passkey,
)
from backstay.web.security import FORGERY_FIELD
from backstay.web.visit import Visit

CONFIRMED_FOR: Final = timedelta(minutes=10)
AGAIN_FIELD: Final = "confirmed_with"
CODE_FIELD: Final = "confirmed_code"
_OURS: Final = (AGAIN_FIELD, CODE_FIELD, PASSKEY_FIELD, CHALLENGE_FIELD, FORGERY_FIELD)


def confirm(visit: Visit) -> Response | None:
    """Return a form that asks for the password and then does what was asked for; None: it was proven just now.

    The form carries all fields of the request, so that nothing is lost by being asked. Who has a second factor proves
    that, too, or a passkey alone.
    """
    session = visit.session
    if session is None:
        return None
    now = datetime.now(UTC)
    if now - session.confirmed < CONFIRMED_FOR:
        return None
    offered = bool(visit.field(AGAIN_FIELD) or visit.field(PASSKEY_FIELD))
    refused = offered and visit.guesses.is_refused(visit.address, visit.who.name, known=True)
    if offered and not refused and _is_proven(visit):
        visit.installation.catalogue.sessions.update(session.id, confirmed=now)
        return None
    if offered:
        visit.delay = visit.guesses.failed(visit.address, visit.who.name)
    fields = [(name, value) for name, value in visit.form.multi_items() if isinstance(value, str) and name not in _OURS]
    return visit.page(
        "confirm.html",
        403,
        fields=fields,
        field=AGAIN_FIELD,
        code_field=CODE_FIELD if needs_second(visit, visit.who) else "",
        question=passkey_question(visit, visit.who),
        wrong=offered,
    )


def _is_proven(visit: Visit) -> bool:
    if visit.field(PASSKEY_FIELD):
        shown = user_of_passkey(visit)
        return shown is not None and shown.id == visit.who.id
    if not is_password(visit.who, visit.field(AGAIN_FIELD)):
        return False
    return not needs_second(visit, visit.who) or is_second_factor(visit, visit.who, visit.field(CODE_FIELD))
