"""Choosing sites by name, group, tag and state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from backstay.catalogue import Site
from backstay.errors import UsageError
from backstay.fleet.overview import read_sites
from backstay.fleet.standing import SiteStanding, SiteState
from backstay.jobs.installation import Installation

Wanted = SiteState | Literal["running"]
"""A state of a site, or that a backup of it runs."""
WANTED: Final[tuple[Wanted, ...]] = (*get_args(SiteState), "running")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sites are meant: those that each of these lists, where it is not empty, has.

    Attributes:
        names: of the sites.
        groups: names of their groups.
        tags: words of which a site has one.
        states: in which they are.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    states: tuple[Wanted, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all sites are meant."""
        return not (self.names or self.groups or self.tags or self.states)


def selected_sites(installation: Installation, selection: Selection) -> list[Site]:
    """Return the sites that are meant, by name.

    Raises:
        NotFoundError: a site or a group that was named does not exist.
    """
    catalogue = installation.catalogue
    for group in selection.groups:
        catalogue.groups.get(group)
    if len(selection.names) == 1:
        found = [catalogue.sites.get(selection.names[0])]
    else:
        found = catalogue.sites.all()
        known = {site.name for site in found}
        for name in selection.names:
            if name not in known:
                catalogue.sites.get(name)
    meant = [site for site in found if _is_meant(site, selection)]
    if not (selection.states and meant):
        return meant
    standings = standings_of(installation)
    return [site for site in meant if (one := standings.get(site.id)) and _is_in(one, selection.states)]


def checked_state(text: str) -> Wanted:
    """Return the state that a person names.

    Raises:
        UsageError: there is no such state.
    """
    for known in WANTED:
        if known == text.strip().lower():
            return known
    raise UsageError(f"A site is never {text[:20]!r}: its state is one of {', '.join(WANTED)}.")


def require_selected(installation: Installation, selection: Selection) -> list[Site]:
    """Return the sites that are meant, at least one.

    Raises:
        NotFoundError: a site or a group that was named does not exist.
        UsageError: it is said of no site that it is meant, or none is.
    """
    if selection.is_empty:
        raise UsageError("Say which sites are meant: by name, or with --group, --tag or --state.")
    found = selected_sites(installation, selection)
    if not found:
        raise UsageError("There is no such site: 'backstay site list' with the same options shows which there are.")
    return found


def standings_of(installation: Installation) -> dict[int, SiteStanding]:
    """Return how all sites stand now, by their numbers."""
    return {one.site.id: one for one in read_sites(installation, datetime.now(UTC)).standings}


def _is_in(standing: SiteStanding, states: tuple[Wanted, ...]) -> bool:
    return standing.state in states or ("running" in states and standing.site.running)


def _is_meant(site: Site, selection: Selection) -> bool:
    return (
        (not selection.names or site.name in selection.names)
        and (not selection.groups or site.group in selection.groups)
        and (not selection.tags or not set(selection.tags).isdisjoint(site.tags))
    )
