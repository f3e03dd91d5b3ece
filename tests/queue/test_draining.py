"""Workers that are to end: what is under way comes to its end, or is gone on with by another."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.catalogue import Connection, NewSite, Profile, Site
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import queue_run
from fleet.fake_servers import SECRET, Behaviour, Servers, fake_servers
from fleet.simulation import BEGIN, endpoint_of

PATIENCE_SECONDS = 200.0


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Three sites at one host."""
    with fake_servers(3) as running:
        yield running


def hold(servers: Servers, *, fault: str = "holds") -> None:
    """Let no backup end on the servers, or let all."""
    servers.set({number: Behaviour(delay=0.05, fault=fault) for number in range(3)})


@pytest.fixture
def start(installation: Installation) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Give a function that starts a worker."""
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*command(installation.home.path)], stdout=subprocess.DEVNULL)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "backstay", "worker", "--home", str(home), *options]


def queue(installation: Installation, servers: Servers) -> list[int]:
    """Queue a run of each site."""
    new = [
        NewSite(
            Site(0, f"site-{number}", "remote", 0, BEGIN, address=servers.url(number), host=servers.host(number)),
            Connection(SECRET, endpoint_of(servers, number).stored()),
            Profile(0, f"site-{number}"),
        )
        for number in range(3)
    ]
    made = installation.catalogue.sites.create_all(new)
    return [queue_run(installation, site.profile_id).id for site in made]


def states(installation: Installation) -> list[str]:
    return sorted(run.state for run in installation.catalogue.remote_runs.newest())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come so far in time"
        time.sleep(0.1)


def test_a_worker_that_drains_ends_what_it_does_and_takes_nothing_new(
    installation: Installation, servers: Servers, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    hold(servers)
    queue(installation, servers)
    worker = start()
    wait_until(lambda: states(installation) == ["running", "running", "waiting"])
    draining = subprocess.Popen(command(installation.home.path, "--drain"), stderr=subprocess.PIPE, text=True)
    assert draining.stderr is not None
    assert draining.stderr.readline() == "2 backups under way.\n"
    hold(servers, fault="")
    said = draining.communicate(timeout=PATIENCE_SECONDS)[1].splitlines()
    assert said[-1] == "Nothing is under way any more: the workers can be ended."
    assert states(installation) == ["done", "done", "waiting"]
    assert worker.poll() is None
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    start()  # it has the name of the one that drained, and takes what waits
    wait_until(lambda: states(installation) == ["done"] * 3)


def test_what_a_worker_does_that_is_ended_another_goes_on_with(
    installation: Installation, servers: Servers, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    hold(servers)
    queue(installation, servers)
    before, _ = servers.counts()
    first = start()
    wait_until(lambda: sum("record" in run.checkpoint for run in installation.catalogue.remote_runs.newest()) == 2)
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_SECONDS) == 0
    assert states(installation) == ["waiting"] * 3
    hold(servers, fault="")
    start()
    wait_until(lambda: states(installation) == ["done"] * 3)
    after, _ = servers.counts()
    assert [after[number]["started"] - before[number]["started"] for number in range(3)] == [1, 1, 1]
    assert max(run.attempts for run in installation.catalogue.remote_runs.newest()) == 2
