"""Reading a request whole: its verb, its parameters from URL and form, and who sent it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import anyio.to_thread
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from backstay.api.wire import MAX_PARAMETERS

BODY_SECONDS = 120.0
"""How long a body may take."""
LARGE_BODIES = 16
"""How many large bodies are read at once; further ones wait until a slot is free."""
_LARGE = 256 << 10

Pairs = list[tuple[str, str]]


class RefusedRequestError(Exception):
    """A request that is not read any further.

    Attributes:
        status: HTTP status of the answer.
        sentence: why, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, read whole.

    Attributes:
        verb: HTTP method, upper case.
        path: decoded path, without query.
        headers: of the request.
        address: of the client.
        query, form: names and values in the order they came; bytes that are not UTF-8 are surrogates. They may hold
            the secret.
    """

    verb: str
    path: str
    headers: Headers = field(repr=False)
    address: str
    query: Pairs = field(repr=False)
    form: Pairs = field(repr=False)

    @property
    def pairs(self) -> Pairs:
        """All parameters; those of the form come later and so win."""
        return self.query + self.form if self.form else self.query

    def value(self, name: str) -> str | None:
        """Return the last value of a parameter, or None."""
        for key, value in reversed(self.form):
            if key == name:
                return value
        for key, value in reversed(self.query):
            if key == name:
                return value
        return None


class RequestReader:
    """Reads requests, so that strangers together can make the server hold no more than some hundred megabytes.

    Args:
        maximum_head: bytes of URL and headers.
        maximum_body: bytes.
    """

    def __init__(self, *, maximum_head: int, maximum_body: int) -> None:
        self._maximum_head = maximum_head
        self._maximum_body = maximum_body
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES)

    async def read(self, scope: Scope, receive: Receive) -> HttpRequest:
        """Read a request.

        Raises:
            RefusedRequestError: it is too large, its body is too slow or not a form, or it has too many fields.
        """
        query, headers, client = scope["query_string"], Headers(scope=scope), scope.get("client")
        if len(query) + sum(len(name) + len(value) for name, value in scope["headers"]) > self._maximum_head:
            raise RefusedRequestError(
                431, f"The head of the request is larger than {self._maximum_head} bytes: send what is long as a POST."
            )
        return HttpRequest(
            verb=scope["method"].upper(),
            path=scope["path"],
            headers=headers,
            address=client[0] if client else "",
            query=_fields(query) if query else [],
            form=await self._read_form(headers, receive) if scope["method"] == "POST" else [],
        )

    async def _read_form(self, headers: Headers, receive: Receive) -> Pairs:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = await self._read_on(body, headers, receive, min(_LARGE, self._maximum_body))
                if not more:
                    return await _pairs_of(headers, bytes(body))
                async with self._large_bodies:
                    await self._read_on(body, headers, receive, self._maximum_body)
                    return await _pairs_of(headers, bytes(body))
        except TimeoutError:
            raise RefusedRequestError(408, "The body of the request did not arrive in time.") from None

    async def _read_on(self, body: bytearray, headers: Headers, receive: Receive, limit: int) -> bool:
        """Read up to a limit; return whether there is more."""
        announced = headers.get("content-length", "0")
        is_too_large = announced.isascii() and announced.isdigit() and int(announced[:19]) > self._maximum_body
        more = True
        while more and not is_too_large and len(body) <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedRequestError(400, "The client went away in the middle of its request.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            is_too_large = len(body) > self._maximum_body
        if is_too_large:
            raise RefusedRequestError(
                413,
                f"The body of the request is larger than {self._maximum_body} bytes, the limit of this server "
                "(maximum_body).",
            )
        return more


def _fields(encoded: bytes) -> Pairs:
    try:
        return parse_qsl(
            encoded.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise RefusedRequestError(413, f"The request has more than {MAX_PARAMETERS} parameters.") from None


async def _pairs_of(headers: Headers, body: bytes) -> Pairs:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _multipart_fields(headers, body)
    if kind in ("application/x-www-form-urlencoded", ""):
        return await anyio.to_thread.run_sync(_fields, body) if len(body) > _LARGE else _fields(body)
    return []


async def _multipart_fields(headers: Headers, body: bytes) -> Pairs:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        headers,
        pieces(),
        max_files=0,
        max_fields=MAX_PARAMETERS,
        max_part_size=len(body),
    )
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, ValueError, KeyError):
        raise RefusedRequestError(
            400, "The multipart body of the request can't be read: send plain fields, without files."
        ) from None
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
