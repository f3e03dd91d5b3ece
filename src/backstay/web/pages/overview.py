"""The first page: what is protected, what is not, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from markupsafe import Markup
from starlette.responses import Response

from backstay.catalogue import Alarm
from backstay.fleet.standing import STATES as SITE_STATES
from backstay.jobs.current import current_next_runs, current_overview
from backstay.jobs.overview import (
    SORTS,
    STATES,
    Detail,
    Overview,
    Sort,
    State,
    find_standings,
    of_profiles,
    read_details,
)
from backstay.jobs.tenants import seen_profiles
from backstay.jobs.users import Role
from backstay.web.charts import spark
from backstay.web.rendering import size
from backstay.web.routes import PageRoute
from backstay.web.visible import visible_sites
from backstay.web.visit import Visit

ROWS: Final = 50
_SHOWN_ALARMS: Final = 3
_MOST_ALARMS: Final = 10_000
SORT_LABELS: Final = {
    "state": "What needs you first",
    "name": "Name",
    "last": "Oldest good backup first",
    "size": "Largest first",
    "next": "Next run first",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list of profiles is asked for: words of the query, those that make no sense left out."""

    text: str
    state: State | None
    sort: Sort
    page: int

    def query(self, **changed: object) -> dict[str, object]:
        """Return the query of a link to the same list with something changed; a change leads to its first page."""
        sort = "" if self.sort == "state" else self.sort
        return {"q": self.text, "state": self.state or "", "sort": sort, **changed}


def asked(visit: Visit) -> Asked:
    """Return what the query asks for."""
    state, sort, page = visit.asked("state"), visit.asked("sort"), visit.asked("page")
    return Asked(
        visit.asked("q")[:200],
        cast("State", state) if state in STATES else None,
        sort if sort in SORTS else "state",
        int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) else 1,
    )


def seen_overview(visit: Visit) -> Overview:
    """Return how the profiles stand that who asks sees."""
    overview, seen = current_overview(visit.installation), seen_profiles(visit.installation, visit.groups)
    return overview if seen is None else of_profiles(overview, seen)


def _open_alarms(visit: Visit) -> tuple[list[Alarm], int]:
    """Return the newest open alarms that who asks sees, and how many more there are."""
    table, seen = visit.installation.catalogue.alarms, seen_profiles(visit.installation, visit.groups)
    if seen is None:
        alarms = table.newest(limit=_SHOWN_ALARMS, state="open")
        return alarms, table.count("open") - len(alarms)
    own = [one for one in table.newest(limit=_MOST_ALARMS, state="open") if one.profile_id in seen]
    return own[:_SHOWN_ALARMS], max(0, len(own) - _SHOWN_ALARMS)


def _overview(visit: Visit) -> Response:
    wanted, overview = asked(visit), seen_overview(visit)
    due = current_next_runs(visit.installation) if wanted.sort == "next" else None
    found = find_standings(overview, text=wanted.text, state=wanted.state or "", sort=wanted.sort, due=due)
    pages = max(1, -(-len(found) // ROWS))
    page = min(wanted.page, pages)
    sites = visible_sites(visit)
    alarms, more_alarms = _open_alarms(visit)
    return visit.page(
        "overview/overview.html",
        wanted=wanted,
        states=STATES,
        sorts=SORT_LABELS,
        counts={state: overview.counts[state] for state in STATES if state in overview.counts},
        everything=len(overview.standings),
        sites=sites,
        site_states=SITE_STATES,
        found=len(found),
        first=(page - 1) * ROWS,
        page=page,
        pages=pages,
        details=read_details(visit.installation, found[(page - 1) * ROWS : page * ROWS]),
        sizes=_sizes,
        alarms=alarms,
        names=visit.installation.catalogue.profiles.names_of({one.profile_id for one in alarms if one.profile_id}),
        now=datetime.now(UTC),
        more_alarms=more_alarms,
    )


def _sizes(detail: Detail) -> Markup:
    """Return a line of the sizes of a profile's last good backups."""
    good = [past.size for past in reversed(detail.history) if past.good]
    if len(good) < 2:
        return Markup("")
    return spark(good, f"{size(good[0])} to {size(good[-1])} in {len(good)} backups")


ROUTES = (
    PageRoute("GET", "/", Role.VIEWER, _overview, bound="narrowed"),
    # The API answers at "/" whatever has a query.
    PageRoute("GET", "/overview", Role.VIEWER, _overview, bound="narrowed"),
)
