"""Which runs begin: compared with a model that looks at one run after the other, and played over a night."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.fleet.admission import AGEING, Running, Waiting, admit

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
PER_HOST = {"": 2, "clients": 1, "shop": 3, "own": 9}
HOSTS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


@st.composite
def waiting_runs(draw: st.DrawFn) -> list[Waiting]:
    """Runs that wait, of some groups, at some hosts."""
    made = []
    for number in range(draw(st.integers(0, 12))):
        group = draw(st.sampled_from(sorted(PER_HOST)))
        made.append(
            Waiting(
                number,
                draw(st.sampled_from(HOSTS)),
                group,
                PER_HOST[group],
                draw(st.integers(-1, 2)),
                NOW - timedelta(minutes=draw(st.integers(-1, 40))),
                begun=draw(st.sampled_from((False, False, False, True))),
                not_before=draw(st.sampled_from((None, None, NOW, NOW + timedelta(seconds=1)))),
                paused=draw(st.sampled_from((False, False, True))),
            )
        )
    return made


@st.composite
def running_runs(draw: st.DrawFn) -> list[Running]:
    """Runs under way, never more at a host than their groups allow."""
    made: list[Running] = []
    for group in draw(st.lists(st.sampled_from(sorted(PER_HOST)), max_size=5)):
        one = Running(draw(st.sampled_from(HOSTS)), group, PER_HOST[group])
        if within_limits([*made, one]):
            made.append(one)
    return made


def within_limits(runs: list[Running]) -> bool:
    """Whether no host has more runs than each of them allows."""
    counts = Counter(run.host for run in runs)
    return all(counts[run.host] <= run.per_host for run in runs)


def as_running(run: Waiting) -> Running:
    return Running(run.host, run.group, run.per_host)


def model(waiting: list[Waiting], running: list[Running], free: int) -> list[int]:
    """Take one run after the other as the rules say, each time looking at all of them anew."""
    left = [run for run in waiting if run.begun]
    begun = sorted(left, key=lambda run: (run.created, run.id))
    taken = [run.id for run in begun[:free]]
    busy = running + [as_running(run) for run in begun]
    left = [
        run for run in waiting if not (run.begun or run.paused) and (run.not_before is None or run.not_before <= NOW)
    ]
    closed: set[str] = set()
    while left and len(taken) < free:
        counts = Counter(run.group for run in busy)

        def order(run: Waiting, counts: Counter[str] = counts) -> tuple[int, int, datetime, int]:
            age = max(0, int((NOW - run.created) / AGEING))
            return -(run.priority + age), counts[run.group], run.created, run.id

        turn = min(left, key=order)
        left.remove(turn)
        if turn.host not in closed and fits(turn, busy):
            busy.append(as_running(turn))
            taken.append(turn.id)
        else:
            closed.add(turn.host)
    return taken


def fits(run: Waiting, busy: list[Running]) -> bool:
    there = [one for one in busy if one.host == run.host]
    return len(there) < min([run.per_host, *(one.per_host for one in there)])


@given(waiting_runs(), running_runs(), st.integers(0, 6))
def test_the_same_runs_begin_as_in_a_plain_model(waiting: list[Waiting], running: list[Running], free: int) -> None:
    assert admit(waiting, running, free=free, now=NOW) == model(waiting, running, free)


@given(waiting_runs(), running_runs(), st.integers(0, 6))
def test_no_limit_is_ever_passed(waiting: list[Waiting], running: list[Running], free: int) -> None:
    taken = admit(waiting, running, free=free, now=NOW)
    assert len(taken) == len(set(taken)) <= free
    of = {run.id: run for run in waiting}
    fresh = [of[number] for number in taken if not of[number].begun]
    busy = [*running, *(as_running(run) for run in waiting if run.begun)]
    all_at_once = [*busy, *(as_running(run) for run in fresh)]
    counts = Counter(run.host for run in all_at_once)
    for run in fresh:  # what was begun under other limits may be more than these allow: then nothing is added
        assert counts[run.host] <= min(one.per_host for one in all_at_once if one.host == run.host)
        assert not run.paused
        assert run.not_before is None or run.not_before <= NOW


@given(waiting_runs(), running_runs())
def test_a_worker_with_room_leaves_no_host_idle(waiting: list[Waiting], running: list[Running]) -> None:
    taken = set(admit(waiting, running, free=100, now=NOW))
    busy = {run.host for run in running}
    may = [run for run in waiting if run.begun or not (run.paused or (run.not_before and run.not_before > NOW))]
    assert {run.host for run in may} <= busy | {run.host for run in waiting if run.id in taken}


def fresh(number: int, host: str, group: str = "", priority: int = 0, waited: float = 0) -> Waiting:
    """A run that has waited for so many minutes."""
    return Waiting(number, host, group, PER_HOST[group], priority, NOW - timedelta(minutes=waited))


def test_groups_take_turns_however_many_sites_one_has() -> None:
    many = [fresh(number, f"a{number}", "own", waited=10) for number in range(100)]
    few = [fresh(1000 + number, f"b{number}", "shop", waited=1) for number in range(2)]
    assert admit(many + few, [], free=5, now=NOW) == [0, 1000, 1, 1001, 2]
    busy = [Running("c", "own", 9), Running("d", "own", 9)]
    assert admit(many + few, busy, free=3, now=NOW) == [1000, 1001, 0]


def test_a_higher_priority_goes_first_until_the_other_has_waited_for_long() -> None:
    urgent, plain = fresh(1, "a", priority=2), fresh(2, "b")
    assert admit([plain, urgent], [], free=1, now=NOW) == [1]
    aged = replace(plain, created=NOW - 3 * AGEING)
    assert admit([urgent, aged], [], free=1, now=NOW) == [2]


def test_a_site_that_is_paused_or_put_off_holds_up_nobody() -> None:
    paused = replace(fresh(1, "a", waited=60), paused=True)
    put_off = replace(fresh(2, "a", waited=60), not_before=NOW + timedelta(minutes=1))
    assert admit([paused, put_off, fresh(3, "a")], [], free=9, now=NOW) == [3]
    assert admit([put_off], [], free=9, now=NOW + timedelta(minutes=1)) == [2]


def test_what_a_dead_worker_had_begun_keeps_its_place_at_the_host() -> None:
    begun = replace(fresh(9, "a", "clients"), begun=True, paused=True)
    others = [fresh(number, "a", "clients", waited=50) for number in range(3)]
    assert admit([*others, begun], [], free=9, now=NOW) == [9]
    assert admit([*others, begun], [], free=0, now=NOW) == []
    assert admit(others, [], free=9, now=NOW) == [0]


@dataclass
class Night:
    """Some workers and sites over a night, minute by minute."""

    now: datetime = NOW
    waiting: dict[int, Waiting] = field(default_factory=dict)
    running: dict[int, tuple[int, datetime, Waiting]] = field(default_factory=dict)
    begun_after: dict[int, timedelta] = field(default_factory=dict)

    def arrive(self, run: Waiting) -> None:
        self.waiting[run.id] = replace(run, created=self.now)

    def pass_a_minute(self, workers: int, per_worker: int, minutes_of: dict[str, int]) -> None:
        self.now += timedelta(minutes=1)
        self.running = {number: one for number, one in self.running.items() if one[1] > self.now}
        for worker in range(workers):
            held = sum(holder == worker for holder, _, _ in self.running.values())
            busy = [as_running(run) for _, _, run in self.running.values()]
            for number in admit(self.waiting.values(), busy, free=per_worker - held, now=self.now):
                run = self.waiting.pop(number)
                self.begun_after[number] = self.now - run.created
                self.running[number] = worker, self.now + timedelta(minutes=minutes_of[run.group]), run
            assert sum(holder == worker for holder, _, _ in self.running.values()) <= per_worker
        assert within_limits([as_running(run) for _, _, run in self.running.values()])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(sorted(PER_HOST)), st.sampled_from(HOSTS)), min_size=1, max_size=4))
def test_no_run_starves_while_urgent_ones_keep_coming(stream: list[tuple[str, str]]) -> None:
    night = Night()
    plain = Waiting(-1, HOSTS[0], "clients", PER_HOST["clients"], 0, NOW)
    night.arrive(plain)
    for minute in range(100):
        for number, (group, host) in enumerate(stream):
            night.arrive(Waiting(minute * 100 + number, host, group, PER_HOST[group], 3, NOW))
        night.pass_a_minute(2, 2, {"": 1, "clients": 2, "shop": 3, "own": 5})
        if -1 in night.begun_after:
            break
    # Three steps of ageing make up for a priority of three: none that came after a fourth is ahead of it at its host.
    ahead = [number for number in night.begun_after if number >= 0 and HOSTS[0] == stream[number % 100][1]]
    assert max(ahead, default=0) // 100 * timedelta(minutes=1) <= 4 * AGEING


def test_a_host_on_which_many_groups_share_serves_the_strictest_too() -> None:
    night = Night()
    night.arrive(Waiting(-1, HOSTS[0], "clients", 1, 0, NOW))
    for minute in range(60):
        night.arrive(Waiting(minute, HOSTS[0], "own", 9, 0, NOW))
        night.pass_a_minute(3, 4, {"clients": 1, "own": 20})
    assert -1 in night.begun_after
