"""Who is bound to groups of sites sees these sites, their profiles and their backups, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from backstay.errors import UsageError
from backstay.jobs.installation import Installation

Groups = tuple[int, ...] | None
"""Numbers of the groups that somebody is bound to; None: they see everything."""


def may_see_profile(installation: Installation, groups: Groups, profile_id: int) -> bool:
    """Return whether somebody sees a profile."""
    return groups is None or installation.catalogue.sites.is_in(profile_id, groups)


def may_see_backup(installation: Installation, groups: Groups, backup_id: int) -> bool:
    """Return whether somebody sees a backup; one that does not exist is seen by those alone who see everything."""
    if groups is None:
        return True
    backup = installation.catalogue.backups.get(backup_id)
    return backup is not None and may_see_profile(installation, groups, backup.profile_id)


def seen_profiles(installation: Installation, groups: Groups) -> frozenset[int] | None:
    """Return the numbers of the profiles that somebody sees; None: all."""
    return None if groups is None else frozenset(installation.catalogue.sites.profiles_of(groups))


def names_of_profiles(installation: Installation, groups: Groups, most: int) -> list[tuple[int, str]]:
    """Return number and name of the profiles that somebody sees, by number; where there are more than that, none.

    Args:
        installation: whose.
        groups: of whom.
        most: so many at most.
    """
    profiles = installation.catalogue.profiles
    if groups is None:
        return profiles.names() if profiles.count() <= most else []
    seen = installation.catalogue.sites.profiles_of(groups)
    return sorted(profiles.names_of(seen).items()) if len(seen) <= most else []


def numbers_of_groups(installation: Installation, names: Iterable[str]) -> tuple[int, ...]:
    """Return the numbers of groups that a person names, each once.

    Raises:
        NotFoundError: there is none of that name.
        UsageError: a name is empty.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names))
    if "" in wanted:
        raise UsageError("Name the group: see them with 'backstay group list'.")
    return tuple(sorted(installation.catalogue.groups.get(name).id for name in wanted))
