"""The stream of events that keeps pages up to date: ``/events?backup=12&task=3``, ``?running=0`` or ``?overview=0``."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from backstay.errors import NotFoundError, UsageError
from backstay.jobs.users import Role
from backstay.web.events import MOST_SUBJECTS, EventStream, Streams, Subject
from backstay.web.routes import PageRoute
from backstay.web.tenancy import sees
from backstay.web.visit import Visit

_KINDS: Final = ("backup", "task", "running", "overview")


def _events(visit: Visit) -> Response:
    subjects = [_subject(kind, number) for kind, number in visit.request.query_params.multi_items() if kind in _KINDS]
    if not 0 < len(subjects) <= MOST_SUBJECTS:
        raise UsageError(f"Events are of 1 to {MOST_SUBJECTS} backups or tasks: name them.")
    if not all(_is_open(visit, subject) for subject in subjects):
        raise NotFoundError("There is no such backup or task.")
    streams: Streams = visit.request.app.streams
    return EventStream(streams, subjects, visit.session.id if visit.session else 0)


def _is_open(visit: Visit, subject: Subject) -> bool:
    """Return whether who asks may hear of a subject; who is bound to groups hears of nothing that concerns all."""
    kind, number = subject
    return visit.groups is None or (kind in ("backup", "task") and sees(visit, kind, number))


def _subject(kind: str, number: str) -> Subject:
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError("A backup or task is named by its number.")
    return kind, int(number)


ROUTES = (PageRoute("GET", "/events", Role.VIEWER, _events, bound="narrowed"),)
