"""Who did what."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from starlette.responses import Response

from backstay.catalogue import JournalSearch
from backstay.jobs.journal import DOORS
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_ROWS = 100
_MOST_PAGES = 10_000


def _journal(visit: Visit) -> Response:
    query = {name: visit.asked(name).strip()[:200] for name in ("text", "who", "through", "since", "until")}
    since, until = _day(query["since"]), _day(query["until"])
    search = JournalSearch(
        who=query["who"],
        through=query["through"] if query["through"] in DOORS else "",
        text=query["text"],
        since=since,
        until=until + timedelta(days=1) if until else None,
    )
    asked = visit.asked("page", "1")
    page = min(max(int(asked), 1), _MOST_PAGES) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    found = visit.installation.catalogue.journal.newest(search, _ROWS + 1, (page - 1) * _ROWS)
    return visit.page(
        "journal/list.html", entries=found[:_ROWS], more=len(found) > _ROWS, page=page, query=query, doors=DOORS
    )


def _day(text: str) -> datetime | None:
    """Return the start of a day; None where the text is no date, or one at the end of time."""
    try:
        found = datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None
    return found if 1 < found.year < 9999 else None


ROUTES = (PageRoute("GET", "/journal", Role.ADMINISTRATOR, _journal),)
