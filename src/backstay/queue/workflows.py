"""What is done by itself: the look once a minute, the runs of schedules, and deliveries.

A workflow is a few steps; each is noted when it is done, and one that was not finished is done again, by this process
or another. So a step either does a thing that doing twice does not change, or looks first whether it was done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final, TypeVar

from dbos import DBOS, EnqueueOptions

from backstay.fleet.worker import now
from backstay.jobs import alarms, notifications, repository_proofs
from backstay.jobs.installation import Installation
from backstay.jobs.waiting import resume_unfinished
from backstay.queue import members, runs

_RUNS: Final = "runs"
_PROOFS: Final = "proofs"
_DELIVERIES: Final = "deliveries"
_DELIVERIES_AT_ONCE: Final = 4
_KEPT: Final = timedelta(days=1)
_FORGOTTEN_AT_ONCE: Final = 2000
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_LEASE_SECONDS: Final = 0.5

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class _Stopping(BaseException):
    """This process ends: not an error of the workflow, which is to go on elsewhere from the step it is in."""


class _Process:
    """The one installation that the workflows of this process work for; the library keeps one queue a process, too."""

    installation: Installation | None = None
    stopping = Event()
    may_begin: Callable[[], bool] = staticmethod(lambda: True)
    takes_runs: Callable[[], bool] = staticmethod(lambda: True)
    clock: Callable[[], datetime] = staticmethod(now)


def begin(
    installation: Installation,
    may_begin: Callable[[], bool],
    takes_runs: Callable[[], bool],
    clock: Callable[[], datetime],
) -> None:
    """Let the workflows of this process work for an installation.

    Args:
        installation: whose.
        may_begin: whether a step may begin at this moment; it waits where it may not.
        takes_runs: whether runs of schedules may begin at this moment; else they wait, and all other work is done.
        clock: returns this moment, for what is due.
    """
    _Process.installation = installation
    _Process.may_begin = staticmethod(may_begin)
    _Process.takes_runs = staticmethod(takes_runs)
    _Process.clock = staticmethod(clock)
    # A new one: what was begun before stays asked to end.
    _Process.stopping = Event()


def end() -> None:
    """Ask all steps under way to end soon."""
    _Process.stopping.set()


def queues(machine: str) -> list[str]:
    """Return the queues from which the workers of a machine take; what is for any machine is in the same for all."""
    return [_RUNS, _PROOFS, _DELIVERIES, *([_of(_RUNS, machine), _of(_PROOFS, machine)] if machine else [])]


def _of(queue: str, machine: str) -> str:
    return f"{queue}@{machine}" if machine else queue


def declare(installation: Installation, look_seconds: float) -> None:
    """Declare the queues and the look once a minute; the first look is at once.

    Args:
        installation: whose.
        look_seconds: seconds between two looks into a queue.
    """
    at_once, machine = installation.configuration.jobs.maximum_running, installation.catalogue.machine
    for queue in dict.fromkeys((_RUNS, _of(_RUNS, machine))):
        DBOS.register_queue(
            queue, partition_concurrency=1, worker_concurrency=max(4, 2 * at_once), polling_interval_sec=look_seconds
        )
    # Beside the backups, so that a proof of hours keeps none of them waiting.
    for queue in dict.fromkeys((_PROOFS, _of(_PROOFS, machine))):
        DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=look_seconds)
    DBOS.register_queue(_DELIVERIES, worker_concurrency=_DELIVERIES_AT_ONCE, polling_interval_sec=look_seconds)
    DBOS.apply_schedules(
        [
            {
                "schedule_name": "minute",
                "workflow_fn": minute,
                "schedule": "* * * * *",
                "context": None,
            }
        ]
    )
    DBOS.start_workflow(minute, datetime.now(UTC), None)


@DBOS.workflow(name="minute")
def minute(due: datetime, context: Any) -> None:
    """Look once for everything that is to be done by itself."""
    del context
    _attempt(_take_over)
    _attempt(_resume_backups)
    for run in _attempt(_due_runs) or ():
        workflow_id = f"run-{run['schedule']}-{run['due']}"
        if run["what"] == "backup":
            queue = _of(_RUNS, run["machine"])
            _enqueue(queue, "run", workflow_id, run["id"], partition=f"profile-{run['profile']}")
        else:
            _enqueue(_of(_PROOFS, run["machine"]), "run", workflow_id, run["id"])
    _attempt(_prove_repositories)
    _attempt(_check_alarms)
    for number in _attempt(_due_deliveries) or ():
        _enqueue(_DELIVERIES, "deliver", f"delivery-{number}-{due.isoformat()}", number)
    _attempt(_forget)


@DBOS.workflow(name="run")
def run(run_id: int) -> None:
    """Do one run of a schedule; it waits while another backup of its profile runs, and where the worker drains."""
    pause = _FIRST_PAUSE
    while not _begin_run(run_id):
        DBOS.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    _finish_run(run_id)


@DBOS.workflow(name="deliver")
def deliver(delivery_id: int) -> None:
    """Try once to deliver one notification; what fails is due again later."""
    _deliver(delivery_id)


def _enqueue(queue: str, workflow: str, workflow_id: str, number: int, *, partition: str = "") -> None:
    """Queue a workflow under an id that makes it exactly one, however often it is queued."""
    options: EnqueueOptions = {"workflow_name": workflow, "queue_name": queue, "workflow_id": workflow_id}
    if partition:
        options["queue_partition_key"] = partition
    DBOS.enqueue_workflow_with_options(options, number)


def _attempt(step: Callable[[], _Result]) -> _Result | None:
    """Do a step of the look; one that fails is logged, and does not keep the others from being done."""
    try:
        return step()
    except Exception:  # noqa: BLE001 - whatever it is, the rest is to be done
        if _Process.stopping.is_set():
            raise _Stopping from None
        _log.exception("What is done once a minute failed in %s", getattr(step, "__name__", step))
        return None


@DBOS.step()
def _take_over() -> None:
    """Queue again what processes that died had begun."""
    installation = _installation()
    if installation.catalogue.is_shared:
        return  # whoever keeps the lease of a process looks every few seconds
    home = installation.home
    begun = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    for workflow in begun:
        if workflow.executor_id and not members.lives(home, workflow.executor_id):
            _log.warning("%s is taken over from a process that ended", workflow.workflow_id)
            DBOS.resume_workflow(workflow.workflow_id, queue_name=workflow.queue_name)


@DBOS.step()
def _resume_backups() -> None:
    resume_unfinished(_installation())


@DBOS.step()
def _due_runs() -> list[dict[str, Any]]:
    return runs.due(_installation(), _Process.clock())


@DBOS.step()
def _begin_run(run_id: int) -> bool:
    return _Process.takes_runs() and runs.begin(_installation(), run_id, _Process.clock())


@DBOS.step()
def _finish_run(run_id: int) -> None:
    installation, stopping = _installation(), _Process.stopping
    runs.finish(installation, run_id, now=_Process.clock, wait=lambda seconds: _wait(stopping, seconds))


@DBOS.step()
def _prove_repositories() -> None:
    repository_proofs.begin_due(_installation(), _Process.clock())


@DBOS.step()
def _check_alarms() -> None:
    alarms.check(_installation(), _Process.clock())


@DBOS.step()
def _due_deliveries() -> list[int]:
    return notifications.due(_installation(), _Process.clock())


@DBOS.step()
def _deliver(delivery_id: int) -> None:
    notifications.deliver(_installation(), delivery_id, _Process.clock())


@DBOS.step()
def _forget() -> None:
    """Delete what ended a day ago: runs, alarms and deliveries have their own records."""
    before = (datetime.now(UTC) - _KEPT).isoformat()
    ended = DBOS.list_workflows(completed_before=before, limit=_FORGOTTEN_AT_ONCE, load_input=False, load_output=False)
    if ended:
        DBOS.delete_workflows([workflow.workflow_id for workflow in ended])


def _wait(stopping: Event, seconds: float) -> None:
    """Wait, or leave the step where this process ends."""
    if stopping.wait(seconds):
        raise _Stopping


def _installation() -> Installation:
    """Return the installation for a step that begins, as soon as it may."""
    while not _Process.stopping.is_set() and _Process.installation is not None:
        if _Process.may_begin():
            return _Process.installation
        _Process.stopping.wait(_LEASE_SECONDS)
    raise _Stopping
