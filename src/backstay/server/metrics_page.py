"""The page ``/metrics``, for the holders of a token with the scope ``metrics`` and of the secret word."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import anyio
import anyio.to_thread
from starlette.responses import PlainTextResponse, Response

from backstay.api.methods import Scope
from backstay.api.status import ACCESS_DENIED, NOT_ALLOWED
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.server.authentication import Authenticator, Credentials
from backstay.server.metrics import exposition, gather
from backstay.server.request import HttpRequest
from backstay.server.request_counts import RequestCounts

# The oldest version of the text format: every version of Prometheus reads it, and no header of a client needs reading.
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)


class MetricsPage:
    """Answers whoever collects the metrics.

    Args:
        installation: what is measured.
        authenticator: finds out who asks.
        counts: of the requests of this server.
    """

    def __init__(self, installation: Installation, authenticator: Authenticator, counts: RequestCounts) -> None:
        self._installation = installation
        self._authenticator = authenticator
        self._counts = counts
        # Collecting is work for the processor: many that ask at once wait, and the API goes on.
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def answer(self, request: HttpRequest) -> Response:
        """Return the metrics, to who may read them."""
        if request.verb not in ("GET", "HEAD"):
            return _refusal(405, "Method Not Allowed", {"Allow": "GET, HEAD"})
        identity = await self._authenticator.identify(Credentials.of_headers(request.headers), request.address)
        if identity is None:
            return _refusal(401, ACCESS_DENIED, {"WWW-Authenticate": "Bearer"})
        if Scope.METRICS not in identity.scopes:
            return _refusal(403, NOT_ALLOWED)
        try:
            text = await anyio.to_thread.run_sync(self._collect, limiter=self._one_at_a_time)
        except (BackstayError, OSError):
            _log.exception("The metrics can't be collected.")
            return _refusal(503, "The catalogue can't be read: see the log of the server.")
        return Response(text, headers={**_HEADERS, "Content-Type": _TYPE})

    def _collect(self) -> bytes:
        return exposition(gather(self._installation, self._counts, self._authenticator.failures))


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, headers={**_HEADERS, **(headers or {})})
