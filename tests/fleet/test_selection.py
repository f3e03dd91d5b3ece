"""Choosing sites: lists narrow each other, words of one list widen it, and a name that nobody has is an error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from backstay.catalogue import Group, NewSite, Profile, Site
from backstay.errors import NotFoundError
from backstay.fleet.selection import Selection, selected_sites
from backstay.jobs.installation import Installation

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def sites(installation: Installation) -> Installation:
    """Three sites in two groups."""
    for group in ("clients", "own"):
        installation.catalogue.groups.create(Group(0, group, NOW))
    for name, group, tags in (
        ("shop", "clients", ("big", "wp")),
        ("blog", "clients", ("wp",)),
        ("home", "own", ("big",)),
        ("spare", "", ()),
    ):
        site = Site(0, name, "local", 0, NOW, group=group, tags=tags)
        installation.catalogue.sites.create(NewSite(site, profile=Profile(0, name)))
    return installation


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), ["blog", "home", "shop", "spare"]),
        (Selection(names=("shop",)), ["shop"]),
        (Selection(names=("shop", "home")), ["home", "shop"]),
        (Selection(groups=("clients",)), ["blog", "shop"]),
        (Selection(groups=("clients", "own")), ["blog", "home", "shop"]),
        (Selection(tags=("big",)), ["home", "shop"]),
        (Selection(groups=("clients",), tags=("big",)), ["shop"]),
        (Selection(names=("home",), groups=("clients",)), []),
        (Selection(tags=("unknown",)), []),
    ],
)
def test_sites_are_chosen_by_name_group_and_tag(sites: Installation, selection: Selection, names: list[str]) -> None:
    assert [site.name for site in selected_sites(sites, selection)] == names
    assert selection.is_empty == (names == ["blog", "home", "shop", "spare"])


@pytest.mark.parametrize(
    "selection", [Selection(names=("nobody",)), Selection(names=("shop", "nobody")), Selection(groups=("nobody",))]
)
def test_a_name_that_nobody_has_is_an_error(sites: Installation, selection: Selection) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        selected_sites(sites, selection)
