"""What is due of sites on other servers: queued once for each due moment, by the look once a minute."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from backstay.catalogue import Connection, NewSite, Profile, Site
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import queue_run
from backstay.jobs.schedules import add_schedule
from backstay.queue import runs
from support.catalogues import use_database

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], autouse=True)
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the catalogue in its own file, or in a database that machines share."""
    if request.param == "postgresql":
        use_database(monkeypatch, request.getfixturevalue("postgresql_database"))


def add_site(installation: Installation, name: str = "shop") -> tuple[Site, int]:
    """Add a remote site that is backed up at three; return it and the number of its schedule."""
    site = Site(0, name, "remote", 0, NOW, address=f"https://{name}.example", host=name)
    made = installation.catalogue.sites.create(NewSite(site, Connection("secret", {}), Profile(0, name)))
    return made, add_schedule(installation, made.profile_id, at="0 3 * * *", time_zone="UTC", now=NOW - DAY / 2).id


def end(installation: Installation, number: int, state: str = "done") -> None:
    """Perform a run that is queued."""
    table = installation.catalogue.remote_runs
    assert table.claim(number, "a/1", NOW)
    assert table.end(number, "a/1", state, "It has ended.", NOW)  # type: ignore[arg-type]  # a state


def test_a_due_moment_of_a_remote_site_is_queued_once_and_its_run_ends_with_it(installation: Installation) -> None:
    site, schedule = add_site(installation)
    assert [runs.due(installation, NOW), runs.due(installation, NOW)] == [[], []]
    (queued,) = installation.catalogue.remote_runs.open()
    (run,) = installation.catalogue.runs.of(schedule)
    assert (queued.site_id, queued.run_id, run.state) == (site.id, run.id, "waiting")
    end(installation, queued.id)
    assert [run.state for run in installation.catalogue.runs.of(schedule)] == ["done"]
    runs.due(installation, NOW + timedelta(minutes=1))
    assert installation.catalogue.remote_runs.open() == []
    runs.due(installation, NOW + DAY)
    assert len(installation.catalogue.remote_runs.newest()) == 2


def test_two_who_look_at_once_queue_each_due_moment_once(installation: Installation) -> None:
    for number in range(10):
        add_site(installation, f"shop-{number}")
    barrier = threading.Barrier(3)

    def look() -> None:
        barrier.wait()
        runs.due(installation, NOW)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installation.catalogue.remote_runs.newest()) == 10


def test_a_run_waits_for_the_one_before_it_and_for_a_site_that_is_paused_or_put_off(installation: Installation) -> None:
    site, schedule = add_site(installation)
    by_hand = queue_run(installation, site.profile_id)
    runs.due(installation, NOW)
    assert [run.id for run in installation.catalogue.remote_runs.open()] == [by_hand.id]
    end(installation, by_hand.id)
    for values in ({"paused": True}, {"paused": False, "not_before": NOW + timedelta(minutes=9)}):
        installation.catalogue.sites.update(site.id, **values)
        runs.due(installation, NOW)
        assert installation.catalogue.remote_runs.open() == []
    assert [run.state for run in installation.catalogue.runs.of(schedule)] == ["waiting"]
    runs.due(installation, NOW + timedelta(minutes=9))
    assert len(installation.catalogue.remote_runs.open()) == 1
