"""The client for ``async`` programs: the same core as the blocking one, on the same calls."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import httpx2

from backstay.api.replies import StepReply
from backstay.client.backup_loop import BackupLoop
from backstay.client.base import BaseClient
from backstay.client.calls import backups
from backstay.client.download import DownloadMethod, DownloadProgress
from backstay.client.endpoints import Endpoint
from backstay.client.flows import Flow, Pause, Send, TransportError, call_flow, detect_flow
from backstay.client.messages import Call, HttpReply, HttpRequest
from backstay.client.sync import Client
from backstay.client.transport import (
    HTTP_ERRORS,
    LONGEST_REPLY_SECONDS,
    ReplyBody,
    certificate_of,
    encoded_headers,
    reply_of,
)

R = TypeVar("R")
P = ParamSpec("P")


class AsyncClient(BaseClient[httpx2.AsyncBaseTransport, httpx2.AsyncClient]):
    """Calls any server of the Akeeba Backup JSON API without blocking; errors as for ``Client``.

    Use it as an async context manager, or call ``close``.
    """

    def _open(self, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
        connection = self._connection
        return httpx2.AsyncClient(
            transport=transport, timeout=connection.timeouts(), verify=connection.trust(), follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def detect(self) -> Endpoint:
        """Finds out how the server is called; errors as for ``Client.detect``."""
        return await self._run(detect_flow(self._session))

    async def run(self, call: Call[R]) -> R:
        """Makes a call; errors as for ``Client.run``."""
        return await self._run(call_flow(self._session, call))

    async def _run(self, flow: Flow[R]) -> R:
        try:
            action = next(flow)
            while True:
                try:
                    outcome = await self._perform(action)
                except TransportError as problem:
                    action = flow.throw(problem)
                else:
                    action = flow.send(outcome)
        except StopIteration as stop:
            result: R = stop.value
            return result

    async def _perform(self, action: Send | Pause) -> HttpReply | None:
        if isinstance(action, Pause):
            await asyncio.sleep(action.seconds)
            return None
        return await self._send(action.request)

    async def _send(self, request: HttpRequest) -> HttpReply:
        body = ReplyBody(deadline=time.monotonic() + LONGEST_REPLY_SECONDS)
        try:
            async with self._http.stream(
                request.verb, request.url, headers=encoded_headers(request), content=request.form
            ) as response:
                self.certificate = certificate_of(response) or self.certificate
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
        except HTTP_ERRORS as error:
            raise self._connection.problem(request, error) from None
        reply = reply_of(response, body.joined())
        self._connection.report(request, reply.status, reply.text)
        return reply

    async def backup(
        self,
        profile: int = 1,
        description: str | None = None,
        comment: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[StepReply]:
        """Takes a backup and yields every reply; arguments and errors as for ``Client.backup``."""
        loop = BackupLoop(self._session, backups.start_backup(profile, description, comment, overrides))
        while loop.runs:
            yield await self._run(loop.advance())

    async def download(
        self,
        backup_id: int,
        folder: Path | str,
        *,
        parts: Sequence[int] = (),
        way: DownloadMethod = DownloadMethod.AUTO,
        connections: int = 4,
        chunk_size: int = 1,
        on_progress: Callable[[DownloadProgress], None] | None = None,
    ) -> list[Path]:
        """Downloads the parts of a backup; arguments and errors as for ``Client.download``.

        The work of the disk is done in a thread; cancelling the task stops it, to be resumed later.
        """
        endpoint = self.endpoint or await self.detect()
        stopped = threading.Event()

        def fetch() -> list[Path]:
            with Client(
                self._session.url,
                self._session.secret,
                encapsulation=self._session.envelope.encapsulation if endpoint.version == 1 else None,
                endpoint=endpoint,
                timeout=self._connection.timeout,
                verify=self._connection.verify,
                on_exchange=self._connection.on_exchange,
            ) as client:
                return client.download(
                    backup_id,
                    folder,
                    parts=parts,
                    way=way,
                    connections=connections,
                    chunk_size=chunk_size,
                    on_progress=on_progress,
                    stop=stopped.is_set,
                )

        try:
            return await asyncio.to_thread(fetch)
        finally:
            stopped.set()
