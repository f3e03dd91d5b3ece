"""Remote sites for tests: adding one, and performing a run of it in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event

from backstay.catalogue import Backup, Connection, NewSite, Profile, RemoteRun, Site
from backstay.fleet.performing import perform
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import queue_run

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def add_site(
    installation: Installation,
    url: str,
    secret: str,
    *,
    name: str = "shop",
    profile: int = 1,
    keep_there: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Site:
    """Add a remote site whose server has not been called yet."""
    site = Site(0, name, "remote", 0, NOW, address=url)
    connection = Connection(secret, {}, profile, keep_there)
    return installation.catalogue.sites.create(NewSite(site, connection, Profile(0, name, dict(settings or {}))))


def claimed(installation: Installation, site: Site, holder: str = "first") -> RemoteRun:
    """A run of a site that a worker has."""
    run = queue_run(installation, site.profile_id, description="nightly", comment="of the tests")
    assert installation.catalogue.remote_runs.claim(run.id, holder, datetime.now(UTC))
    return installation.catalogue.remote_runs.get(run.id)


def performed(
    installation: Installation,
    site: Site,
    *,
    may_go_on: Callable[[], bool] = lambda: True,
    stopping: Event | None = None,
) -> RemoteRun:
    """A run of a site from its beginning to its end."""
    run = claimed(installation, site)
    perform(installation, run.id, run.holder, may_go_on=may_go_on, stopping=stopping or Event())
    return installation.catalogue.remote_runs.get(run.id)


def gone_on_with(installation: Installation, run: RemoteRun, holder: str) -> RemoteRun:
    """A run that another worker takes over and performs to its end."""
    current = installation.catalogue.remote_runs.get(run.id)
    assert installation.catalogue.remote_runs.claim(run.id, holder, datetime.now(UTC), previous=current.holder)
    perform(installation, run.id, holder)
    return installation.catalogue.remote_runs.get(run.id)


def record_of(installation: Installation, run: RemoteRun) -> Backup:
    """The record of a run."""
    assert run.backup_id is not None
    found = installation.catalogue.backups.get(run.backup_id)
    assert found is not None
    return found
