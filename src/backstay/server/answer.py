"""What a call came to, and how it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backstay.downloads.parts import part_response
from backstay.server.handlers import PartOfArchive


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        body: the encoded reply.
        part: the file to send instead; of ``downloadDirect``.
        when_sent: what is to be done where there is still somebody to send the answer to.
    """

    body: bytes = b""
    part: PartOfArchive | None = None
    when_sent: Sequence[Callable[[], None]] = ()

    def response(self, headers: Mapping[str, str]) -> ASGIApp:
        """Return the answer as HTTP's; a file brings headers of its own."""
        if self.part is not None:
            return part_response(self.part.file)
        response = Response(self.body, headers=headers)
        return _Noted(response, self.when_sent) if self.when_sent else response


class _Noted:
    """A response that notes that it was sent.

    It is noted just before, unless the client has gone: after, the client's next call could come first.
    """

    def __init__(self, response: Response, actions: Sequence[Callable[[], None]]) -> None:
        self._response = response
        self._actions = actions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await _is_gone(receive):
            for action in self._actions:
                await anyio.to_thread.run_sync(action)
        await self._response(scope, receive, send)


async def _is_gone(receive: Receive) -> bool:
    with anyio.CancelScope() as now:
        now.cancel()
        message = await receive()
        return bool(message["type"] == "http.disconnect")
    return False
