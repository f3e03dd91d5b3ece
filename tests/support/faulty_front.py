"""A server in front of another one that spoils chosen requests: refuses, delays, cuts, or changes a byte on the way."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    Attributes:
        kind: ``refuse``: the server is not asked; ``delay``; ``cut request``: the connection ends after half of it;
            ``cut answer``: so, after half of the answer; ``damage request`` and ``damage answer``: one byte of the body
            is another; ``headers``: of the answer are others.
        status: of a refusal.
        headers: of a refusal, or put over those of the answer.
        seconds: of a delay, before the server is asked.
    """

    kind: Literal["refuse", "delay", "cut request", "cut answer", "damage request", "damage answer", "headers"]
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class FaultyFront:
    """A running front.

    Attributes:
        url: of the server by way of this one.
        choose: given each request's method and path with its query; returns what goes wrong with it, if anything.
        seen: method and path of every request.
    """

    def __init__(self, server: str) -> None:
        self.choose: Callable[[str, str], Fault | None] = lambda _method, _path: None
        self.seen: list[tuple[str, str]] = []
        self._address = urlsplit(server).netloc
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def spoil(self, fault: Fault, method: str, part: str = "", times: int = 1) -> None:
        """Spoil the next requests of a method whose path or query holds a text."""
        left = iter(range(times))
        lock = threading.Lock()

        def choose(asked: str, path: str) -> Fault | None:
            with lock:
                return fault if asked == method and part in path and next(left, None) is not None else None

        self.choose = choose

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Hand a request on."""
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()


def _handler(front: FaultyFront) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def _serve(self) -> None:
            front.seen.append((self.command, self.path))
            fault = front.choose(self.command, self.path)
            kind = fault.kind if fault else ""
            size = int(self.headers.get("content-length") or 0)
            if kind == "cut request":
                self.rfile.read(size // 2)
                self._hang_up()
                return
            body = self.rfile.read(size)
            if fault and kind == "refuse":
                self._answer(fault.status, fault.headers, b"")
                return
            if fault and kind == "delay":
                time.sleep(fault.seconds)
            if kind == "damage request":
                body = _damaged(body)
            status, headers, content = front.ask(self.command, self.path, dict(self.headers.items()), body)
            if kind == "damage answer":
                content = _damaged(content)
            self._answer(status, {**headers, **(fault.headers if fault else {})}, content, cut=kind == "cut answer")

        def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            lower = {name.lower(): value for name, value in headers.items()}
            for name, value in lower.items():
                if name not in _HOP:
                    self.send_header(name, value)
            size = lower.get("content-length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("content-length", size)
            if cut and not content:
                self._hang_up()
                return
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self._hang_up()

        def _hang_up(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base's name
            pass

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815  the base's names

    return Handler


def _damaged(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


@contextmanager
def faulty_front(server: str) -> Iterator[FaultyFront]:
    """Stand in front of a server until the end of the block."""
    front = FaultyFront(server)
    try:
        yield front
    finally:
        front.close()
