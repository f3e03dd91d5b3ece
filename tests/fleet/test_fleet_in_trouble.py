"""A fleet whose database, network, disks or workers fail: nothing is lost, nothing is taken twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Connection, DestinationOptions, NewSite, Profile, Site
from backstay.catalogue.machines import LEASE_SECONDS
from backstay.client import Client
from backstay.databases import DatabaseAddress
from backstay.demo.compare import compare_trees
from backstay.fleet.worker import LEAST_FREE
from backstay.jobs.storage import add_destination
from client.real_server import RealServer, backstay, serving
from fleet.fake_servers import Behaviour, Servers, fake_servers
from fleet.simulation import BEGIN, Fleet, Killer, Night
from support.disks import fill, small_disk
from support.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.timeout(1800)]
MakeFleet = Callable[..., Fleet]


@pytest.fixture
def make_fleet(tmp_path: Path, postgresql_database: DatabaseAddress) -> Iterator[MakeFleet]:
    """Give a function that makes a fleet over a database."""
    with ExitStack() as stack:

        def make(servers: Servers, machines: int) -> Fleet:
            fleet = Fleet(tmp_path / "fleet", servers, postgresql_database, machines)
            stack.callback(fleet.close)
            return fleet

        (tmp_path / "fleet").mkdir()
        yield make


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Sixty sites that take their time."""
    with fake_servers(60, per_host=5, parts=2) as running:
        running.set({number: Behaviour(delay=0.2, steps=5) for number in range(60)})
        yield running


def begun(fleet: Fleet, servers: Servers) -> None:
    """Let all sites be due, and wait until each of the workers performs something."""
    fleet.add_sites({number: Night(5 + number) for number in range(servers.count)})
    for machine in fleet.machines:
        fleet.start(machine)
    fleet.clock.set(BEGIN + timedelta(hours=6))

    def all_work() -> bool:
        held = {run.holder.partition("/")[0] for run in fleet.open()}
        return all(held & fleet.worker_names(machine) for machine in fleet.machines)

    fleet.wait_until(all_work)


def test_a_database_that_is_away_for_two_minutes(make_fleet: MakeFleet, servers: Servers) -> None:
    fleet = make_fleet(servers, 2)
    begun(fleet, servers)
    for machine in fleet.machines:
        assert machine.link is not None
        machine.link.cut()
    time.sleep(120)
    for machine in fleet.machines:
        assert machine.link is not None
        machine.link.mend()
    fleet.wait_until(fleet.settled)
    fleet.check(1)


def test_a_worker_that_is_cut_off_and_comes_back(make_fleet: MakeFleet, servers: Servers) -> None:
    fleet = make_fleet(servers, 2)
    begun(fleet, servers)
    cut = fleet.machines[0]
    assert cut.link is not None
    names = fleet.worker_names(cut)
    cut.link.cut()
    moment = time.monotonic()
    fleet.wait_until(lambda: not fleet.worker_names(cut))
    cut.link.mend()
    fleet.wait_until(lambda: not any(run.holder.partition("/")[0] in names for run in fleet.open()))
    assert time.monotonic() - moment < LEASE_SECONDS + 30
    fleet.wait_until(fleet.settled)
    fleet.check(1)
    assert "lost its lease" in fleet.said()


def test_a_worker_whose_disk_is_full_leaves_the_runs_to_others(make_fleet: MakeFleet, servers: Servers) -> None:
    fleet = make_fleet(servers, 2)
    full = fleet.machines[1].home / "archives"
    with small_disk(full, 2 * LEAST_FREE >> 20) as disk:
        begun(fleet, servers)
        fill(disk)
        fleet.wait_until(fleet.settled)
        runs = fleet.installation.catalogue.remote_runs.newest()
        failed = [run for run in runs if run.state == "failed"]
        assert len(runs) == 60
        assert len(failed) <= 8  # those that the full one performed at that moment
        assert all("free" in run.message or "full" in run.message for run in failed), failed
        assert "no backup of a site on another server is begun here" in fleet.said()
        counts, _ = servers.counts()
        assert {counts[number]["started"] for number in range(60)} == {1}


