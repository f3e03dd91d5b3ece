"""Which backups of remote sites a worker may begin now, and in which order: a pure function over plain facts."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

AGEING: Final = timedelta(minutes=15)
"""A run that has waited for so long counts as if its priority were higher by one, so that each begins some time."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that nobody performs.

    Attributes:
        id: its number.
        host: key of the limit of runs at one time.
        group: of its site; empty: none, which counts as a group.
        per_host: as many runs the group allows at one host at the same time.
        priority: a higher one goes first.
        created: moment since which it waits.
        begun: a worker that ended had begun it; its host is busy with it still.
        not_before: moment before which it may not begin; None: it may at once.
        paused: it waits until its site is resumed.
    """

    id: int
    host: str
    group: str
    per_host: int
    priority: int
    created: datetime
    begun: bool = False
    not_before: datetime | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A run that a worker performs; the attributes are those of ``Waiting``."""

    host: str
    group: str
    per_host: int


class _Host:
    """The runs at one host; it takes one more where all their groups allow that."""

    def __init__(self) -> None:
        self.count = 0
        self.least: int | None = None
        self.closed = False

    def add(self, per_host: int) -> None:
        self.count += 1
        self.least = per_host if self.least is None else min(self.least, per_host)

    def takes(self, per_host: int) -> bool:
        least = per_host if self.least is None else min(self.least, per_host)
        return not self.closed and self.count < least


def admit(waiting: Iterable[Waiting], running: Iterable[Running], *, free: int, now: datetime) -> list[int]:
    """Return the runs that a worker may begin, in their order.

    What was begun before goes first. Then those of the highest priority, which grows while they wait; among equals the
    group with the fewest runs under way has the next turn, and in it the run that has waited longest. Where the one
    whose turn it is finds its host busy, no later one begins there: so the host becomes free for it.

    Args:
        waiting: all runs that nobody performs.
        running: all that any worker performs.
        free: as many this worker can take.
        now: this moment.
    """
    if free <= 0:
        return []
    hosts: defaultdict[str, _Host] = defaultdict(_Host)
    groups: Counter[str] = Counter()
    ready = [run for run in waiting if _is_ready(run, now)]
    busy: list[Waiting | Running] = [*running, *(run for run in ready if run.begun)]
    for one in busy:
        hosts[one.host].add(one.per_host)
        groups[one.group] += 1
    begun = [run.id for run in sorted(ready, key=lambda run: (run.created, run.id)) if run.begun]
    admitted = begun[:free]
    fresh = sorted((run for run in ready if not run.begun), key=lambda run: (-_rank(run, now), run.created, run.id))
    for _, equals in groupby(fresh, key=lambda run: _rank(run, now)):
        if len(admitted) == free:
            break
        admitted += _taken_in_turn(equals, hosts, groups, free - len(admitted))
    return admitted


def _taken_in_turn(
    equals: Iterable[Waiting], hosts: defaultdict[str, _Host], groups: Counter[str], free: int
) -> list[int]:
    """Return which of those of one rank begin, noted in the hosts and groups."""
    queues: defaultdict[str, deque[Waiting]] = defaultdict(deque)
    for run in equals:
        queues[run.group].append(run)
    turns = [(groups[group], queue[0].created, queue[0].id, group) for group, queue in queues.items()]
    heapq.heapify(turns)
    taken: list[int] = []
    while turns and len(taken) < free:
        group = heapq.heappop(turns)[-1]
        run = queues[group].popleft()
        host = hosts[run.host]
        if host.takes(run.per_host):
            host.add(run.per_host)
            groups[group] += 1
            taken.append(run.id)
        else:
            host.closed = True
        if queues[group]:
            following = queues[group][0]
            heapq.heappush(turns, (groups[group], following.created, following.id, group))
    return taken


def _is_ready(run: Waiting, now: datetime) -> bool:
    """Return whether a run may begin as far as its site is concerned; what was begun is brought to its end."""
    return run.begun or not (run.paused or (run.not_before is not None and run.not_before > now))


def _rank(run: Waiting, now: datetime) -> int:
    return run.priority + max(0, (now - run.created) // AGEING)
