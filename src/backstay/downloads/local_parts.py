"""Sending a part of an archive (api-methods.md, downloadDirect), with ranges, in flat memory."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from backstay.downloads.ranges import Span, UnsatisfiableRangeError, requested_span

CHUNK = 1 << 20
"""Bytes read and sent at once: large chunks double the speed, and one at a time keeps memory flat."""
SEND_FILE = "backstay.send_file"
"""Name of the extension in the scope: a function that sends a piece of a file after the head of the answer.

It takes a descriptor, an offset and a length, counts as the body of the answer, and returns False where the client
went away. Over TLS there is none.
"""

_log = logging.getLogger(__name__)


class PartResponse:
    """Answers with the content of a file; an ASGI application for one request.

    Args:
        path: the file.
        name: under which a browser saves it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or the piece that was asked for, or say why not."""
        try:
            descriptor = await anyio.to_thread.run_sync(_open, self._path)
        except OSError as error:
            _log.warning("The part %s can't be read: %s", self._name, error.strerror)
            await _refusal_of(error)(scope, receive, send)
            return
        try:
            await self._send(descriptor, scope, receive, send)
        finally:
            os.close(descriptor)

    async def _send(self, descriptor: int, scope: Scope, receive: Receive, send: Send) -> None:
        facts = os.fstat(descriptor)
        request = Headers(scope=scope)
        headers = part_headers(self._name, facts)
        wanted = request.get("range") if range_holds(request.get("if-range"), headers) else None
        try:
            span = requested_span(wanted, facts.st_size)
        except UnsatisfiableRangeError:
            await unsatisfiable(facts.st_size)(scope, receive, send)
            return
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.start + span.length - 1}/{facts.st_size}"
        body = span or Span(0, facts.st_size)
        headers["Content-Length"] = str(body.length)
        await send({"type": "http.response.start", "status": 206 if span else 200, "headers": raw(headers)})
        if scope["method"] == "HEAD" or body.length == 0:
            await send({"type": "http.response.body", "body": b""})
        elif extension := scope.get("extensions", {}).get(SEND_FILE):
            if await extension["function"](descriptor, body.start, body.length):
                await send({"type": "http.response.body", "body": b""})
        else:
            await _send_body(descriptor, body, receive, send)


async def _send_body(descriptor: int, span: Span, receive: Receive, send: Send) -> None:
    position, end = span.start, span.start + span.length
    gone = asyncio.create_task(until_gone(receive))
    try:
        while position < end and not gone.done():
            chunk = await anyio.to_thread.run_sync(os.pread, descriptor, min(CHUNK, end - position), position)
            if not chunk:
                # The length was promised; breaking the connection is the one way left to say that it is not kept.
                raise OSError("A part became shorter while it was sent.")
            position += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": position < end})
    finally:
        gone.cancel()


async def until_gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    message: Message = {"type": "http.request"}
    while message["type"] != "http.disconnect":
        message = await receive()


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(2, "it is not a file", str(path))
    return descriptor


def _refusal_of(error: OSError) -> Response:
    if isinstance(error, FileNotFoundError):
        return refusal(404, "Invalid backup part")
    return refusal(500, "Error reading backup archive")


def refusal(status: int, sentence: str) -> Response:
    """Return the answer to a download that can't be: an HTTP status and a sentence (clients.md, replies)."""
    return PlainTextResponse(sentence + "\n", status, {"X-Content-Type-Options": "nosniff"})


def unsatisfiable(size: int) -> Response:
    """Return the answer to a range behind the end of a part of so many bytes."""
    headers = {"Content-Range": f"bytes */{size}", "X-Content-Type-Options": "nosniff"}
    return PlainTextResponse("The range lies behind the end of the part.\n", 416, headers)


def part_headers(name: str, facts: os.stat_result) -> dict[str, str]:
    """Return the headers of a part, without its length.

    Args:
        name: base name of the part, surrogates for bytes that are not UTF-8.
        facts: of the file.
    """
    version = f'"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"'
    return {**named_headers(name, version), "Last-Modified": formatdate(facts.st_mtime, usegmt=True)}


def named_headers(name: str, etag: str) -> dict[str, str]:
    """Return the headers of a part of which no time is known.

    Args:
        name: base name of the part.
        etag: stays the same as long as the content does, quoted.
    """
    plain = "".join(character if 32 <= ord(character) < 127 and character not in '"\\' else "_" for character in name)
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    return {
        "MIME-Version": "1.0",
        "Content-Disposition": disposition,
        "Content-Transfer-Encoding": "binary",
        "Accept-Ranges": "bytes",
        "Content-Type": "application/zip" if name.lower().endswith(".zip") else "application/octet-stream",
        "Cache-Control": "must-revalidate, post-check=0, pre-check=0",
        "Expires": "0",
        "Pragma": "no-cache",
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
    }


def range_holds(condition: str | None, headers: dict[str, str]) -> bool:
    """Whether a range may be answered: the client's piece is of the file as it is now (RFC 9110 section 13.1.5)."""
    return condition is None or condition in (headers["ETag"], headers.get("Last-Modified"))


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI sends them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
