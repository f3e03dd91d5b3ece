"""A server of the API on loopback that answers from a script and misbehaves on demand."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from backstay.api.envelope import read_request, write_error, write_reply
from backstay.api.status import ApiError
from backstay.api.wire import decode_parameters, encode_reply

SECRET = "Correct-Horse 0/ż+&="
TOKEN = "a-token-of-40-characters-0123456789abcde"
RECORD = {"id": "7", "archivename": "site.jpa", "total_size": "0", "filesexist": "1", "status": "complete"}


@dataclass
class Seen:
    """A request as the server saw it."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]
    method: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeServer:
    """What the server knows and how it is to behave.

    ``faults`` are taken one for each request: a Response to answer, "break" to cut the connection, or None.
    """

    versions: tuple[int, ...] = (1, 2, 3)
    accepts: tuple[str, ...] = (SECRET, TOKEN)
    encrypted: bool = False
    junk: tuple[bytes, bytes] = (b"", b"")
    parts: list[bytes] = field(default_factory=list)
    ranges: bool = True
    direct: bool = True
    segment_length: int = 1048576
    cut_after: list[int] = field(default_factory=list)
    faults: list[Response | str | None] = field(default_factory=list)
    replies: dict[str, list[Any]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    before: Callable[[Seen], Response | None] | None = None
    url: str = ""

    def calls(self, method: str) -> list[Seen]:
        return [one for one in self.seen if one.method == method]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = (await request.body()).decode()
        query = dict(request.query_params)
        seen = Seen(request.method, request.url.path, query, dict(request.headers), dict(parse_qsl(body)))
        self.seen.append(seen)
        response = self._response(seen, body)
        fault = self.faults.pop(0) if self.faults else None
        if fault == "break":
            await _break(send)
            return
        if isinstance(fault, Response):
            response = fault
        if self.cut_after and seen.method == "downloadDirect":
            await _cut(response, self.cut_after.pop(0), send)
            return
        await response(scope, receive, send)

    def _response(self, seen: Seen, body: str) -> Response:
        if self.before is not None and (response := self.before(seen)) is not None:
            return response
        pairs = [*seen.query.items(), *parse_qsl(body)]
        parameters = decode_parameters(pairs)
        if "/v3/akeebabackup/" in seen.path:
            return self._version_3(seen, parameters)
        if seen.path.endswith(("/index.php", "/remote.php", "/admin-ajax.php")):
            if "json" in parameters and 1 in self.versions:
                return self._version_1(seen, parameters["json"])
            if str(parameters.get("view", "")).lower() == "api" and 2 in self.versions:
                return self._version_2(seen, parameters)
        return HTMLResponse("<!doctype html><title>Not found</title>", 404)

    def _version_3(self, seen: Seen, parameters: dict[str, Any]) -> Response:
        if 3 not in self.versions:
            return Response('{"errors":[{"title":"Not Found"}]}', 404, media_type="application/json")
        secret = seen.headers.get("x-akeeba-auth", "").encode("latin-1").decode()
        known = secret == SECRET if secret else seen.headers.get("x-joomla-token", "") in (self.accepts[1:] or ("-",))
        seen.method, seen.data = seen.path.rpartition("/")[2], parameters
        return self._json(seen, known)

    def _version_2(self, seen: Seen, parameters: dict[str, Any]) -> Response:
        secret = seen.headers.get("x-akeeba-auth", "").encode("latin-1").decode() or seen.query.get("_akeebaAuth", "")
        seen.method, seen.data = str(parameters.get("method", "")), parameters
        return self._json(seen, secret == self.accepts[0])

    def _json(self, seen: Seen, known: bool) -> Response:
        if not known:
            return self._framed(encode_reply(503, "Access denied"))
        if seen.method == "downloadDirect" and self.direct:
            return self._file(seen)
        try:
            return self._framed(encode_reply(200, self._value(seen)))
        except ApiError as error:
            return self._framed(encode_reply(error.status, error.message))

    def _version_1(self, seen: Seen, text: str) -> Response:
        try:
            request = read_request(text, self.accepts[0], encrypted=self.encrypted)
            seen.method, seen.data = request.method, request.data
            if seen.method == "downloadDirect" and self.direct:
                return self._file(seen)
            return self._framed(write_reply(request, self._value(seen)))
        except ApiError as error:
            return self._framed(write_error(error.status, error.message))

    def _framed(self, body: bytes) -> Response:
        return Response(self.junk[0] + body + self.junk[1], media_type="application/json")

    def _value(self, seen: Seen) -> Any:
        if answers := self.replies.get(seen.method):
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, ApiError):
                raise answer
            return answer
        if seen.method == "getVersion":
            return {"api": "350", "component": "8.2.6", "date": "2023-01-01", "edition": "pro"}
        if seen.method == "getBackupInfo":
            names = [f"site.j{number:02d}" for number in range(1, len(self.parts))] + ["site.jpa"]
            files = [{"part": n + 1, "name": names[n], "size": len(part)} for n, part in enumerate(self.parts)]
            return RECORD | {"filenames": files}
        if seen.method == "download":
            return self._segment(seen)
        raise ApiError(405, f"Invalid method {seen.method}")

    def _segment(self, seen: Seen) -> str:
        part = self.parts[int(seen.data["part_id"]) - 1]
        length = self.segment_length * int(seen.data.get("chunk_size", 1))
        start = length * (int(seen.data["segment"]) - 1)
        if start > len(part):
            raise ApiError(404, "Invalid segment")
        return base64.b64encode(part[start : start + length]).decode()

    def _file(self, seen: Seen) -> Response:
        number = int(seen.data["part_id"])
        if number > len(self.parts):
            return Response("Invalid backup part", 404, media_type="text/plain")
        part = self.parts[number - 1]
        headers = {"content-disposition": 'attachment; filename="x"', "etag": f'"{len(part)}"'}
        asked = seen.headers.get("range", "")
        if not asked or not self.ranges:
            return Response(part, 200, headers, "application/octet-stream")
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last), len(part) - 1)
        headers["content-range"] = f"bytes {start}-{end}/{len(part)}"
        return Response(part[start : end + 1], 206, headers, "application/octet-stream")


async def _break(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionResetError


async def _cut(response: Response, length: int, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": bytes(response.body)[:length], "more_body": True})
    raise ConnectionResetError


@contextlib.contextmanager
def running(app: Any, certificate: Path | None = None) -> Iterator[str]:
    """Runs an application on a free port of loopback, with TLS where it has a certificate; gives its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="none", ssl_certfile=certificate
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
