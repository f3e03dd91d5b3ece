"""Adding sites: a server of the API or a folder of this machine becomes a site with a profile and a schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from backstay.catalogue import ROOT_KEY, Connection, NewSite, Profile, Schedule, Site
from backstay.client.endpoints import Address
from backstay.errors import UsageError
from backstay.fleet.detection import Detected, detect
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import DATABASE_KEY, FIRST_PROFILE, checked_values, find_profile_of_site, site_root
from backstay.jobs.schedules import new_schedule
from backstay.jobs.storage import DESTINATIONS_KEY

LONGEST_NAME: Final = 100
LONGEST_NOTES: Final = 10_000
_TAG: Final = re.compile(r"[\w.@:-]{1,50}")
_MOST_TAGS: Final = 50
_API_PATH: Final = re.compile(r"/(api|index\.php|remote\.php|wp-admin|wp-content|administrator)(/.*)?$", re.IGNORECASE)
# Rules for the archives here, and for the copies at storages as well.
KEPT_SWITCH: Final = "akeeba.quota.enable_count_quota"
KEPT_KEY: Final = "akeeba.quota.count_quota"
_KEPT_ELSEWHERE: Final = "akeeba.quota.remote"


@dataclass(frozen=True, slots=True)
class SiteDetails:
    """What a person says of a new site, besides where it is.

    Attributes:
        name: empty: made from its address or folder.
        group: name of its group; empty: none.
        tags: words to select it by.
        notes: for people.
        paused: it is not backed up by itself.
        storages: names of those that its backups are sent to.
        keep: backups that are kept here, and at each storage; None: nothing is deleted.
        settings: of its profile, by dotted key.
        at: cron expression of its backups; empty: it gets no schedule.
        time_zone: in which that is meant; empty: the usual one.
        spread: span of which it waits its share.
    """

    name: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    paused: bool = False
    storages: tuple[str, ...] = ()
    keep: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    at: str = ""
    time_zone: str = ""
    spread: timedelta = timedelta(0)


def add_remote_site(
    installation: Installation, address: str, connection: Connection, details: SiteDetails, *, ask: bool = True
) -> tuple[Site, Detected | None]:
    """Store a site behind a server of the API, after the server was asked what it is.

    Args:
        installation: whose.
        address: of the site, or of its API in any form.
        connection: how the server is called.
        details: what a person says of it.
        ask: whether the server is asked; if not, its first backup finds out how it is called.

    Returns:
        The site, and what the server said; None: it was not asked.

    Raises:
        BackstayError: a value cannot be used, or the server does not answer as it should; nothing is stored then.
    """
    # All that can be said without the server is said first.
    new = remote_site(installation, address, connection, details)
    refuse_known(known_servers(installation), new)
    refuse_taken(installation, new.site)
    if not ask:
        return installation.catalogue.sites.create(new), None
    detected = detect(address, connection)
    found = replace(connection, endpoint=detected.endpoint.stored())
    new = remote_site(installation, address, found, details, detected)
    return installation.catalogue.sites.create(new), detected


def add_local_site(installation: Installation, path: Path, database: str, details: SiteDetails) -> Site:
    """Store a site in a folder of this machine; see ``local_site``."""
    new = local_site(installation, path, database, details)
    refuse_taken(installation, new.site)
    return installation.catalogue.sites.create(new)


def remote_site(
    installation: Installation,
    address: str,
    connection: Connection,
    details: SiteDetails,
    detected: Detected | None = None,
) -> NewSite:
    """Return a site behind a server of the API, checked, to be stored.

    Args:
        installation: whose.
        address: of the site, or of its API.
        connection: how the server is called; the endpoint is that which was detected.
        details: what a person says of it.
        detected: what the server said; None: it was not asked.

    Raises:
        UsageError: a value cannot be used, or the server has no such profile.
        NotFoundError: there is no such group or storage.
        ConfigurationError: a setting cannot be used.
    """
    parsed = Address.parse(address)
    if not connection.secret:
        raise UsageError("A site behind a server needs the server's secret word, or a token.")
    name = checked_name(details.name or name_of_address(parsed))
    now = datetime.now(UTC)
    site = Site(
        id=0,
        name=name,
        kind="remote",
        profile_id=0,
        created=now,
        group=details.group,
        address=parsed.without_credentials(),
        host=detected.host if detected else _host_name(parsed),
        tags=checked_tags(details.tags),
        notes=checked_notes(details.notes),
        found=detected.found.to_json() if detected else {},
        paused=details.paused,
        heard=now if detected else None,
    )
    if detected is not None:
        require_profile(detected, connection.profile)
    profile = Profile(0, name, _values(installation, details))
    return NewSite(site, connection, profile, _schedule(installation, details, now))


def local_site(installation: Installation, path: Path, database: str, details: SiteDetails) -> NewSite:
    """Return a site in a folder of this machine, checked, to be stored with its profile, which is found or a new one.

    Args:
        installation: whose.
        path: the site's folder.
        database: URL of its database; empty: the one of its profile, else read from the site's configuration.
        details: what a person says of it.

    Raises:
        UsageError: a value cannot be used, or the folder is a site already.
        NotFoundError: the folder is not there, or there is no such group or storage.
        ConfigurationError: a setting cannot be used.
    """
    root, now = site_root(path), datetime.now(UTC)
    tags, notes, values = checked_tags(details.tags), checked_notes(details.notes), _values(installation, details)
    catalogue = installation.catalogue
    if database:
        values[DATABASE_KEY] = database
    profile = find_profile_of_site(installation, root, database or None)
    if profile is None:
        profile = Profile(0, root.name, {ROOT_KEY: str(root)}, machine=catalogue.machine)
    elif (known := catalogue.sites.find_by_profile(profile.id)) is not None:
        raise UsageError(f"{root} is the site {known.name} already: change it with 'backstay site edit {known.name}'.")
    given = root.name if profile.id == FIRST_PROFILE else profile.description
    name = checked_name(details.name or given)
    profile = replace(profile, description=name, configuration=checked_values({**profile.configuration, **values}))
    site = Site(
        id=0,
        name=name,
        kind="local",
        profile_id=profile.id,
        created=now,
        group=details.group,
        tags=tags,
        notes=notes,
        paused=details.paused,
    )
    return NewSite(site, profile=profile, schedule=_schedule(installation, details, now))


Known = Mapping[tuple[str, int], str]
"""Names of sites by the address of their server and the number of its backup profile."""


def known_servers(installation: Installation) -> dict[tuple[str, int], str]:
    """Return the servers that are backed up, see `Known`."""
    connections = installation.catalogue.sites.connections()
    return {
        (site.address, connections[site.id].profile): site.name
        for site in installation.catalogue.sites.all()
        if site.id in connections
    }


def refuse_known(known: Known, new: NewSite) -> None:
    """Refuse a profile of a server that is backed up as a site already.

    Raises:
        UsageError: it is.
    """
    if new.connection is None:
        return
    name = known.get((new.site.address, new.connection.profile))
    if name is not None:
        raise UsageError(
            f"Profile {new.connection.profile} of {new.site.address} is the site {name} already: change it with "
            f"'backstay site edit {name}', or name another profile of the server."
        )


def refuse_taken(installation: Installation, site: Site) -> None:
    """Refuse a name that another site has, and a group that does not exist.

    Raises:
        UsageError: there is a site of that name.
        NotFoundError: there is no such group.
    """
    if installation.catalogue.sites.find(site.name) is not None:
        raise UsageError(f"There is a site named {site.name} already: give another name with --name.")
    if site.group:
        installation.catalogue.groups.get(site.group)


def checked_name(name: str) -> str:
    """Return the name of a site or group.

    Raises:
        UsageError: it cannot be one.
    """
    kept = name.strip()
    if not kept or len(kept) > LONGEST_NAME or not kept.isprintable() or kept.isdigit() or kept.startswith("-"):
        raise UsageError(
            f"{kept[:40]!r} can't be a name: one has 1 to {LONGEST_NAME} letters, is no number, and begins with no -."
        )
    return kept


def checked_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return tags, each once, sorted.

    Raises:
        UsageError: one cannot be a tag.
    """
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise UsageError(f"{tag[:60]!r} can't be a tag: it has up to 50 letters, digits and . _ - : @, no blanks.")
    if len(tags) > _MOST_TAGS:
        raise UsageError(f"A site has at most {_MOST_TAGS} tags.")
    return tuple(sorted(set(tags)))


