"""Profiles as a person asks for them: the one of a site, a new one, changes to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from backstay.catalogue import ROOT_KEY, Profile
from backstay.errors import ChangedMeanwhileError, ConfigurationError, NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.profiles import Settings, as_stored, setting_facts
from backstay.profiles.transfer import (
    configuration_text,
    filters_text,
    read_configuration,
    read_filters,
    with_retention,
)

DATABASE_KEY = "backstay.site.database"
FIRST_PROFILE = 1
_MOST_ATTEMPTS = 100


def site_root(path: Path) -> Path:
    """Return the real path of a site's folder.

    Raises:
        NotFoundError: it is not there.
        ConfigurationError: it is the root of the file system.
    """
    if not path.is_dir():
        raise NotFoundError(f"The site's folder {path} is not there: give the path of a folder.")
    real = path.resolve()
    if real == Path(real.anchor):
        raise ConfigurationError(f"{path} is the root of the whole file system: give the folder of one site.")
    return real


def profile_of_site(installation: Installation, path: Path, database: str = "") -> Profile:
    """Return the profile of a site, made where there is none yet.

    One that was made here for another database of the folder, and whose every backup failed, was a mistake: it gets
    the right database, so that no second one stands beside it.

    Args:
        installation: whose.
        path: the site's folder; links in it are followed first.
        database: URL of its database; empty: read from the site's configuration.

    Raises:
        NotFoundError: the folder is not there.
    """
    root = site_root(path)
    found = find_profile_of_site(installation, root, database)
    if found is None:
        return create_profile(installation, name=root.name, values={ROOT_KEY: str(root), DATABASE_KEY: database})
    if found.configuration.get(DATABASE_KEY, "") != database:
        return edit_profile(installation, found.id, values={DATABASE_KEY: database})
    return found


def find_profile_of_site(installation: Installation, path: Path, database: str | None = "") -> Profile | None:
    """Return the profile of a site's folder and database, or one that is to be given this database; None: neither.

    Args:
        installation: whose.
        path: the site's folder.
        database: URL of its database; empty: read from the site's configuration. None: whatever it is, where there is
            but one profile of the folder.

    Raises:
        NotFoundError: the folder is not there.
    """
    root = str(site_root(path))
    found = [
        one
        for one in installation.catalogue.profiles.all()
        if one.configuration.get(ROOT_KEY) == root and one.machine in ("", installation.catalogue.machine)
    ]
    if database is None and len(found) == 1:
        return found[0]
    for profile in found:
        if profile.configuration.get(DATABASE_KEY, "") == (database or ""):
            return profile
    return next((one for one in found if _never_worked(installation, one, Path(root).name)), None)


def _never_worked(installation: Installation, profile: Profile, name: str) -> bool:
    """Return whether a profile is as ``profile_of_site`` made it, and it has backups, all of which failed."""
    made = Profile(id=0, description=name)
    keys = set(profile.configuration)
    if (profile.description, profile.filters) != (made.description, made.filters) or keys - {ROOT_KEY, DATABASE_KEY}:
        return False
    taken = installation.catalogue.backups.newest(profile_id=profile.id)
    return bool(taken) and all(backup.status == "fail" for backup in taken)


def create_profile(installation: Installation, *, name: str, values: Mapping[str, str]) -> Profile:
    """Store a new profile.

    Args:
        installation: whose.
        name: for a person.
        values: settings by dotted key; empty ones are left to their defaults.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    if not name.strip():
        raise UsageError("A profile needs a name: give --name NAME.")
    checked = checked_values(values)
    return installation.catalogue.profiles.create(Profile(id=0, description=name, configuration=checked))


def edit_profile(
    installation: Installation, profile_id: int, *, name: str | None = None, values: Mapping[str, str] | None = None
) -> Profile:
    """Change a profile; an empty value puts a setting back to its default.

    Raises:
        NotFoundError: there is no such profile.
        ConfigurationError: a value cannot be used.
    """

    def edited(profile: Profile) -> Profile:
        merged = {**profile.configuration, **(values or {})}
        return replace(profile, description=name or profile.description, configuration=checked_values(merged))

    return change_profile(installation, profile_id, edited)


