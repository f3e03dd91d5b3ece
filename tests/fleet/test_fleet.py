"""Sites on fake servers, several workers, nights that pass in seconds, and deaths: each due time has one backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from fleet.fake_servers import Behaviour, Servers, fake_servers
from fleet.simulation import Fleet, Killer, Night

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[MakeFleet]:
    """Give a function that makes a fleet."""
    with ExitStack() as stack:

        def make(servers: Servers, address: DatabaseAddress | None, machines: int, *options: str) -> Fleet:
            fleet = Fleet(tmp_path, servers, address, machines, options)
            stack.callback(fleet.close)
            return fleet

        yield make


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_a_day_of_thirty_sites_and_a_death(
    make_fleet: MakeFleet, database: str, request: pytest.FixtureRequest
) -> None:
    address = request.getfixturevalue("postgresql_database") if database == "postgresql" else None
    faults = {3: "fails", 6: "loses-start", 7: "loses-end", 12: "cuts", 13: "refuses", 20: "busy"}
    with fake_servers(30, per_host=5, parts=2) as servers:
        servers.set({number: Behaviour(delay=0.05, steps=4, fault=faults.get(number, "")) for number in range(30)})
        fleet = make_fleet(servers, address, 2, "--short-lease")
        fleet.add_sites({number: Night(60 + 7 * number) for number in range(30)})
        for machine in fleet.machines:
            fleet.start(machine)
        killer = Killer(fleet, 1.0, most=1)
        fleet.pass_days(1, killer)
        assert killer.kills == 1
        fleet.check(1, faults)
