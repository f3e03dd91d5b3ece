"""Taking runs of remote sites for a worker: what a dead one held is given back, and what may begin is taken.

Whoever takes does so under one lock for all workers, so that two at once pass no limit.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from backstay.catalogue import RemoteRun
from backstay.catalogue.remote_queue import OpenRun
from backstay.fleet.admission import Running, Waiting, admit
from backstay.jobs import lock
from backstay.jobs.installation import Installation

FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(days=1)
_LOCK: Final = "remote-runs"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """Who takes runs.

    Attributes:
        name: no other that lives has it.
        holds: whether it performs a run by a holder's word.
        living: returns the names of all workers that live.
    """

    name: str
    holds: Callable[[str], bool]
    living: Callable[[], Collection[str]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is a worker's now.

    Attributes:
        id: number of the run.
        holder: the word by which it is held; no other attempt has it.
    """

    id: int
    holder: str


def claim_runs(
    installation: Installation, worker: Worker, *, free: int, now: datetime, only: Collection[int] | None = None
) -> list[Claimed]:
    """Take the runs that a worker may begin now.

    Args:
        installation: whose.
        worker: who takes them.
        free: as many more it can perform.
        now: this moment, for what is put off.
        only: numbers of the runs that it is to perform; None: any.

    Returns:
        What it has taken, to be begun in this order.
    """
    found = installation.catalogue.remote_queue.open()
    waits = free > 0 and any(not run.holder for run in found)
    if not waits and not _left(found, worker):
        return []
    with _exclusive(installation):
        runs = _without_dead(installation, worker)
        claimed = []
        for number in _admitted(runs, free, now, only):
            one = Claimed(number, f"{worker.name}/{secrets.token_hex(8)}")
            if installation.catalogue.remote_runs.claim(one.id, one.holder, datetime.now(UTC)):
                claimed.append(one)
    return claimed


def put_off(installation: Installation, run: RemoteRun, now: datetime) -> None:
    """Let a site whose backups fail again and again be tried less and less often, and one that succeeds as before.

    Args:
        installation: whose.
        run: that has ended.
        now: this moment.
    """
    site = installation.catalogue.sites.get(run.site_id)
    if run.state == "failed":
        failures = site.failures + 1
        installation.catalogue.sites.update(site.id, failures=failures, not_before=now + pause_after(failures))
    elif run.state == "done" and (site.failures or site.not_before is not None):
        installation.catalogue.sites.update(site.id, failures=0, not_before=None)


def pause_after(failures: int) -> timedelta:
    """Return how long a site is not tried by itself after so many failures in a row: twice as long each time."""
    doubled = min(max(failures, 1) - 1, 16)
    return min(FIRST_PAUSE * (1 << doubled), LONGEST_PAUSE)


def _without_dead(installation: Installation, worker: Worker) -> list[OpenRun]:
    """Return the runs that have not ended; what workers held that ended is given back before."""
    found = installation.catalogue.remote_queue.open()
    left = _left(found, worker)
    for run in found:
        if run.holder in left and installation.catalogue.remote_runs.release(run.id, run.holder):
            _log.warning("Run %d is taken over from the worker %s, which ended", run.id, _name(run.holder))
    return [run._replace(holder="") if run.holder in left else run for run in found]


def _left(runs: Collection[OpenRun], worker: Worker) -> set[str]:
    """Return the holders that perform nothing any more."""
    held = {run.holder for run in runs if run.holder and not worker.holds(run.holder)}
    if not held:
        return held
    # Asked after the runs were read: whoever had taken one by then lives.
    living = set(worker.living()) - {worker.name}
    return {holder for holder in held if _name(holder) not in living}


def _admitted(runs: list[OpenRun], free: int, now: datetime, only: Collection[int] | None) -> list[int]:
    waiting = [run for run in runs if not run.holder and (only is None or run.id in only)]
    left_out = [run for run in runs if not run.holder and run.begun and only is not None and run.id not in only]
    busy = [run for run in runs if run.holder] + left_out
    return admit(
        [_waiting(run) for run in waiting],
        [Running(run.host, run.group, run.per_host) for run in busy],
        free=free,
        now=now,
    )


def _waiting(run: OpenRun) -> Waiting:
    by_itself = run.run_id is not None  # what a person asked for is neither put off nor paused
    return Waiting(
        run.id,
        run.host,
        run.group,
        run.per_host,
        run.priority,
        run.created,
        begun=run.begun is not None,
        not_before=run.not_before if by_itself else None,
        paused=run.paused and by_itself,
    )


def _name(holder: str) -> str:
    return holder.partition("/")[0]


@contextlib.contextmanager
def _exclusive(installation: Installation) -> Iterator[None]:
    """Hold the lock that all workers know."""
    if installation.catalogue.is_shared:
        with installation.catalogue.exclusive(_LOCK):
            yield
        return
    installation.home.queue.mkdir(mode=0o700, exist_ok=True)
    with lock.exclusive(installation.home.queue / f"{_LOCK}.lock"):
        yield
