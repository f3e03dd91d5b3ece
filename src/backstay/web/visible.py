"""What of the sites is shown to whom."""

from __future__ import annotations

from backstay.fleet.overview import SiteOverview, current_sites, sites_of_groups
from backstay.web.visit import Visit


def visible_sites(visit: Visit) -> SiteOverview:
    """Return the sites that who is signed in may see."""
    overview = current_sites(visit.installation)
    if visit.groups is None:
        return overview
    return sites_of_groups(overview, list(visit.installation.catalogue.groups.names_of(visit.groups).values()))
