"""A fleet of sites and workers over days that pass in seconds: what is asked of it, and what must hold at the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstay.catalogue import Connection, Group, NewSite, Profile, RemoteRun, Site
from backstay.client.endpoints import COMPONENTS, Credential, Endpoint
from backstay.databases import DatabaseAddress
from backstay.jobs import lock
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.schedules import add_schedule, next_run
from backstay.queue import members
from fleet.clocked_worker import FileClock
from fleet.fake_servers import SECRET, Servers
from support.catalogues import VARIABLE, catalogue_url
from support.links import Link

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
DAY = timedelta(days=1)
NIGHT_HOURS = 6
_STEP_SECONDS = 0.3
PATIENCE_SECONDS = 240.0
FAILING = ("refuses", "fails", "html", "silent")
"""Faults after which there is no backup."""
_PROGRAM = Path(__file__).parent / "clocked_worker.py"


def endpoint_of(servers: Servers, number: int) -> Endpoint:
    """Return how a site of the fake servers is called."""
    if number % 2 == 0:
        url = f"{servers.url(number)}/api/index.php/v3/akeebabackup"
        return Endpoint(3, url, credential=Credential.AKEEBA_HEADER)
    query = (("option", COMPONENTS[0]), ("view", "api"), ("format", "raw"))
    return Endpoint(2, f"{servers.url(number)}/index.php", query)


@dataclass(frozen=True)
class Night:
    """When a site is backed up: so many minutes after midnight, on some days of the week (0: Sunday)."""

    minute: int
    weekdays: frozenset[int] = frozenset(range(7))

    @property
    def cron(self) -> str:
        """The same as a cron expression."""
        return f"{self.minute % 60} {self.minute // 60} * * {','.join(map(str, sorted(self.weekdays)))}"

    def times(self, days: int) -> int:
        """Return how often that is within so many days from a Monday on."""
        return sum((day + 1) % 7 in self.weekdays for day in range(days))


@dataclass
class Machine:
    """A home, its way to the database, and the worker that runs there."""

    name: str
    home: Path
    link: Link | None = None
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill the worker."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Fleet:
    """Sites behind fake servers, a catalogue, and workers on some machines.

    Args:
        folder: for the homes.
        servers: of the sites.
        address: of the database that the machines share; None: one home with a catalogue of its own.
        machines: how many there are.
        options: of their workers.
    """

    def __init__(
        self,
        folder: Path,
        servers: Servers,
        address: DatabaseAddress | None,
        machines: int,
        options: tuple[str, ...] = (),
    ) -> None:
        self.servers = servers
        self._options = options
        self._folder = folder
        self._stack = ExitStack()
        self.clock = FileClock(folder / "clock")
        self.clock.set(BEGIN)
        self.machines = [self._machine(number, address) for number in range(machines)]
        self.installation: Installation = open_installation(self.machines[0].home)
        self._stack.callback(self.installation.catalogue.close)
        self.per_host = 2
        self.nights: dict[int, Night] = {}
        self.sites: dict[int, Site] = {}
        self.schedules: dict[int, int] = {}

    def _machine(self, number: int, address: DatabaseAddress | None) -> Machine:
        name = f"m{number}"
        if address is None:
            return Machine(name, self._folder / "home")
        home = self._folder / name
        home.mkdir(parents=True)
        (home / "key").write_bytes(b"k" * 32)
        (home / "backstay.toml").write_text(
            f'[catalogue]\nurl = "{catalogue_url(address)}"\n[worker]\nname = "{name}"\n'
        )
        link = Link(address)
        self._stack.callback(link.close)
        return Machine(name, home, link)

    def add_sites(self, nights: dict[int, Night], *, per_host: int = 2) -> None:
        """Add a site for each server of these numbers, in one of five groups, with a schedule of its nights."""
        self.per_host, self.nights = per_host, nights
        catalogue = self.installation.catalogue
        for number in range(5):
            catalogue.groups.create(Group(0, f"group-{number}", BEGIN, per_host=per_host, priority=number % 2))
        made = catalogue.sites.create_all(self._new_site(number) for number in nights)
        for (number, night), site in zip(nights.items(), made, strict=True):
            schedule = add_schedule(self.installation, site.profile_id, at=night.cron, time_zone="UTC", now=BEGIN)
            self.sites[number], self.schedules[number] = site, schedule.id

    def _new_site(self, number: int) -> NewSite:
        site = Site(
            0,
            f"site-{number}",
            "remote",
            0,
            BEGIN,
            group=f"group-{number % 5}",
            address=self.servers.url(number),
            host=self.servers.host(number),
        )
        connection = Connection(SECRET, endpoint_of(self.servers, number).stored())
        return NewSite(site, connection, Profile(0, site.name))

    def start(self, machine: Machine, *options: str) -> subprocess.Popen[bytes]:
        """Start the worker of a machine, or, with ``--looks-only``, what only looks what is due."""
        environment = dict(os.environ)
        if machine.link is not None:
            environment[VARIABLE] = catalogue_url(machine.link.address)
        with (machine.home / "output.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    str(_PROGRAM),
                    str(machine.home),
                    str(self._folder / "clock"),
                    *self._options,
                    *options,
                ],
                stdout=log,
                stderr=log,
                env=environment,
            )
        self._stack.callback(_end, process)
        if not options:
            machine.process = process
        return process

    def open(self) -> list[RemoteRun]:
        """Return the runs that have not ended."""
        return self.installation.catalogue.remote_runs.open()

    def said(self) -> str:
        """Return what all workers wrote."""
        return "".join(log.read_text() for machine in self.machines if (log := machine.home / "output.log").exists())

    def wait_until(
        self,
        condition: Callable[[], bool],
        seconds: float = PATIENCE_SECONDS,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Wait for something; the test fails with what the workers wrote where it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            if meanwhile is not None:
                meanwhile()
            assert time.monotonic() < deadline, f"it did not come so far in time; the workers said:\n{self.said()}"
            time.sleep(0.1)

    def settled(self, left_over: int = 0) -> bool:
        """Return whether all that is due now has been queued and has ended, but for so many that were begun."""
        catalogue = self.installation.catalogue
        found = catalogue.remote_queue.open()
        all_begun = all(run.begun is not None for run in found)
        return len(found) <= left_over and all_begun and not catalogue.runs.due(self.clock())

    def pass_days(
        self, days: int, meanwhile: Callable[[], None] | None = None, *, first: int = 0, left_over: int = 0
    ) -> None:
        """Let days pass: the night in steps of half an hour, the rest when what was due has ended.

        A night's last step waits until a look has seen it: a day that no look sees is none of a scheduler.

        Args:
            days: how many.
            meanwhile: is called all the time.
            first: how many have passed before.
            left_over: so many runs may be under way still when a day ends.
        """
        for day in range(first, first + days):
            for step in range(1, 2 * NIGHT_HOURS + 1):
                self.clock.set(BEGIN + day * DAY + step * timedelta(minutes=30))
                time.sleep(_STEP_SECONDS)
                if meanwhile is not None:
                    meanwhile()
            self.wait_until(self._all_looked_at, meanwhile=meanwhile)
            self.wait_until(lambda: self.settled(left_over), 1800, meanwhile)

    def _all_looked_at(self) -> bool:
        now = self.clock()
        found = self.installation.catalogue.schedules.to_look_at(now, now + DAY)
        return all((following := next_run(one)) is None or following > now for one in found)

    def worker_names(self, machine: Machine) -> set[str]:
        """Return the names that the workers of a machine have, and had since they died."""
        if machine.link is None:
            queue, number = self.installation.home.queue, machine.process.pid if machine.process else 0
            names = members.names(self.installation.home)
            return {name for name in names if lock.process_number(queue / name) == number}
        return {
            members.lease_name(one.id)
            for one in self.installation.catalogue.workers.all()
            if one.machine == machine.name
        }

    def check(self, days: int, faults: dict[int, str] | None = None) -> None:
        """Check what must hold after so many days.

        Args:
            days: that have passed.
            faults: of sites that misbehave, by their numbers; after some of them a backup is taken all the same.
        """
        catalogue, given = self.installation.catalogue, faults or {}
        counts, hosts = self.servers.counts()
        for number, site in self.sites.items():
            fault, times = given.get(number, ""), self.nights[number].times(days)
            runs = catalogue.runs.of(self.schedules[number])
            assert len(runs) == len({run.due for run in runs}) == times, f"{site.name} was due at other times"
            ok = fault not in FAILING
            assert {run.state for run in runs} <= {"done" if ok else "failed"}, (site.name, runs)
            started = counts[number]["started"]
            assert started == (0 if fault in ("refuses", "html", "silent") else times), (site.name, started, times)
            assert counts[number]["interrupted"] == 0, f"{site.name} was asked for two backups at once"
            if ok:
                assert counts[number]["complete"] == times
                backups = catalogue.backups.newest(0, None, profile_id=site.profile_id)
                assert [backup.status for backup in backups] == ["complete"] * times, site.name
        for host, found in hosts.items():
            assert found["most_backups"] <= self.per_host, (host, found)
        found = most_at_once(catalogue.remote_runs.newest())
        assert max(found.values(), default=0) <= self.per_host, found

    def close(self) -> None:
        """End everything."""
        self._stack.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


class Killer:
    """Kills a worker every so many seconds, and starts it again at once.

    Attributes:
        kills: how often it did.
        takeovers: seconds after a death until each run that was held had been given to another.
    """

    def __init__(self, fleet: Fleet, seconds: float, most: int = 10**6, seed: int = 1) -> None:
        self._fleet = fleet
        self._seconds = seconds
        self._most = most
        self._source = random.Random(seed)
        self._last = time.monotonic()
        self._held: dict[int, tuple[str, float]] = {}
        self.kills = 0
        self.takeovers: list[float] = []

    def stop(self) -> None:
        """Kill no more, and only see what becomes of what dead ones held."""
        self._most = self.kills

    def __call__(self) -> None:
        """Kill one where it is time, and see what became of what dead ones held."""
        now = time.monotonic()
        if now - self._last >= self._seconds and self.kills < self._most and self._kill(now):
            self._last = now
            self.kills += 1
        if self._held:
            found = {run.id: run.holder for run in self._fleet.open()}
            for number, (holder, died) in list(self._held.items()):
                if found.get(number) != holder and found.get(number) != "":
                    self.takeovers.append(time.monotonic() - died)
                    del self._held[number]

    def _kill(self, now: float) -> bool:
        """Kill a worker that performs something; return whether it held something when it died."""
        machine = self._source.choice(self._fleet.machines)
        names = self._fleet.worker_names(machine)
        if not self._held_by(names):
            return False
        machine.kill()
        left = self._held_by(names)
        self._fleet.start(machine)
        self._held |= {number: (holder, now) for number, holder in left.items()}
        return bool(left)

    def _held_by(self, names: set[str]) -> dict[int, str]:
        held = {run.id: run.holder for run in self._fleet.open()}
        return {number: holder for number, holder in held.items() if holder.partition("/")[0] in names}


def most_at_once(runs: list[RemoteRun]) -> Counter[str]:
    """Return how many runs each host had at the same time at most, from when they were begun until they ended."""
    edges = [(run.begun, 1, run.host) for run in runs if run.begun]
    edges += [(run.ended, -1, run.host) for run in runs if run.ended]
    at_once: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for _, change, host in sorted(edges):
        at_once[host] += change
        most[host] = max(most[host], at_once[host])
    return most