def checked_notes(notes: str) -> str:
    """Return notes.

    Raises:
        UsageError: they are too long.
    """
    if len(notes) > LONGEST_NOTES:
        raise UsageError(f"The notes of a site have at most {LONGEST_NOTES:,} letters.")
    return notes.strip()


def require_profile(detected: Detected, number: int) -> None:
    """Refuse a profile that a server says it does not have.

    Raises:
        UsageError: it has none of this number.
    """
    profiles = detected.found.profiles
    if profiles and number not in dict(profiles):
        listed = ", ".join(f"{known} ({name})" for known, name in profiles[:10])
        raise UsageError(f"The server has no profile {number}: it has {listed}.")


def profile_values(installation: Installation, storages: tuple[str, ...] | None, keep: int | None) -> dict[str, str]:
    """Return the settings of a profile that say where its backups go, and how many are kept.

    Args:
        installation: whose.
        storages: names; empty: none; None: as it is.
        keep: how many; 0: all; None: as it is.

    Raises:
        NotFoundError: there is no such storage.
    """
    values: dict[str, str] = {}
    if storages is not None:
        for name in storages:
            installation.catalogue.destinations.get(name)
        values[DESTINATIONS_KEY] = ",".join(storages)
    if keep is not None:
        values |= dict.fromkeys((KEPT_SWITCH, _KEPT_ELSEWHERE), "1" if keep else "")
        values[KEPT_KEY] = str(keep) if keep else ""
    return values


def _values(installation: Installation, details: SiteDetails) -> dict[str, str]:
    chosen = profile_values(installation, details.storages or None, details.keep)
    return checked_values({**details.settings, **chosen})


def _schedule(installation: Installation, details: SiteDetails, now: datetime) -> Schedule | None:
    if not details.at:
        return None
    return new_schedule(installation, 0, at=details.at, now=now, time_zone=details.time_zone, spread=details.spread)


def name_of_address(address: Address) -> str:
    """Return the name of a site that was given none: its host, and the folder below it where there is one."""
    return f"{_host_name(address).removeprefix('www.')}{_API_PATH.sub('', address.path).rstrip('/')}"[:LONGEST_NAME]


def _host_name(address: Address) -> str:
    return (urlsplit(address.url("/")).hostname or "").rstrip(".").lower()[:255]
