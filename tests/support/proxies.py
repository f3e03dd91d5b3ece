"""Database servers that go away."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path


class CuttingProxy:
    """Stands before a database server, and goes away after so many bytes of its answers.

    Attributes:
        path: of the Unix socket it listens on.
        passed: bytes of answers that it let through.
    """

    def __init__(self, server: str, path: Path, after: int) -> None:
        """Listen.

        Args:
            server: path of the server's own socket.
            path: of the new socket.
            after: bytes of answers, of all connections together, that are let through.
        """
        self.path = path
        self.passed = 0
        self._server = server
        self._most = after
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.passed <= self._most:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sockets += [client, server]
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(4096):
                if counted and not self._may_pass(len(data)):
                    self.close()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _may_pass(self, size: int) -> bool:
        with self._lock:
            self.passed += size
            return self.passed <= self._most

    def close(self) -> None:
        """Go away, in the middle of whatever is said."""
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
