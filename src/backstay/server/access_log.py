"""What is noted of each request: a line in the log, never with a query, which may carry the secret; and a count."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backstay.jobs.process_log import LOGGED_PATH
from backstay.server.request_counts import RequestCounts


@dataclass(frozen=True, slots=True)
class CallNote:
    """What a request turned out to be.

    Attributes:
        method: of the API.
        caller: who made the call.
        version: of the API.
        status: of the reply.
    """

    method: str
    caller: str
    version: int
    status: int


_LONGEST_PATH = 200
_call: ContextVar[CallNote | None] = ContextVar("call", default=None)
_route: ContextVar[str] = ContextVar("route", default="")
_address: ContextVar[str] = ContextVar("address", default="")

_log = logging.getLogger(__name__)


def note_call(call: CallNote) -> None:
    """Say which call of the API a request turned out to be."""
    _call.set(call)


def note_route(name: str) -> None:
    """Say what kind of page a request asked for; one of a few names."""
    _route.set(name)


def caller_address() -> str:
    """Return the address that the request in hand came from."""
    return _address.get()


class AccessLog:
    """Wraps an application.

    Args:
        application: whose requests are noted.
        counts: counts them.
    """

    def __init__(self, application: ASGIApp, counts: RequestCounts) -> None:
        self._application = application
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note it when it is answered."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0
        _call.set(None)
        _route.set("unknown")
        client = scope.get("client")
        _address.set(client[0] if client else "")

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, noting_send)
        finally:
            seconds, call = time.perf_counter() - begun, _call.get()
            self._counts.add(f"v{call.version}" if call else _route.get(), call.status if call else status, seconds)
            if _log.isEnabledFor(logging.INFO):
                _tell(scope, call, status, seconds * 1000)


def _tell(scope: Scope, call: CallNote | None, status: int, milliseconds: float) -> None:
    client = scope.get("client")
    address, verb = client[0] if client else "-", scope["method"]
    path = quote(scope.get(LOGGED_PATH) or scope["path"], safe="/", errors="replace")[:_LONGEST_PATH]
    shown, fields = "", {"address": address, "verb": verb, "path": path, "http_status": status}
    if call is not None:
        shown = f" ({call.method} by {call.caller}, version {call.version}: {call.status:d})"
        fields |= {"method": call.method, "caller": call.caller, "version": call.version, "status": call.status}
    fields["milliseconds"] = round(milliseconds, 1)
    _log.info("%s %s %s%s: %d in %.1f ms", address, verb, path, shown, status, milliseconds, extra={"fields": fields})
