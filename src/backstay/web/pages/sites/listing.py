"""The list of sites: found by name, group, tag and state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from backstay.fleet.overview import SITE_SORTS, SiteOverview, SiteSort, find_sites
from backstay.fleet.standing import STATES, SiteStanding
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visible import visible_sites
from backstay.web.visit import Visit

ROWS: Final = 50
_MOST_CHOICES: Final = 200
_LONGEST: Final = 255
SORT_LABELS: Final = {
    "state": "What needs you first",
    "name": "Name",
    "last": "Oldest good backup first",
    "size": "Largest first",
}


@dataclass(frozen=True, slots=True)
class AskedSites:
    """What a list of sites is asked for: words of the query, those that make no sense left out."""

    text: str
    group: str
    tag: str
    state: str
    sort: SiteSort

    def query(self, **changed: object) -> dict[str, object]:
        """Return the query of a link to the same list with something changed; a change leads to its first page."""
        sort = "" if self.sort == "state" else self.sort
        return {"q": self.text, "group": self.group, "tag": self.tag, "state": self.state, "sort": sort, **changed}


def asked_sites(visit: Visit) -> AskedSites:
    """Return what the query asks for."""
    state, sort = visit.asked("state"), visit.asked("sort")
    return AskedSites(
        visit.asked("q")[:_LONGEST],
        visit.asked("group")[:_LONGEST],
        visit.asked("tag")[:_LONGEST],
        state if state in STATES or state == "running" else "",
        sort if sort in SITE_SORTS else "state",
    )


def found_sites(visit: Visit, overview: SiteOverview) -> list[SiteStanding]:
    """Return those that the query asks for."""
    asked = asked_sites(visit)
    return find_sites(overview, text=asked.text, group=asked.group, tag=asked.tag, state=asked.state, sort=asked.sort)


def _list(visit: Visit) -> Response:
    overview = visible_sites(visit)
    found = found_sites(visit, overview)
    pages = max(1, -(-len(found) // ROWS))
    page = min(visit.page_number(), pages)
    tags = Counter(tag for one in overview.standings for tag in one.site.tags)
    return visit.page(
        "sites/list.html",
        wanted=asked_sites(visit),
        states=STATES,
        sorts=SORT_LABELS,
        counts={state: overview.counts[state] for state in STATES if state in overview.counts},
        running=sum(one.site.running for one in overview.standings),
        everything=len(overview.standings),
        groups=sorted({one.site.group for one in overview.standings if one.site.group}),
        tags=sorted(tag for tag, _count in tags.most_common(_MOST_CHOICES)),
        sites=found[(page - 1) * ROWS : page * ROWS],
        found=len(found),
        first=(page - 1) * ROWS,
        page=page,
        pages=pages,
    )


ROUTES = (PageRoute("GET", "/sites", Role.VIEWER, _list, bound="narrowed"),)
