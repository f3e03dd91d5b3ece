"""Running the queue in this process: DBOS over a SQLite file in the home, or in the database of a shared catalogue."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstay.catalogue import PATIENT_SECONDS, Home
from backstay.catalogue.location import catalogue_url
from backstay.errors import BackstayError
from backstay.fleet.worker import RemoteWorker, now
from backstay.jobs.installation import Installation
from backstay.queue import draining, members
from backstay.queue.remote import perform

if TYPE_CHECKING:
    from backstay.queue.leases import Lease

# Workflows of one version are not gone on with by a program of another: to be changed with the shape of a workflow.
_WORKFLOWS = "1"
# Seconds between two looks: a run begins that much later at most, and a process at rest costs so little.
_LOOK_SECONDS = 10.0
# Seconds between two looks at what is this machine's alone, where several share a catalogue.
_OWN_SECONDS = 60.0
_SCHEMA = "backstay_queue"
_CONNECTIONS = 5

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def running(installation: Installation, clock: Callable[[], datetime] = now) -> Iterator[None]:
    """Work on the queue in threads of this process, from a moment after the beginning to the end of the block.

    The queue is started in the background, for it takes half a second. What is not finished at the end is gone on with
    by another process over the same catalogue, or by the next.

    Args:
        installation: whose.
        clock: returns this moment, for what is due.
    """
    kind = _SharedQueue if installation.catalogue.is_shared else _OwnQueue
    queue = kind(installation, clock)
    starting = threading.Thread(target=queue.start, name="queue-start", daemon=True)
    starting.start()
    try:
        yield
    finally:
        starting.join()
        queue.stop()


class _OwnQueue:
    """The queue of a home, whose processes lock files."""

    def __init__(self, installation: Installation, clock: Callable[[], datetime]) -> None:
        self._installation = installation
        self._clock = clock
        self._member: members.Member | None = None
        self._remote: RemoteWorker | None = None

    def start(self) -> None:
        try:
            self._member = members.join(self._installation.home)
            database = {"system_database_url": f"sqlite:///{_database(self._installation.home)}"}
            name, home = self._member.name, self._installation.home
            takes_runs = draining.begin(home, name)
            _launch(self._installation, database, name, takes_runs=takes_runs, clock=self._clock)
            living = partial(members.names, home)
            self._remote = RemoteWorker(
                self._installation, name, living, perform, takes_runs=takes_runs, clock=self._clock
            )
            self._remote.start()
        except Exception:  # noqa: BLE001 - a server that can't do scheduled work still answers
            _log.exception("The queue could not be started: nothing is done by itself")

    def stop(self) -> None:
        if self._remote is not None:
            self._remote.stop()
        _end()
        if self._member is not None:
            self._member.leave()


class _SharedQueue:
    """The queue of machines that share a catalogue, whose processes have leases there."""

    def __init__(self, installation: Installation, clock: Callable[[], datetime]) -> None:
        self._installation = installation
        self._clock = clock
        self._ending = threading.Event()
        self._patient = installation.patient(PATIENT_SECONDS, self._ending.is_set)
        self._lease: Lease | None = None
        self._remote: RemoteWorker | None = None
        self._keeping: list[threading.Thread] = []

    def start(self) -> None:
        for work, name in ((self._keep, "lease"), (self._look_here, "look-here")):
            thread = threading.Thread(target=work, name=f"queue-{name}", daemon=True)
            thread.start()
            self._keeping.append(thread)

    def stop(self) -> None:
        self._ending.set()
        for thread in self._keeping:
            thread.join()
        self._close()

    def _open(self) -> None:
        from backstay.catalogue import postgresql
        from backstay.queue.leases import Lease

        self._lease = lease = Lease(self._installation.catalogue)
        takes_runs = draining.begin(self._installation.home, lease.name)
        database = {
            "system_database_url": postgresql.driver_url(catalogue_url(self._installation.home)),
            "dbos_system_schema": _SCHEMA,
            "use_listen_notify": False,
            "sys_db_pool_size": _CONNECTIONS,
        }
        try:
            _launch(
                self._patient, database, lease.name, takes_runs=takes_runs, clock=self._clock, may_begin=lease.holds
            )
            self._remote = RemoteWorker(
                self._patient,
                lease.name,
                lease.living,
                perform,
                takes_runs=takes_runs,
                may_go_on=lease.holds,
                clock=self._clock,
            )
            self._remote.start()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._remote is not None:
            self._remote.stop()
            self._remote = None
        _end()
        if self._lease is not None:
            with contextlib.suppress(BackstayError):
                self._lease.leave()
            self._lease = None

    def _keep(self) -> None:
        """Work under a lease; where it was lost, begin anew under another."""
        from backstay.queue.leases import RENEW_SECONDS

        while not self._ending.wait(RENEW_SECONDS if self._lease else 0.0):
            try:
                if self._lease is None:
                    self._open()
                elif self._lease.renew():
                    self._lease.take_over()
                else:
                    _log.warning("This worker was cut off and lost its lease: it begins anew")
                    self._close()
            except BackstayError as error:
                _log.warning("%s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _log.exception("The queue could not be worked on: it is tried again")
            if self._lease is None:
                self._ending.wait(RENEW_SECONDS)

    def _look_here(self) -> None:
        """Do once a minute what no other machine can do for this one."""
        from backstay.jobs.alarms import look_again
        from backstay.jobs.waiting import resume_unfinished

        while not self._ending.is_set():
            try:
                resume_unfinished(self._patient)
                look_again(self._patient, self._clock())
            except BackstayError as error:
                _log.warning("%s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is done again in a minute
                _log.exception("What is done once a minute on this machine failed")
            self._ending.wait(_OWN_SECONDS)


def _launch(
    installation: Installation,
    database: dict[str, Any],
    name: str,
    *,
    takes_runs: Callable[[], bool],
    clock: Callable[[], datetime],
    may_begin: Callable[[], bool] = lambda: True,
) -> None:
    """Begin to work on a queue.

    Args:
        installation: for which.
        database: where the queue is, as settings of the library.
        name: of this process.
        takes_runs: see ``workflows.begin``.
        clock: the same.
        may_begin: the same.
    """
    # Imported here because it takes half a second, which nobody is to wait for.
    from dbos import DBOS

    from backstay.queue import polling, workflows
    from backstay.queue.serializer import JsonSerializer

    _log_as_everything_else()
    DBOS(
        config={
            "name": "backstay",
            "application_version": _WORKFLOWS,
            "executor_id": name,
            "serializer": JsonSerializer(),
            "log_level": "WARNING",
            **database,  # type: ignore[typeddict-item]  # where it is comes as plain data
        }
    )
    polling.before_launch(_LOOK_SECONDS)
    workflows.begin(installation, may_begin, takes_runs, clock)
    DBOS.listen_queues(workflows.queues(installation.catalogue.machine))
    DBOS.launch()
    workflows.declare(installation, look_seconds=_LOOK_SECONDS)
    polling.after_declaring()


def _end() -> None:
    from dbos import DBOS

    from backstay.queue import workflows

    workflows.end()
    DBOS.destroy()


def _database(home: Home) -> Path:
    """Return the queue's database, made private to its user where it is missing.

    In WAL mode, which stays with the file, those who look don't hold up those who write.
    """
    home.queue.mkdir(mode=0o700, exist_ok=True)
    path = home.queue / "queue.sqlite"
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def _log_as_everything_else() -> None:
    """Send the library's log where Backstay's goes: it adds a handler of its own where it finds none."""
    log = logging.getLogger("dbos")
    log.handlers = [logging.NullHandler()]
    log.propagate = True
    log.setLevel(logging.WARNING)
