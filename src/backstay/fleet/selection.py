"""Choosing sites by name, group and tag."""

from __future__ import annotations

from dataclasses import dataclass

from backstay.catalogue import Site
from backstay.jobs.installation import Installation


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sites are meant: those that each of these lists, where it is not empty, has.

    Attributes:
        names: of the sites.
        groups: names of their groups.
        tags: words of which a site has one.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all sites are meant."""
        return not (self.names or self.groups or self.tags)


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
    return [site for site in found if _is_meant(site, selection)]


def _is_meant(site: Site, selection: Selection) -> bool:
    return (
        (not selection.names or site.name in selection.names)
        and (not selection.groups or site.group in selection.groups)
        and (not selection.tags or not set(selection.tags).isdisjoint(site.tags))
    )
