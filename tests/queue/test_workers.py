"""The queue as a user runs it: workers and servers over one home, killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import get_backup
from backstay.jobs.schedules import add_schedule, run_now
from backstay.queue import members
from support.backups import make_files, take

PATIENCE_SECONDS = 200.0


@contextmanager
def processes(home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Give a function that starts a command over a home; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        with (home.parent / "output.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "backstay", *command, "--home", str(home)], stdout=log, stderr=log
            )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come so far in time"
        time.sleep(0.1)


def make_runs(installation: Installation, tmp_path: Path, count: int) -> list[int]:
    """Make runs that are due now, each of a site of its own; return their numbers."""
    numbers = []
    for number in range(count):
        profile = profile_of_site(installation, make_files(tmp_path / f"site-{number}", count=5), "none")
        schedule = add_schedule(installation, profile.id, at="@yearly", now=datetime.now(UTC))
        numbers.append(run_now(installation, schedule.id, datetime.now(UTC)).id)
    return numbers


def states(installation: Installation, numbers: list[int]) -> Counter[str]:
    found = (installation.catalogue.runs.get(number) for number in numbers)
    return Counter(run.state for run in found if run is not None)


def test_a_worker_does_what_waits_and_ends_when_it_is_told_to(installation: Installation, tmp_path: Path) -> None:
    numbers = make_runs(installation, tmp_path, 3)
    proven = take(installation, make_files(tmp_path / "proven", count=5))
    schedule = add_schedule(installation, proven.profile_id, at="@yearly", now=datetime.now(UTC), what="verify")
    numbers.append(run_now(installation, schedule.id, datetime.now(UTC)).id)
    with processes(installation.home.path) as start:
        worker = start("worker")
        wait_until(lambda: states(installation, numbers)["done"] == 4)
        assert members.anyone_lives(installation)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_SECONDS) == 0
    assert not members.anyone_lives(installation)
    assert len(installation.catalogue.backups.newest()) == 4
    assert get_backup(installation, proven.id).proof["verifications"][""]["ok"]
    log = (tmp_path / "output.log").read_text()
    assert "Traceback" not in log
    assert oct((installation.home.queue / "queue.sqlite").stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_each_run_takes_one_backup_whenever_one_of_two_processes_is_killed(
    installation: Installation, tmp_path: Path, kills: int
) -> None:
    numbers = make_runs(installation, tmp_path, kills)
    random_source = random.Random(kills)
    with processes(installation.home.path) as start:
        commands = [("worker",), ("serve", "--port", "0")]
        running = [start(*command) for command in commands]
        for kill in range(kills):
            time.sleep(random_source.uniform(0.2, 4.0))
            victim = kill % 2
            running[victim].kill()
            running[victim].wait()
            running[victim] = start(*commands[victim])
        wait_until(lambda: states(installation, numbers)["done"] == kills)
    taken = [run.backup_id for run in map(installation.catalogue.runs.get, numbers) if run is not None]
    assert sorted(backup.id for backup in installation.catalogue.backups.newest()) == sorted(map(int, taken))  # type: ignore[arg-type]  # none is None
    assert {backup.status for backup in installation.catalogue.backups.newest()} == {"complete"}


def test_what_a_killed_process_had_begun_another_goes_on_with(installation: Installation, tmp_path: Path) -> None:
    (number,) = make_runs(installation, tmp_path, 1)
    (tmp_path / "site-0" / "noise").write_bytes(os.urandom(40_000_000))
    with processes(installation.home.path) as start:
        first = start("worker")
        wait_until(lambda: states(installation, [number])["running"] == 1)
        first.kill()
        first.wait()
        start("serve", "--port", "0")
        wait_until(lambda: states(installation, [number])["done"] == 1)
    assert len(installation.catalogue.backups.newest()) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_due_minute_has_one_backup_while_processes_are_killed_around_it(
    installation: Installation, tmp_path: Path
) -> None:
    profile = profile_of_site(installation, make_files(tmp_path / "site", count=5), "none")
    begun = datetime.now(UTC)
    schedule = add_schedule(installation, profile.id, at="* * * * *", time_zone="UTC", now=begun)
    random_source = random.Random(1)
    with processes(installation.home.path) as start:
        running = [start("worker"), start("worker")]
        for kill in range(20):
            # One kill some seconds before each due time, and one after.
            second = random_source.uniform(52, 59) if kill % 2 else random_source.uniform(0, 12)
            time.sleep((second - time.time() % 60) % 60)
            running[kill % 2].kill()
            running[kill % 2].wait()
            running[kill % 2] = start("worker")
        wait_until(lambda: not installation.catalogue.runs.waiting())
        time.sleep(15)
    found = [run for run in installation.catalogue.runs.of(schedule.id) if run.state != "running"]
    dues = sorted(run.due for run in found)
    minutes = [(due - dues[0]).total_seconds() / 60 for due in dues]
    assert minutes == list(range(len(dues)))
    assert len(dues) >= 9
    assert all(run.state == "done" for run in found), found
    assert len({run.backup_id for run in found}) == len(found)
