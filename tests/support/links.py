"""A way to a database server that can be cut and mended: a relay on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from backstay.databases import DatabaseAddress

_PIECE = 1 << 16


class Link:
    """Relays connections to a PostgreSQL server.

    Args:
        address: of a database of the server.

    Attributes:
        address: of the same database over this way.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self._server = address
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._loses_replies = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.address = DatabaseAddress(
            "postgresql", host="127.0.0.1", port=port, user=address.user, password=address.password, name=address.name
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and each new one."""
        with self._lock:
            self._is_cut = True
        self._break()

    def mend(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_cut = self._loses_replies = False

    def lose_replies(self) -> None:
        """Break each connection that exists when the server next answers over it: what was asked of it is done."""
        with self._lock:
            self._loses_replies = True

    def close(self) -> None:
        """End it."""
        self._close(self._listening)
        self._break()

    def _break(self) -> None:
        with self._lock:
            broken, self._open = self._open, []
        for one in broken:
            self._close(one)

    @staticmethod
    def _close(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with self._lock:
                    if self._is_cut:
                        client.close()
                        continue
                server = self._connect()
                with self._lock:
                    self._open += [client, server]
                for source, target, replies in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._relay, args=(source, target, replies), daemon=True).start()

    def _connect(self) -> socket.socket:
        port = self._server.port or 5432
        if not self._server.socket:
            return socket.create_connection((self._server.host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._server.socket}/.s.PGSQL.{port}")
        return server

    def _relay(self, source: socket.socket, target: socket.socket, replies: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                with self._lock:
                    lost, self._loses_replies = replies and self._loses_replies, self._loses_replies and not replies
                if lost:
                    break
                target.sendall(piece)
        self._close(source)
        self._close(target)
