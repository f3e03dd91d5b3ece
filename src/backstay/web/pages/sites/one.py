"""One site: how it stands, what its server said of itself, its backups and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from backstay.fleet.overview import site_standing
from backstay.fleet.standing import SiteStanding, advice_for
from backstay.jobs.current import current_overview
from backstay.jobs.profile_view import view_profile
from backstay.jobs.users import Role
from backstay.web.pages.profiles import history_of
from backstay.web.routes import PageRoute
from backstay.web.visible import visible_sites
from backstay.web.visit import Visit

_NEWEST: Final = 10
_MOST_PROFILES: Final = 50
_TEXTS: Final = ("product", "version", "edition", "certificate", "ip")


@dataclass(frozen=True, slots=True)
class Said:
    """What a server said of itself, as it may be shown: whatever is missing or of a wrong kind is left out.

    Attributes:
        product, version, edition, certificate, ip: texts.
        level: of the API; 0: not known.
        profiles: number and name of its backup profiles.
        newest: number, beginning, state and bytes of its newest backup; empty: not known.
        may_download: whether the secret may; None: not known.
    """

    product: str
    version: str
    edition: str
    certificate: str
    ip: str
    level: int
    profiles: tuple[tuple[int, str], ...]
    newest: Mapping[str, Any]
    may_download: bool | None


def said(found: Mapping[str, Any]) -> Said | None:
    """Return what is kept of a server's answers; None: it was never asked."""
    if not found:
        return None
    profiles, newest, may = found.get("profiles"), found.get("newest"), found.get("may_download")
    level = found.get("level")
    texts = {name: str(found.get(name) or "")[:200] for name in _TEXTS}
    return Said(
        **texts,
        level=level if isinstance(level, int) else 0,
        profiles=tuple((int(one[0]), str(one[1])) for one in profiles[:_MOST_PROFILES])
        if isinstance(profiles, list)
        else (),
        newest=newest if isinstance(newest, dict) else {},
        may_download=may if isinstance(may, bool) else None,
    )


def standing_for(visit: Visit) -> SiteStanding:
    """Return how the site of the path stands.

    Raises:
        NotFoundError: there is none, or who is signed in may not see it.
    """
    return site_standing(visible_sites(visit), visit.number())


def _one(visit: Visit) -> Response:
    standing, now = standing_for(visit), datetime.now(UTC)
    site = visit.installation.catalogue.sites.get(standing.site.id)
    view = view_profile(visit.installation, current_overview(visit.installation), site.profile_id, now)
    return visit.page(
        "sites/one.html",
        site=site,
        it=standing,
        said=said(site.found),
        advice=advice_for(standing),
        view=view,
        newest=view.history[:_NEWEST],
        now=now,
        **history_of(view, now),
    )


ROUTES = (PageRoute("GET", "/sites/{number:int}", Role.VIEWER, _one, bound="site"),)
