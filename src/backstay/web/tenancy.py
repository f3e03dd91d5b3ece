"""What a user who is bound to groups of sites may open: the one place where that is decided for pages.

A route says by ``PageRoute.bound`` whose it is; one that says nothing is not there for who is bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from backstay.errors import NotFoundError
from backstay.jobs.installation import Installation
from backstay.jobs.tenants import Groups, may_see_backup, may_see_profile

if TYPE_CHECKING:
    from backstay.web.visit import Visit

Bound = Literal["nobody", "narrowed", "profile", "backup", "task", "site", "group"]
"""``nobody``: nothing of any site is there, or of the user alone; ``narrowed``: the handler leaves out what is not the
user's, by ``Visit.groups``; else what the number in the path is of."""


def is_open(visit: Visit, bound: Bound | None) -> bool:
    """Return whether a route is there for who asks."""
    if visit.groups is None or bound in ("nobody", "narrowed"):
        return True
    return bound is not None and sees(visit, bound, visit.number())


def sees(visit: Visit, kind: str, number: int) -> bool:
    """Return whether who asks sees a profile, backup, task, site or group; what is not there, they do not.

    Args:
        visit: of whom.
        kind: which of them.
        number: its number.
    """
    if visit.groups is None:
        return True
    try:
        return _OWN[kind](visit.installation, visit.groups, number)
    except NotFoundError:
        return False


def _own_task(installation: Installation, groups: Groups, number: int) -> bool:
    profile_id = installation.catalogue.tasks.get(number).profile_id
    return profile_id is not None and may_see_profile(installation, groups, profile_id)


def _own_site(installation: Installation, groups: Groups, number: int) -> bool:
    return may_see_profile(installation, groups, installation.catalogue.sites.get(number).profile_id)


def _own_group(_installation: Installation, groups: Groups, number: int) -> bool:
    return groups is None or number in groups


_OWN: Final[Mapping[str, Callable[[Installation, Groups, int], bool]]] = {
    "profile": may_see_profile,
    "backup": may_see_backup,
    "task": _own_task,
    "site": _own_site,
    "group": _own_group,
}
