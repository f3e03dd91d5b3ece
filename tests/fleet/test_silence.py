"""A server that cannot be reached is silent; one that answers something else than a backup fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import Connection, NewSite, Profile, Site
from backstay.errors import AuthenticationError, BackstayError, ConnectionFailedError
from backstay.fleet.overview import read_sites
from backstay.fleet.performing import perform
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.remote_runs import queue_run


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    with open_installation(home) as opened:
        yield opened


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectionFailedError("The server does not answer."), "silent"),
        (AuthenticationError("The server refuses the secret."), "failing"),
    ],
)
def test_a_run_that_fails_tells_silent_sites_from_failing_ones(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, error: BackstayError, state: str
) -> None:
    now = datetime.now(UTC)
    site = Site(0, "shop", "remote", 0, now, address="https://shop.example")
    site = installation.catalogue.sites.create(NewSite(site, Connection("a secret", {}), Profile(0, "shop")))
    run = queue_run(installation, site.profile_id)
    assert installation.catalogue.remote_runs.claim(run.id, "holder", now)

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("backstay.fleet.performing.refuse_changed", lambda *_: None)
    monkeypatch.setattr("backstay.fleet.performing.take_backup", failing)
    perform(installation, run.id, "holder")
    assert installation.catalogue.remote_runs.get(run.id).state == "failed"
    (standing,) = read_sites(installation, datetime.now(UTC)).standings
    assert standing.state == state
    assert str(error).rstrip(".") in standing.site.reason
