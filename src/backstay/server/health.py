"""Whether the server lives, and whether it can do its work: ``/healthz`` and ``/readyz``, for whoever watches it.

Both are open to everyone, so they say no more than that, and cost no more than one look a second.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
from starlette.responses import JSONResponse, Response

from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.queue.members import anyone_lives

LEAST_SPACE = 64 << 20
"""Free bytes of the home's disk below which the server is not ready: the catalogue and the logs need some."""
_FRESH_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)


def alive() -> Response:
    """Return the answer of a server that lives."""
    return JSONResponse({"status": "alive"}, headers=_HEADERS)


class Readiness:
    """Finds out whether an installation can do its work.

    Args:
        installation: whose home and catalogue are looked at.
        clock: returns seconds that never go back.
    """

    def __init__(self, installation: Installation, clock: Callable[[], float] = time.monotonic) -> None:
        self._installation = installation
        self._clock = clock
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._reasons: list[str] = []
        self._fresh_until = clock()

    async def answer(self) -> Response:
        """Return 200, or 503 with the reasons."""
        reasons = await self._current()
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": reasons}, 503, headers=_HEADERS)
        return JSONResponse({"status": "ready"}, headers=_HEADERS)

    async def _current(self) -> list[str]:
        if self._clock() < self._fresh_until:
            return self._reasons
        with anyio.move_on_after(_PATIENCE_SECONDS):
            # A disk that does not answer holds one thread, however many ask.
            return await anyio.to_thread.run_sync(self._look, limiter=self._one_at_a_time, abandon_on_cancel=True)
        return ["The disk or the catalogue does not answer."]

    def _look(self) -> list[str]:
        if self._clock() >= self._fresh_until:
            self._reasons = list(filter(None, (self._catalogue(), self._disk(), self._queue())))
            self._fresh_until = self._clock() + _FRESH_SECONDS
        return self._reasons

    def _catalogue(self) -> str:
        try:
            self._installation.catalogue.figures.check()
        except BackstayError:
            _log.exception("The catalogue can't be read.")
            return "The catalogue can't be read."
        return ""

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self._installation.home.path).free
        except OSError:
            return "The home can't be read."
        return "The disk is full." if free < LEAST_SPACE else ""

    def _queue(self) -> str:
        is_expected = self._installation.configuration.server.worker
        if not is_expected or anyone_lives(self._installation):
            return ""
        return "Nothing does what is scheduled: neither this server nor 'backstay worker'."
