"""One line in the log for each request: who, what, how it went; never a query, which may carry the secret."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST_PATH = 200
_call: ContextVar[str] = ContextVar("call", default="")

_log = logging.getLogger(__name__)


def note_call(text: str) -> None:
    """Say what a request turned out to be, for its line in the log: the call, who made it, how it went."""
    _call.set(text)


class AccessLog:
    """Wraps an application.

    Args:
        application: whose requests are logged.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and tell of it when it is answered."""
        if scope["type"] != "http" or not _log.isEnabledFor(logging.INFO):
            await self._application(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0
        _call.set("")

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, noting_send)
        finally:
            client = scope.get("client")
            path = quote(scope["path"], safe="/", errors="replace")[:_LONGEST_PATH]
            milliseconds = (time.perf_counter() - begun) * 1000
            address, call = client[0] if client else "-", _call.get()
            _log.info("%s %s %s%s: %d in %.1f ms", address, scope["method"], path, call, status, milliseconds)
