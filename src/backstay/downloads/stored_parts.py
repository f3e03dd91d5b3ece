"""Sending a part of an archive that is no file of this machine, with ranges, in flat memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Protocol

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from backstay.downloads.local_parts import (
    named_headers,
    range_holds,
    raw,
    refusal,
    unsatisfiable,
    until_gone,
)
from backstay.downloads.ranges import Span, UnsatisfiableRangeError, requested_span
from backstay.errors import BackstayError, NotFoundError

PIECE = 4 << 20
"""Bytes read and sent at once, while the next are on their way."""

_log = logging.getLogger(__name__)


class Readable(Protocol):
    """A part that is open; closed once it was read."""

    def read(self, offset: int, size: int) -> bytes:
        """Read a piece.

        Raises:
            BackstayError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Release it."""
        ...


class StoredPart(Protocol):
    """A part at a storage or in a repository."""

    @property
    def name(self) -> str:
        """Its base name."""
        ...

    @property
    def size(self) -> int:
        """Its size in bytes."""
        ...

    @property
    def version(self) -> str:
        """What stays the same as long as its content does."""
        ...

    @property
    def place(self) -> str:
        """Where it lies, for messages."""
        ...

    def opened(self) -> Readable:
        """Open it.

        Raises:
            BackstayError: it cannot be read.
        """
        ...


class StoredPartResponse:
    """Answers with the content of such a part; an ASGI application for one request.

    Args:
        file: the part.
    """

    def __init__(self, file: StoredPart) -> None:
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the part, or the piece that was asked for, or say why not."""
        file = self._file
        request = Headers(scope=scope)
        headers = named_headers(file.name, f'"{file.version}"')
        wanted = request.get("range") if range_holds(request.get("if-range"), headers) else None
        try:
            span = requested_span(wanted, file.size)
        except UnsatisfiableRangeError:
            await unsatisfiable(file.size)(scope, receive, send)
            return
        body = span or Span(0, file.size)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.start + span.length - 1}/{file.size}"
        headers["Content-Length"] = str(body.length)
        start: Message = {"type": "http.response.start", "status": 206 if span else 200, "headers": raw(headers)}
        if scope["method"] == "HEAD" or body.length == 0:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            place = await anyio.to_thread.run_sync(file.opened)
        except BackstayError as error:
            await self._refuse(error, scope, receive, send)
            return
        try:
            await self._send(place, body, start, scope, receive, send)
        finally:
            await anyio.to_thread.run_sync(place.close)

    async def _send(
        self, place: Readable, body: Span, start: Message, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async with aclosing(self._pieces(place, body)) as pieces:
            try:
                piece = await anext(pieces)
            except BackstayError as error:
                await self._refuse(error, scope, receive, send)
                return
            await send(start)
            gone = asyncio.create_task(until_gone(receive))
            try:
                left = body.length - len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
                # What breaks off now breaks the connection: the length was promised.
                async for piece in pieces:
                    if gone.done():
                        return
                    left -= len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            finally:
                gone.cancel()

    async def _pieces(self, place: Readable, body: Span) -> AsyncGenerator[bytes]:
        """Read a piece ahead of the one that is sent."""
        end = body.start + body.length
        read = partial(self._exactly, place, end)
        ahead = asyncio.create_task(anyio.to_thread.run_sync(read, body.start))
        try:
            for position in range(body.start, end, PIECE):
                piece = await ahead
                if position + PIECE < end:
                    ahead = asyncio.create_task(anyio.to_thread.run_sync(read, position + PIECE))
                yield piece
        finally:
            # A thread cannot be stopped; nothing of it is closed before it has ended.
            if not ahead.done():
                await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()

    def _exactly(self, place: Readable, end: int, position: int) -> bytes:
        size = min(PIECE, end - position)
        piece = place.read(position, size)
        if len(piece) != size:
            raise NotFoundError(f"{self._file.name} at {self._file.place} is shorter than it was.")
        return piece

    async def _refuse(self, error: BackstayError, scope: Scope, receive: Receive, send: Send) -> None:
        _log.warning("The part %s can't be read at %s: %s", self._file.name, self._file.place, error)
        if isinstance(error, NotFoundError):
            await refusal(404, "Invalid backup part")(scope, receive, send)
            return
        await refusal(500, "Error reading backup archive")(scope, receive, send)
