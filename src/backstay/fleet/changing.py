"""Changing sites that exist: testing, editing, pausing and removing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from backstay.catalogue import Connection, Site, SiteValues
from backstay.client.endpoints import Address
from backstay.errors import BackstayError, UsageError
from backstay.fleet.detection import TIMEOUT_SECONDS, Detected, changes_between, detect, plain_text
from backstay.fleet.sites import checked_name, checked_notes, checked_tags, profile_values, require_profile
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import FIRST_PROFILE, edit_profile

ASKED_AT_ONCE: Final = 8
_LONGEST_PROBLEM: Final = 500


@dataclass(frozen=True, slots=True)
class SiteEdit:
    """What is to be changed of a site; what is None stays.

    Attributes:
        name, group, notes, storages, keep: as in ``SiteDetails``; ``keep`` 0 keeps all.
        add_tags, remove_tags: tags to add and to take away.
        address: another address of its server.
        secret: another secret.
        profile: number of another backup profile of the server.
        keep_there: backups that stay on the server; -1: it is left as it is.
        verify_tls: whether its certificate is checked.
    """

    name: str | None = None
    group: str | None = None
    notes: str | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    storages: tuple[str, ...] | None = None
    keep: int | None = None
    address: str | None = None
    secret: str | None = None
    profile: int | None = None
    keep_there: int | None = None
    verify_tls: bool | None = None

    @property
    def asks_server(self) -> bool:
        """Whether it changes how the server is called."""
        return any(value is not None for value in (self.address, self.secret, self.profile, self.verify_tls))


@dataclass(frozen=True, slots=True)
class Asked:
    """A site whose server answered: what it said, and what has changed since it was asked before, in sentences."""

    site: Site
    detected: Detected
    changes: tuple[str, ...]


def ask_site(installation: Installation, site: Site, timeout: float = TIMEOUT_SECONDS) -> Asked:
    """Ask the server of a site what it is, and keep what it says; one that answers is no longer put off.

    Raises:
        BackstayError: it does not answer as it should; the site keeps that sentence as its problem.
    """
    table = installation.catalogue.sites
    connection = table.connection(site.id)
    try:
        detected = detect(site.address, connection, timeout)
        require_profile(detected, connection.profile)
    except BackstayError as error:
        table.update(site.id, problem=plain_text(str(error), _LONGEST_PROBLEM))
        raise
    if connection.endpoint != detected.endpoint.stored():
        table.set_connection(site.id, replace(connection, endpoint=detected.endpoint.stored()))
    changes = tuple(changes_between(site.found, detected.found))
    table.update(
        site.id,
        host=detected.host,
        found=detected.found.to_json(),
        heard=datetime.now(UTC),
        problem="",
        failures=0,
        not_before=None,
    )
    return Asked(table.get(site.id), detected, changes)


def ask_sites(
    installation: Installation, sites: Sequence[Site], at_once: int = ASKED_AT_ONCE
) -> Iterator[tuple[Site, Asked | BackstayError]]:
    """Ask the servers of many remote sites, several at once; give each site with what came of it, as it comes."""
    with ThreadPoolExecutor(max(1, min(at_once, len(sites)))) as threads:
        asked = {threads.submit(_asked, installation, site): site for site in sites}
        try:
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _asked(installation: Installation, site: Site) -> Asked | BackstayError:
    try:
        return ask_site(installation, site)
    except BackstayError as error:
        return error


def edit_site(installation: Installation, site: Site, edit: SiteEdit, *, ask: bool = True) -> Site:
    """Change a site; where it changes how the server is called, the server is asked before anything is stored.

    Args:
        installation: whose.
        site: as it was read.
        edit: what is to be changed.
        ask: whether the server is asked.

    Raises:
        BackstayError: a value cannot be used, or the server does not answer with it.
    """
    values = _values(site, edit)
    settings = profile_values(installation, edit.storages, edit.keep)
    connection = _connection(installation, site, edit)
    if edit.address is not None:
        values["address"] = Address.parse(edit.address).without_credentials()
    if connection is not None and edit.asks_server and ask:
        detected = detect(values.get("address", site.address), connection)
        require_profile(detected, connection.profile)
        connection = replace(connection, endpoint=detected.endpoint.stored())
        values |= SiteValues(
            host=detected.host, found=detected.found.to_json(), heard=datetime.now(UTC), problem="", not_before=None
        )
    installation.catalogue.sites.update(site.id, **values)
    if connection is not None:
        installation.catalogue.sites.set_connection(site.id, connection)
    if settings:
        edit_profile(installation, site.profile_id, values=settings)
    return installation.catalogue.sites.get(site.id)


def pause_site(installation: Installation, site: Site) -> None:
    """Let a site not be backed up by itself until it is resumed; a run that is under way comes to its end."""
    installation.catalogue.sites.update(site.id, paused=True)


def resume_site(installation: Installation, site: Site) -> None:
    """Let a site be backed up by itself again, at once where it was put off because it failed."""
    installation.catalogue.sites.update(site.id, paused=False, failures=0, not_before=None)


def remove_site(installation: Installation, site: Site, *, with_profile: bool = False) -> None:
    """Remove a site; its backups and their records stay. The profile of a remote one goes with it.

    Args:
        installation: whose.
        site: which.
        with_profile: of a local site, too, with its schedules.

    Raises:
        UsageError: a run of it has not ended, or its profile is the first one, which stays.
    """
    if installation.catalogue.remote_runs.open_of(site.id) is not None:
        raise UsageError(
            f"A backup of the site {site.name} runs or waits: let it end, or cancel it with "
            f"'backstay backup --site {site.name} --cancel'."
        )
    goes = with_profile or site.kind == "remote"
    if goes and site.profile_id == FIRST_PROFILE:
        raise UsageError(f"The site {site.name} stands on profile 1, which always exists: leave its profile.")
    installation.catalogue.sites.delete(site.id, with_profile=goes)


def _values(site: Site, edit: SiteEdit) -> SiteValues:
    values = SiteValues()
    if edit.name is not None:
        values["name"] = checked_name(edit.name)
    if edit.group is not None:
        values["group"] = edit.group
    if edit.notes is not None:
        values["notes"] = checked_notes(edit.notes)
    if edit.add_tags or edit.remove_tags:
        values["tags"] = checked_tags(tuple({*site.tags, *edit.add_tags} - set(edit.remove_tags)))
    return values


def _connection(installation: Installation, site: Site, edit: SiteEdit) -> Connection | None:
    """Return the changed connection of a remote site; None where nothing of it changes."""
    if not edit.asks_server and edit.keep_there is None:
        return None
    known = installation.catalogue.sites.connection(site.id)
    given: dict[str, Any] = {"secret": edit.secret, "profile": edit.profile, "verify_tls": edit.verify_tls}
    changed = replace(known, **{name: value for name, value in given.items() if value is not None})
    if edit.address is not None:
        changed = replace(changed, endpoint={})
    if edit.keep_there is not None:
        changed = replace(changed, keep_there=None if edit.keep_there < 0 else edit.keep_there)
    return changed
