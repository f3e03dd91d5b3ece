"""Profiles: the list of them, and one with its history. Settings have pages of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from backstay.catalogue.overview import PastBackup
from backstay.catalogue.profiles import ROOT_KEY
from backstay.jobs.current import current_overview
from backstay.jobs.overview import find_standings
from backstay.jobs.profile_view import ProfileView, view_profile
from backstay.jobs.users import Role
from backstay.web.charts import Point, bars, calendar
from backstay.web.pages.overview import ROWS, asked, seen_overview
from backstay.web.rendering import counted, size, span
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_DAYS: Final = 26 * 7
_BARS: Final = 60
_NEWEST: Final = 10


def _list(visit: Visit) -> Response:
    wanted, overview = asked(visit), seen_overview(visit)
    found = find_standings(overview, text=wanted.text, state=wanted.state or "", sort="name")
    pages = max(1, -(-len(found) // ROWS))
    page = min(wanted.page, pages)
    shown = found[(page - 1) * ROWS : page * ROWS]
    configurations = visit.installation.catalogue.profiles.configurations_of([one.id for one in shown])
    return visit.page(
        "overview/profiles.html",
        wanted=wanted,
        found=len(found),
        first=(page - 1) * ROWS,
        page=page,
        pages=pages,
        standings=shown,
        roots={number: values.get(ROOT_KEY, "") for number, values in configurations.items()},
    )


def _one(visit: Visit) -> Response:
    now = datetime.now(UTC)
    view = view_profile(visit.installation, current_overview(visit.installation), visit.number(), now)
    return visit.page(
        "overview/profile.html",
        view=view,
        it=view.detail.standing,
        newest=view.history[:_NEWEST],
        now=now,
        **history_of(view, now),
    )


def history_of(view: ProfileView, now: datetime) -> dict[str, Markup]:
    """Return the pictures of a profile's history: ``strip`` of its days, ``sizes`` and ``durations``."""
    return {"strip": _strip(view, now), "sizes": _sizes(view.history), "durations": _durations(view.history)}


def _strip(view: ProfileView, now: datetime) -> Markup:
    """Return the days of the last half year, each with whether it has a good backup."""
    days = view.days()
    words = {"good": "a good backup", "bad": "a backup failed", "": "no backup"}
    classes = {day: "good" if good else "bad" for day, good in days.items()}
    good = sum(days.values())
    label = f"Days with a good backup in the last half year: {good} of the {len(days)} on which one ended"
    return calendar(classes, now.date(), _DAYS, label, words)


def _sizes(history: Sequence[PastBackup]) -> Markup:
    """Return a chart of the sizes of the last good backups."""
    good = [one for one in history if one.good][:_BARS]
    points = [Point(one.ended, one.size, True, f"Backup {one.id}: {size(one.size)}") for one in reversed(good)]
    return bars(points, f"Size of {counted(len(points), 'good backup')}", size)


def _durations(history: Sequence[PastBackup]) -> Markup:
    """Return a chart of how long the last backups took, those that failed in their colour."""
    points = [
        Point(one.ended, seconds, one.good, f"Backup {one.id}: {span(seconds)}{'' if one.good else ', failed'}")
        for one in reversed(history[:_BARS])
        for seconds in ((one.ended - one.started).total_seconds(),)
    ]
    return bars(points, f"Time of {counted(len(points), 'backup')}", span)


ROUTES = (
    PageRoute("GET", "/profiles", Role.VIEWER, _list, bound="narrowed"),
    PageRoute("GET", "/profiles/{number:int}", Role.VIEWER, _one, bound="profile"),
)
