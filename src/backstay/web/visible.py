"""What of the sites is shown to whom."""

from __future__ import annotations

from backstay.fleet.overview import SiteOverview, current_sites
from backstay.web.visit import Visit


def visible_sites(visit: Visit) -> SiteOverview:
    """Return the sites that who is signed in may see."""
    return current_sites(visit.installation)
