"""HTTP as uvicorn speaks it, with limits to what a stranger may send, and files sent by the kernel.

uvicorn's own protocol holds a request's head in memory however long it is, and waits for its end for ever.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from backstay.downloads.local_parts import SEND_FILE

HEAD_SECONDS = 30.0
"""How long a client may take to send the head of a request."""
STALLED_SECONDS = 300.0
"""How long a client may leave what it asked for unread before the connection is closed."""

_PIECE = 8 << 20
_FILE_THREADS = 8
_HEAD_TOO_LARGE = b"The head of the request is larger than this server takes.\n"


class LimitedProtocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        maximum_head: bytes of a request's head; set by ``limited_protocol``.
        file_threads: how many threads send files at once, over all connections of one server.
    """

    maximum_head = 64 << 10
    file_threads: anyio.CapacityLimiter

    def connection_made(self, transport: Any) -> None:
        """Begin: the first request is awaited."""
        super().connection_made(transport)
        self.access_log = False  # uvicorn's own shows queries, and with them secrets
        self._head_bytes = 0
        self._reading_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that grows too large is refused."""
        super().data_received(data)
        if self._reading_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.maximum_head:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._reading_head = True
        self._head_bytes = 0
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Take the request, now that its head is there."""
        self._reading_head = False
        self._stop_head_timer()
        super().on_headers_complete()
        if self.scheme == "http" and hasattr(os, "sendfile"):
            # Bound to this exchange: with pipelining the next may have begun before this one is answered.
            self.scope["extensions"] = {SEND_FILE: {"function": partial(self._send_file, self.cycle)}}

    def _expect_head(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(_HEAD_TOO_LARGE), _HEAD_TOO_LARGE)
        )
        self.transport.close()

    async def _send_file(self, cycle: RequestResponseCycle, descriptor: int, offset: int, length: int) -> bool:
        """Send a piece of a file as the body of the answer whose head was just sent (see ``SEND_FILE``).

        Raises:
            OSError: the file is shorter than was promised.
        """
        while self.transport.get_write_buffer_size() and not self.transport.is_closing():  # noqa: ASYNC110 - uvloop
            # reports only large buffers that have emptied; this one holds a head of a few hundred bytes.
            await asyncio.sleep(0.001 if self.flow.write_paused else 0)
        if self.transport.is_closing():
            return False
        # A second descriptor of the same socket: the event loop lets nobody else watch its own.
        socket = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            while length > 0 and not self.transport.is_closing():
                sent = await self._send_piece(socket, descriptor, offset, length)
                offset, length = offset + sent, length - sent
                cycle.expected_content_length -= sent
        except (ConnectionError, TimeoutError):
            cycle.disconnected = True
            self.transport.abort()
        finally:
            os.close(socket)
        return length == 0

    async def _send_piece(self, socket: int, descriptor: int, offset: int, length: int) -> int:
        work = partial(os.sendfile, socket, descriptor, offset, min(length, _PIECE))
        try:
            sent = await anyio.to_thread.run_sync(work, limiter=self.file_threads)
        except BlockingIOError:
            await self._until_writable(socket)
            return 0
        if sent == 0:
            raise OSError("A part became shorter while it was sent.")
        return sent

    async def _until_writable(self, socket: int) -> None:
        """Wait for space in the buffer of the socket.

        Raises:
            TimeoutError: the client has stopped reading.
        """
        writable = asyncio.Event()
        self.loop.add_writer(socket, writable.set)
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await writable.wait()
        finally:
            self.loop.remove_writer(socket)


def limited_protocol(maximum_head: int) -> type[LimitedProtocol]:
    """Return the protocol with limits of its own, for one server.

    Args:
        maximum_head: bytes of a request's head.
    """
    limits = {"maximum_head": maximum_head, "file_threads": anyio.CapacityLimiter(_FILE_THREADS)}
    return type("LimitedProtocol", (LimitedProtocol,), limits)