def change_profile(installation: Installation, profile_id: int, change: Callable[[Profile], Profile]) -> Profile:
    """Change a profile whatever others do to it at the same time: two that each set one filter do not undo each other.

    Args:
        installation: whose.
        profile_id: number of the profile.
        change: returns the profile as it shall be; called again where another change came first.

    Raises:
        NotFoundError: there is no such profile.
        ChangedMeanwhileError: others change it all the time.
    """
    for attempt in range(_MOST_ATTEMPTS):
        found = installation.catalogue.profiles.get(profile_id)
        changed = change(found)
        try:
            installation.catalogue.profiles.save(changed, revision=found.revision)
        except ChangedMeanwhileError:
            if attempt == _MOST_ATTEMPTS - 1:
                raise
            continue
        return changed
    raise AssertionError  # the last attempt returns or raises


def copy_profile(installation: Installation, profile_id: int, name: str = "") -> Profile:
    """Store a profile's settings and filters under another name, as a new one; its schedules are not copied.

    Raises:
        NotFoundError: there is no such profile.
    """
    source = installation.catalogue.profiles.get(profile_id)
    named = name.strip() or f"Copy of {source.description}"
    return installation.catalogue.profiles.create(replace(source, id=0, description=named))


def delete_profile(installation: Installation, profile_id: int) -> None:
    """Remove a profile; the backups it took stay.

    Raises:
        NotFoundError: there is no such profile.
        UsageError: it is the default one.
    """
    if profile_id == FIRST_PROFILE:
        raise UsageError("You cannot delete the default backup profile: other clients count on profile 1.")
    if not installation.catalogue.profiles.delete(profile_id):
        raise NotFoundError(f"There is no backup profile {profile_id}: see them with 'backstay profile list'.")


def export_profile(installation: Installation, profile_id: int) -> dict[str, str]:
    """Return a profile as other servers of the API export one; it holds passwords in clear.

    Returns:
        ``description``, ``configuration`` (JSON text) and ``filters`` (JSON text).

    Raises:
        NotFoundError: there is no such profile.
    """
    profile = installation.catalogue.profiles.get(profile_id)
    return {
        "description": profile.description,
        "configuration": configuration_text(with_retention(profile.configuration)),
        "filters": filters_text(profile.filters),
    }


def import_profile(
    installation: Installation, exported: Mapping[str, object], decrypt: Callable[[str], str] | None = None
) -> tuple[Profile, list[str]]:
    """Store an exported profile as a new one; it keeps its rules, retention among them.

    Args:
        installation: whose.
        exported: with ``description``, ``configuration`` and ``filters``, of whatever generation of the API.
        decrypt: turns an encrypted configuration into text; None: there is no key.

    Returns:
        The new profile, and the keys in it that Backstay keeps and does not honour.

    Raises:
        ConfigurationError: a piece is missing, encrypted without a key, or cannot be used.
    """
    missing = [key for key in ("description", "configuration", "filters") if exported.get(key) is None]
    if missing:
        raise ConfigurationError(
            f"An exported profile has a description, a configuration and filters: {missing[0]} is missing."
        )
    configuration = read_configuration(exported["configuration"], decrypt=decrypt)
    known = {fact.key for fact in setting_facts()}
    profile = Profile(
        id=0,
        description=str(exported["description"]),
        configuration=configuration,
        filters=read_filters(exported["filters"]),
    )
    return installation.catalogue.profiles.create(profile), sorted(configuration.keys() - known)


def checked_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return settings without the empty ones, after all of them were seen to be usable.

    Raises:
        ConfigurationError: one cannot be used; the sentence names it.
    """
    kept = {key: as_stored(value) for key, value in values.items() if value != ""}
    if root := kept.get(ROOT_KEY):
        kept[ROOT_KEY] = str(site_root(Path(root)))
    Settings.from_values(kept)
    return kept
