"""Alarms: what is wrong, what was, and saying that one knows of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, get_args

from starlette.responses import Response

from backstay.catalogue.alarms import State
from backstay.jobs.users import Role
from backstay.notifications.model import PROBLEMS
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_ROWS: Final = 40
_STATES: Final[tuple[State, ...]] = get_args(State)


def _alarms(visit: Visit) -> Response:
    state: State = next((one for one in _STATES if one == visit.asked("state")), "open")
    page = visit.asked("page")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    offset = (max(number, 1) - 1) * _ROWS
    table = visit.installation.catalogue.alarms
    found = table.newest(offset, _ROWS + 1, state=state)
    names = visit.installation.catalogue.profiles.names_of({one.profile_id for one in found if one.profile_id})
    return visit.page(
        "overview/alarms.html",
        alarms=found[:_ROWS],
        more=len(found) > _ROWS,
        page=max(number, 1),
        state=state,
        counts={one: table.count(one) for one in _STATES},
        problems=PROBLEMS,
        names=names,
    )


def _acknowledge(visit: Visit) -> Response:
    alarm = visit.installation.catalogue.alarms.acknowledge(visit.number(), datetime.now(UTC))
    visit.note("alarm acknowledged", f"alarm {alarm.id}", kind=alarm.kind)
    back = visit.field("back")
    path = back if back in ("/", "/alarms") else "/alarms"
    if back == f"/profiles/{alarm.profile_id}":
        path = back
    return visit.redirect(path, f"Alarm {alarm.id} is acknowledged: it stays in the list until its cause is gone.")


ROUTES = (
    PageRoute("GET", "/alarms", Role.VIEWER, _alarms),
    PageRoute("POST", "/alarms/{number:int}/acknowledge", Role.OPERATOR, _acknowledge),
)
