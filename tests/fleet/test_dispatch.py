"""Workers that share a queue of runs: what each takes, gives back and takes over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from backstay.catalogue import Connection, Group, NewSite, Profile, Site
from backstay.errors import UsageError
from backstay.fleet.dispatch import LONGEST_PAUSE, Worker, claim_runs, pause_after, put_off
from backstay.fleet.worker import MOST_ATTEMPTS, Perform, RemoteWorker
from backstay.jobs.alarms import check
from backstay.jobs.installation import Installation
from backstay.jobs.remote_runs import cancel_run, queue_run
from backstay.jobs.schedules import add_schedule, run_now
from support.catalogues import use_database

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)], autouse=True)
def _database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the catalogue in its own file, or in a database that machines share."""
    if request.param == "postgresql":
        use_database(monkeypatch, request.getfixturevalue("postgresql_database"))


def add_sites(installation: Installation, count: int, *, host: str = "", group: str = "") -> list[Site]:
    """Add remote sites, all at one host or each at its own."""
    names = [f"site-{host}-{group}-{number}" for number in range(count)]
    new = [
        NewSite(
            Site(0, name, "remote", 0, NOW, group=group, address=f"https://{name}", host=host or name),
            Connection("secret", {}),
            Profile(0, name),
        )
        for name in names
    ]
    return installation.catalogue.sites.create_all(new)


def queue(installation: Installation, sites: list[Site]) -> list[int]:
    return [queue_run(installation, site.profile_id).id for site in sites]


def queue_of_schedule(installation: Installation, site: Site) -> int:
    """Queue a run that a schedule asked for."""
    schedule = add_schedule(installation, site.profile_id, at="@yearly", now=NOW)
    return queue_run(installation, site.profile_id, run_id=run_now(installation, schedule.id, NOW).id).id