def test_a_week_of_four_workers_and_two_schedulers_while_one_is_killed_every_ten_seconds(
    make_fleet: MakeFleet,
) -> None:
    faults = {10: "fails", 20: "refuses", 102: "loses-start", 151: "loses-end", 203: "cuts", 304: "busy", 351: "html"}
    with fake_servers(1000, per_host=5, parts=2) as servers:
        servers.set({number: Behaviour(delay=0.02, fault=faults.get(number, "")) for number in range(1000)})
        fleet = make_fleet(servers, 4)
        due = [number for number in range(1000) if number % 50 < 5 or number in faults]
        fleet.add_sites(
            {n: Night(5 + n * 37 % 350, frozenset(range(7)) if n % 50 == 4 else frozenset({n % 7})) for n in due}
        )
        for machine in fleet.machines:
            fleet.start(machine)
        for machine in fleet.machines[:2]:
            fleet.start(machine, "--looks-only")
        killer = Killer(fleet, 10.0)
        fleet.pass_days(7, killer, left_over=16)
        killer.stop()
        fleet.wait_until(fleet.settled, meanwhile=killer)
        fleet.check(7, faults)
        assert killer.kills >= 3
        assert max(killer.takeovers) < 60


def test_one_worker_with_a_catalogue_of_its_own(tmp_path: Path) -> None:
    faults = {7: "fails", 21: "refuses", 35: "loses-start", 49: "loses-end", 63: "cuts", 77: "busy", 91: "html"}
    with fake_servers(100, per_host=5, parts=2) as servers, ExitStack() as stack:
        servers.set({number: Behaviour(delay=0.05, fault=faults.get(number, "")) for number in range(100)})
        fleet = Fleet(tmp_path, servers, None, 1)
        stack.callback(fleet.close)
        fleet.add_sites({number: Night(5 + number * 37 % 350) for number in range(100)})
        fleet.start(fleet.machines[0])
        killer = Killer(fleet, 20.0)  # it needs some of them to begin
        fleet.pass_days(1, killer)
        fleet.check(1, faults)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_twenty_real_servers_are_backed_up_to_s3_and_restored_from_there(
    tmp_path: Path, request: pytest.FixtureRequest, s3_server: S3Server, database: str
) -> None:
    address = request.getfixturevalue("postgresql_database") if database == "postgresql" else None
    with ExitStack() as stack:
        folders = [tmp_path / f"server-{number}" for number in range(20)]
        for folder in folders:
            folder.mkdir()
        with ThreadPoolExecutor(4) as pool:
            real = list(pool.map(lambda folder: stack.enter_context(serving(folder)), folders))
        (tmp_path / "fleet").mkdir()
        fleet = Fleet(tmp_path / "fleet", Servers(0, 1, 0), address, 1 if address is None else 2)
        stack.callback(fleet.close)
        place = s3_server.place()
        add_destination(fleet.installation, "cloud", place.url, place.secrets, DestinationOptions())
        for server in real:
            add_real(fleet, server)
        for machine in fleet.machines:
            fleet.start(machine)
        backstay(fleet.machines[0].home, "backup", "--all-sites", "--background")
        fleet.wait_until(lambda: not fleet.open())
        runs = fleet.installation.catalogue.remote_runs.newest()
        assert [run.state for run in runs] == ["done"] * 20, runs
        backups = {one.profile_id: one for one in fleet.installation.catalogue.backups.newest()}
        for server, site in zip(real, fleet.sites.values(), strict=True):
            backup = backups[site.profile_id]
            assert (backup.meta, backup.filesexist) == ("remote", False)
            to = tmp_path / f"back-{site.id}"
            backstay(fleet.machines[0].home, "restore", str(backup.id), "--to", str(to), "--yes")
            assert compare_trees(server.site, to).differences == []


def add_real(fleet: Fleet, server: RealServer) -> None:
    """Add a site of a real server, whose backups go to S3 and stay nowhere else."""
    name = f"real-{len(fleet.sites)}"
    with Client(server.url, server.secret) as client:
        endpoint = client.detect().stored()
    settings = {"backstay.storage.destinations": "cloud", "engine.postproc.common.delete_after": "1"}
    site = Site(0, name, "remote", 0, BEGIN, address=server.url, host="127.0.0.1")
    connection = Connection(server.secret, endpoint, server.profile)
    made = fleet.installation.catalogue.sites.create(NewSite(site, connection, Profile(0, name, settings)))
    fleet.sites[len(fleet.sites)] = made
