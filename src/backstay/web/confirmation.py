"""Asking again who somebody is, before what can't be taken back or shows a secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response

from backstay.jobs.users import is_password
from backstay.web.security import FORGERY_FIELD
from backstay.web.visit import Visit

CONFIRMED_FOR: Final = timedelta(minutes=10)
AGAIN_FIELD: Final = "confirmed_with"


def confirm(visit: Visit) -> Response | None:
    """Return a form that asks for the password and then does what was asked for; None: it was proven just now.

    The form carries all fields of the request, so that nothing is lost by being asked.
    """
    session = visit.session
    if session is None:
        return None
    now = datetime.now(UTC)
    if now - session.confirmed < CONFIRMED_FOR:
        return None
    offered = visit.field(AGAIN_FIELD)
    if offered and is_password(visit.user, offered):
        visit.installation.catalogue.sessions.update(session.id, confirmed=now)
        return None
    fields = [
        (name, value)
        for name, value in visit.form.multi_items()
        if isinstance(value, str) and name not in (AGAIN_FIELD, FORGERY_FIELD)
    ]
    return visit.page(
        "confirm.html",
        403,
        fields=fields,
        field=AGAIN_FIELD,
        wrong=bool(offered),
        is_get=visit.request.method == "GET",
    )