class Team:
    """Workers by name, and what each performs; ``dead`` ones are no longer among those that live."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.performing: dict[str, str] = {}
        self.dead: set[str] = set()

    def take(self, name: str, free: int = 9, now: datetime = NOW) -> list[int]:
        """Let a worker take what it may; return the numbers."""
        worker = Worker(name, lambda holder: holder in self.performing, lambda: {"a", "b", "c"} - self.dead)
        taken = claim_runs(self.installation, worker, free=free, now=now)
        self.performing |= {one.holder: name for one in taken}
        return [one.id for one in taken]

    def die(self, name: str) -> None:
        self.dead.add(name)
        self.performing = {holder: worker for holder, worker in self.performing.items() if worker != name}


@pytest.fixture
def team(installation: Installation) -> Team:
    """Three workers."""
    return Team(installation)


def test_a_host_has_no_more_at_once_than_its_group_allows_whoever_takes_them(team: Team) -> None:
    team.installation.catalogue.groups.create(Group(0, "strict", NOW, per_host=1))
    shared = queue(team.installation, add_sites(team.installation, 3, host="192.0.2.1"))
    strict = queue(team.installation, add_sites(team.installation, 3, host="192.0.2.2", group="strict"))
    assert sorted(team.take("a", free=2) + team.take("b")) == [*shared[:2], strict[0]]
    assert team.take("c") == []
    run = team.installation.catalogue.remote_runs.get(strict[0])
    assert team.installation.catalogue.remote_runs.end(run.id, run.holder, "done", "It is done.", NOW)
    assert team.take("c") == [strict[1]]


def test_what_a_dead_worker_held_goes_first_and_keeps_its_place(team: Team) -> None:
    runs = queue(team.installation, add_sites(team.installation, 3, host="192.0.2.1"))
    assert team.take("a") == runs[:2]
    team.installation.catalogue.remote_runs.save(runs[1], holder(team, runs[1]), checkpoint={"phase": "step"})
    old = holder(team, runs[0])
    assert team.take("b") == []
    team.die("a")
    assert team.take("b", free=1) == runs[:1]
    assert team.take("c") == runs[1:2]
    assert not team.installation.catalogue.remote_runs.save(runs[0], old, progress={"x": 1})
    run = team.installation.catalogue.remote_runs.get(runs[1])
    assert (run.checkpoint, run.attempts) == ({"phase": "step"}, 2)


def test_who_takes_the_name_of_a_dead_worker_gives_back_what_that_one_held(team: Team) -> None:
    (run,) = queue(team.installation, add_sites(team.installation, 1))
    assert team.take("a") == [run]
    team.performing.clear()  # it died, and another was started that has its name
    assert team.take("b") == []
    assert team.take("a") == [run]


def holder(team: Team, number: int) -> str:
    return team.installation.catalogue.remote_runs.get(number).holder


def test_a_paused_or_failing_site_waits_unless_a_person_asks(team: Team) -> None:
    paused, failing, asked = add_sites(team.installation, 3)
    sites = team.installation.catalogue.sites
    sites.update(paused.id, paused=True)
    sites.update(failing.id, not_before=NOW + timedelta(minutes=5))
    sites.update(asked.id, paused=True, not_before=NOW + timedelta(minutes=5))
    numbers = [queue_of_schedule(team.installation, paused), queue_of_schedule(team.installation, failing)]
    (by_hand,) = queue(team.installation, [asked])
    assert team.take("a") == [by_hand]
    assert team.take("a", now=NOW + timedelta(minutes=5)) == numbers[1:]
    sites.update(paused.id, paused=False)
    assert team.take("a") == numbers[:1]


def test_a_site_that_fails_again_and_again_is_tried_less_often_until_it_succeeds(team: Team) -> None:
    (site,) = add_sites(team.installation, 1)
    table, pauses = team.installation.catalogue.remote_runs, []
    for _ in range(12):
        (run,) = queue(team.installation, [site])
        assert team.take("a") == [run]
        table.end(run, holder(team, run), "failed", "The server is silent.", NOW)
        put_off(team.installation, table.get(run), NOW)
        found = team.installation.catalogue.sites.get(site.id)
        assert found.not_before is not None
        pauses.append(found.not_before - NOW)
    assert pauses[:3] == [timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE == pause_after(10_000)
    (run,) = queue(team.installation, [site])
    team.take("a")
    table.end(run, holder(team, run), "done", "It is done.", NOW)
    put_off(team.installation, table.get(run), NOW)
    found = team.installation.catalogue.sites.get(site.id)
    assert (found.failures, found.not_before) == (0, None)


def test_the_alarm_of_a_failing_site_says_when_it_is_tried_again(team: Team) -> None:
    now = datetime.now(UTC)
    (site,) = add_sites(team.installation, 1, host="shop")
    run = queue_run(team.installation, site.profile_id, with_record=True).id
    team.take("a")
    team.installation.catalogue.sites.update(site.id, heard=now + timedelta(minutes=1))
    team.installation.catalogue.remote_runs.end(run, holder(team, run), "failed", "The disk is full.", now)
    put_off(team.installation, team.installation.catalogue.remote_runs.get(run), now)
    (opened,) = check(team.installation, now + timedelta(minutes=2))
    assert (opened.alarm.kind, opened.alarm.profile_id) == ("failed", site.profile_id)
    again = now + timedelta(minutes=5)
    assert f"'backstay backup --site {site.name}'" in opened.alarm.advice
    assert f"By itself it is not tried before {again:%Y-%m-%d %H:%M} UTC." in opened.alarm.advice


def test_two_who_ask_at_the_same_time_pass_no_limit_and_take_nothing_twice(team: Team) -> None:
    queue(team.installation, add_sites(team.installation, 12, host="192.0.2.1"))
    queue(team.installation, add_sites(team.installation, 12))
    taken: list[int] = []
    barrier = threading.Barrier(4)

    def ask(name: str) -> None:
        barrier.wait()
        worker = Worker(name, lambda holder: holder.startswith(name), lambda: {"a", "b", "c", "d"})
        taken.extend(one.id for one in claim_runs(team.installation, worker, free=4, now=NOW))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 14


class Performing:
    """Performs runs as a test tells it."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.may_end = threading.Event()

    def __call__(
        self,
        installation: Installation,
        remote_run_id: int,
        holder: str,
        *,
        may_go_on: Callable[[], bool],
        stopping: threading.Event,
    ) -> None:
        self.begun.append(remote_run_id)
        while not self.may_end.is_set():
            if stopping.wait(0.01) or not may_go_on():
                return
        installation.catalogue.remote_runs.end(remote_run_id, holder, "done", "It is done.", datetime.now(UTC))


