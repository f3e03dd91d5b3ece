"""A slow way to a server: a relay on loopback that lets so many bytes a second through, and can be cut."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 16 << 10


class SlowLink:
    """Relays connections to a server.

    Args:
        url: of the server.
        rate: bytes a second from the server, all connections together.

    Attributes:
        url: of the server over this way.
        passed: bytes from the server so far.
    """

    def __init__(self, url: str, rate: float) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._open: list[socket.socket] = []
        self._cut_after: int | None = None
        self.passed = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after: int | None) -> None:
        """Break every connection when so many bytes have passed, and each new one; None: mend the line."""
        with self._lock:
            self._cut_after = after

    @property
    def is_cut(self) -> bool:
        """Whether the line is broken."""
        return self._cut_after is not None and self.passed >= self._cut_after

    def close(self) -> None:
        """End it."""
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self.is_cut:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open += [client, server]
                threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                if counted:
                    self._wait(len(data))
                if self.is_cut:
                    break
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _wait(self, size: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            self.passed += size
            pause = self._free_at - now
        time.sleep(pause)


@contextmanager
def slow_link(url: str, rate: float) -> Iterator[SlowLink]:
    """Relay to a server until the end of the block."""
    link = SlowLink(url, rate)
    try:
        yield link
    finally:
        link.close()
