"""Performing runs of remote sites in threads of this process, as many at once as the settings allow."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Final, Protocol

from backstay.errors import BackstayError, DatabaseConnectionError
from backstay.fleet.dispatch import Claimed, Worker, claim_runs, put_off
from backstay.jobs.installation import Installation
from backstay.storage import free_space

LOOK_SECONDS: Final = 3.0
"""Seconds between two looks for what waits."""
LEAST_FREE: Final = 64 << 20
"""Bytes that must be free on the disk of the archives, for a worker to take a run."""
MOST_ATTEMPTS: Final = 30
"""A run that so many workers took up and none brought to its end, ends: it may be what they die of."""
_SHORTEST_PAUSE: Final = 0.3
_END_SECONDS: Final = 20.0

_log = logging.getLogger(__name__)


class Perform(Protocol):
    """What performs one run to its end, or until it is to stop."""

    def __call__(
        self,
        installation: Installation,
        remote_run_id: int,
        holder: str,
        *,
        may_go_on: Callable[[], bool],
        stopping: threading.Event,
    ) -> None:
        """Perform a run; every write names the holder."""


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


class RemoteWorker:
    """Takes runs of remote sites and performs each in a thread.

    Args:
        installation: whose; its catalogue waits for a database that is away.
        name: of this worker; no other that lives has it.
        living: returns the names of all workers that live.
        perform: performs one run.
        takes_runs: whether it may take a run at this moment.
        may_go_on: whether nobody else can have taken over what it performs.
        clock: returns this moment.
        only: numbers of the runs that it performs; None: any.
    """

    def __init__(
        self,
        installation: Installation,
        name: str,
        living: Callable[[], Collection[str]],
        perform: Perform,
        *,
        takes_runs: Callable[[], bool] = lambda: True,
        may_go_on: Callable[[], bool] = lambda: True,
        clock: Callable[[], datetime] = now,
        only: Collection[int] | None = None,
    ) -> None:
        self._installation = installation
        self._worker = Worker(name, self._holds, living)
        self._takes_runs = takes_runs
        self._may_go_on = may_go_on
        self._clock = clock
        self._only = only
        self._perform_one = perform
        self._per_worker = installation.configuration.fleet.per_worker
        self._had_space = True
        self._threads: dict[str, threading.Thread] = {}
        self._ending, self._woken = threading.Event(), threading.Event()
        self._looking = threading.Thread(target=self._look, name="remote-runs", daemon=True)

    def start(self) -> None:
        """Look for runs from now on."""
        self._looking.start()

    def wake(self) -> None:
        """Look soon: something was queued."""
        self._woken.set()

    @property
    def performing(self) -> int:
        """How many runs it performs."""
        return len(self._threads)

    def stop(self) -> None:
        """Take nothing any more, and let what is under way stop where another can go on with it.

        What has not stopped after some seconds, because a server does not answer, say, ends with the process: whoever
        goes on with it begins behind what was written down last.
        """
        self._ending.set()
        self._woken.set()
        deadline = time.monotonic() + _END_SECONDS
        for thread in (self._looking, *self._threads.copy().values()):
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _holds(self, holder: str) -> bool:
        return holder in self._threads

    def _look(self) -> None:
        while not self._ending.is_set():
            try:
                if self._takes_runs() and self._may_go_on():
                    self._begin()
            except BackstayError as error:
                _log.warning("%s", error)
            except Exception:  # noqa: BLE001 - whatever it is, it is tried again
                _log.exception("The queue of remote sites could not be looked at: it is tried again")
            self._woken.wait(LOOK_SECONDS)
            self._woken.clear()
            # What ends within a moment is one question.
            self._ending.wait(_SHORTEST_PAUSE)

    def _begin(self) -> None:
        free = self._per_worker - self.performing if self._has_space() else 0
        for claimed in claim_runs(self._installation, self._worker, free=free, now=self._clock(), only=self._only):
            thread = threading.Thread(
                target=self._perform, args=(claimed,), name=f"remote-run-{claimed.id}", daemon=True
            )
            self._threads[claimed.holder] = thread
            thread.start()

    def _has_space(self) -> bool:
        """Return whether the archive of a small site can come here; a full worker would let all that waits fail."""
        folder = self._installation.home.archives
        has = free_space(folder if folder.is_dir() else self._installation.home.path) >= LEAST_FREE
        if self._had_space and not has:
            _log.warning("The disk of %s is full: no backup of a site on another server is begun here.", folder)
        self._had_space = has
        return has

    def _perform(self, claimed: Claimed) -> None:
        try:
            self._performed(claimed)
        except DatabaseConnectionError as error:
            _log.warning("%s", error)
        except BackstayError as error:
            self._fail(claimed, str(error))
        except Exception:  # noqa: BLE001 - a fault here must not be tried for ever, nor end the worker
            _log.exception("Run %d of a remote site met a fault of the program", claimed.id)
            self._fail(claimed, "It met a fault of the program: see the log of the worker.")
        finally:
            del self._threads[claimed.holder]
            self.wake()

    def _performed(self, claimed: Claimed) -> None:
        """Perform a run; what did not end is given back, and is another's from then on."""
        table = self._installation.catalogue.remote_runs
        if table.get(claimed.id).attempts > MOST_ATTEMPTS:
            self._fail(
                claimed, f"It was taken up {MOST_ATTEMPTS} times and never came to its end: see the workers' logs."
            )
            return
        self._perform_one(
            self._installation, claimed.id, claimed.holder, may_go_on=self._may_go_on, stopping=self._ending
        )
        if table.release(claimed.id, claimed.holder):
            return
        run = table.find(claimed.id)
        # Where another has taken it over and ended it, that one counts it.
        if run is not None and run.ended is not None and self._may_go_on():
            put_off(self._installation, run, self._clock())

    def _fail(self, claimed: Claimed, message: str) -> None:
        try:
            table = self._installation.catalogue.remote_runs
            if table.end(claimed.id, claimed.holder, "failed", message, now()):
                put_off(self._installation, table.get(claimed.id), self._clock())
        except BackstayError as error:
            _log.warning("%s", error)