@pytest.fixture
def workers(installation: Installation) -> Iterator[Callable[[str, Perform], RemoteWorker]]:
    """Give a function that starts a worker in this process."""
    started: list[RemoteWorker] = []

    def start(name: str, perform: Perform) -> RemoteWorker:
        worker = RemoteWorker(installation, name, lambda: {"a", "b"}, perform)
        worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come so far in time"
        time.sleep(0.02)


def states(installation: Installation) -> dict[int, str]:
    return {run.id: run.state for run in installation.catalogue.remote_runs.newest()}


def test_a_worker_performs_as_many_at_once_as_it_may_and_then_the_rest(
    installation: Installation, workers: Callable[[str, Perform], RemoteWorker]
) -> None:
    numbers = queue(installation, add_sites(installation, 10))
    performing = Performing()
    worker = workers("a", performing)
    wait_until(lambda: len(performing.begun) == 8)
    assert worker.performing == 8
    performing.may_end.set()
    wait_until(lambda: set(states(installation).values()) == {"done"})
    assert sorted(performing.begun) == numbers


def test_what_a_worker_does_when_it_is_told_to_end_another_goes_on_with(
    installation: Installation, workers: Callable[[str, Perform], RemoteWorker]
) -> None:
    (number,) = queue(installation, add_sites(installation, 1))
    first, second = Performing(), Performing()
    worker = workers("a", first)
    wait_until(lambda: first.begun == [number])
    worker.stop()
    assert states(installation) == {number: "waiting"}
    second.may_end.set()
    workers("b", second)
    wait_until(lambda: states(installation) == {number: "done"})
    assert installation.catalogue.remote_runs.get(number).attempts == 2


def test_a_fault_of_the_program_ends_the_run_and_not_the_worker(
    installation: Installation, workers: Callable[[str, Perform], RemoteWorker], caplog: pytest.LogCaptureFixture
) -> None:
    sites = add_sites(installation, 2)
    first, second = queue(installation, sites)

    def fault(installation: Installation, remote_run_id: int, holder: str, **_: object) -> None:
        if remote_run_id == first:
            raise ZeroDivisionError
        raise UsageError("The site has no server.")

    workers("a", fault)
    wait_until(lambda: set(states(installation).values()) == {"failed"})
    assert "ZeroDivisionError" in caplog.text
    assert "fault of the program" in installation.catalogue.remote_runs.get(first).message
    assert installation.catalogue.remote_runs.get(second).message == "The site has no server."
    wait_until(lambda: [installation.catalogue.sites.get(site.id).failures for site in sites] == [1, 1])


def test_a_run_that_no_worker_survives_ends(
    installation: Installation, workers: Callable[[str, Perform], RemoteWorker]
) -> None:
    (number,) = queue(installation, add_sites(installation, 1))
    table = installation.catalogue.remote_runs
    assert table.claim(number, "dead/1", NOW)
    assert table.save(number, "dead/1", attempts=MOST_ATTEMPTS)
    performing = Performing()
    workers("a", performing)
    wait_until(lambda: states(installation) == {number: "failed"})
    assert performing.begun == []
    assert "taken up 30 times" in table.get(number).message


def test_a_run_that_nobody_has_taken_ends_at_once_when_it_is_cancelled(team: Team) -> None:
    (run,) = queue(team.installation, add_sites(team.installation, 1))
    assert cancel_run(team.installation, run)
    assert states(team.installation) == {run: "cancelled"}
    assert team.take("a") == []
