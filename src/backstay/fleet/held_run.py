"""A run that a worker holds: its checkpoint, what is told of it, and the moments at which it must be let go.

Everything that is written names the holder. A worker whose run was given to another learns of it at its next write, or
sooner from ``may_go_on``, and does nothing more, neither here nor on the server.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Final, TypeVar

from backstay.catalogue import RemoteRun
from backstay.engine import Progress
from backstay.errors import ConnectionFailedError, ProtocolError
from backstay.jobs import report
from backstay.jobs.installation import Installation

R = TypeVar("R")

PATIENCE_SECONDS: float = 900.0
"""For so long a server that cannot be reached is asked again, once the backup has begun there."""
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 60.0
_CHECK_SECONDS: Final = 0.2
_SHOWN_SECONDS: Final = 0.2
_ROW_SECONDS: Final = 2.0


class LostRunError(Exception):
    """The run is another worker's, or has ended: nothing of it may be touched any more."""


class LeftRunError(Exception):
    """The worker is to stop: the run stays where it is for another."""


class CancelledRunError(Exception):
    """Somebody asked for the end of the run."""


class HeldRun:
    """One run in the hands of a worker.

    Args:
        installation: whose.
        run: as it was claimed.
        may_go_on: whether the run is this worker's still, as far as that is known without asking the catalogue.
        stopping: set when the worker is to stop.
    """

    def __init__(
        self, installation: Installation, run: RemoteRun, may_go_on: Callable[[], bool], stopping: Event
    ) -> None:
        self.installation = installation
        self.id = run.id
        self.holder = run.holder
        self.checkpoint: dict[str, Any] = dict(run.checkpoint)
        self.folder: Path | None = None
        self._may_go_on = may_go_on
        self._stopping = stopping
        self._cancelled = run.cancelled
        self._checked = self._shown = self._written = 0.0

    def save(self, **changes: Any) -> None:
        """Write down what was reached, on disk when the call returns.

        Raises:
            LostRunError: the run is not this worker's.
        """
        if not self._may_go_on():
            raise LostRunError
        self.checkpoint = {**self.checkpoint, **changes}
        if not self.installation.catalogue.remote_runs.save(self.id, self.holder, checkpoint=self.checkpoint):
            raise LostRunError

    def check(self) -> bool:
        """Raise where the run must be let go; called often, and returns False else.

        Raises:
            LostRunError: it is another's.
            LeftRunError: the worker is to stop.
            CancelledRunError: it is to end.
        """
        now = time.monotonic()
        if now - self._checked >= _CHECK_SECONDS:
            self._checked = now
            if not self._may_go_on():
                raise LostRunError
            if self._stopping.is_set():
                raise LeftRunError
        if now - self._written >= _ROW_SECONDS:
            self._written = now
            self._look()
        if self._cancelled:
            raise CancelledRunError
        return False

    def _look(self) -> None:
        run = self.installation.catalogue.remote_runs.find(self.id)
        if run is None or run.holder != self.holder or run.ended is not None:
            raise LostRunError
        self._cancelled = run.cancelled

    def show(self, progress: Progress) -> None:
        """Tell how far it is, to whoever looks on; and ``check``.

        Raises:
            LostRunError: the run is not this worker's.
        """
        now = time.monotonic()
        if self.folder is not None and now - self._shown >= _SHOWN_SECONDS:
            self._shown = now
            with contextlib.suppress(OSError):
                report.publish(self.folder, progress)
        if now - self._written >= _ROW_SECONDS:
            values = {**asdict(progress), "at": datetime.now(UTC).isoformat()}
            if not self.installation.catalogue.remote_runs.save(self.id, self.holder, progress=values):
                raise LostRunError
        self.check()

    def wait(self, seconds: float) -> None:
        """Wait, and ``check`` meanwhile."""
        deadline = time.monotonic() + seconds
        self.check()
        while (left := deadline - time.monotonic()) > 0:
            self._stopping.wait(min(left, _CHECK_SECONDS))
            self.check()

    def patiently(self, action: Callable[[], R]) -> R:
        """Return what an action returns, done again while its server cannot be reached or answers with web pages.

        Raises:
            ConnectionFailedError, ProtocolError: that went on for ``PATIENCE_SECONDS``.
        """
        begun, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return action()
            except (ConnectionFailedError, ProtocolError):
                if time.monotonic() - begun + pause > PATIENCE_SECONDS:
                    raise
            self.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
