"""Reading a request whole: its verb, its parameters from URL and form, and who sent it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from backstay.api.wire import MAX_PARAMETERS

BODY_SECONDS = 60.0
"""How long a body may take from one piece to the next."""

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
class Incoming:
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


async def read_request(scope: Scope, receive: Receive, *, maximum_head: int, maximum_body: int) -> Incoming:
    """Read a request.

    Args:
        scope: ASGI's.
        receive: ASGI's.
        maximum_head: bytes of URL and headers.
        maximum_body: bytes.

    Raises:
        RefusedRequestError: it is too large, its body is too slow or not a form, or it has too many fields.
    """
    if len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"]) > maximum_head:
        raise RefusedRequestError(
            431,
            f"The head of the request is larger than {maximum_head} bytes: send what is long as a POST.",
        )
    headers = Headers(scope=scope)
    client = scope.get("client")
    query = scope["query_string"]
    return Incoming(
        verb=scope["method"].upper(),
        path=scope["path"],
        headers=headers,
        address=client[0] if client else "",
        query=_fields(query) if query else [],
        form=await _read_form(headers, receive, maximum_body) if scope["method"] == "POST" else [],
    )


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


async def _read_form(headers: Headers, receive: Receive, maximum_body: int) -> Pairs:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await _read_body(headers, receive, maximum_body)
    if kind == "multipart/form-data":
        return await _multipart_fields(headers, body, maximum_body)
    if kind in ("application/x-www-form-urlencoded", ""):
        return _fields(body)
    return []


async def _read_body(headers: Headers, receive: Receive, maximum_body: int) -> bytes:
    too_large = RefusedRequestError(
        413, f"The body of the request is larger than {maximum_body} bytes, the limit of this server (maximum_body)."
    )
    announced = headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced[:19]) > maximum_body:
        raise too_large
    body = bytearray()
    more = True
    while more:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise RefusedRequestError(408, "The body of the request did not arrive in time.") from None
        if message["type"] == "http.disconnect":
            raise RefusedRequestError(400, "The client went away in the middle of its request.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > maximum_body:
            raise too_large
    return bytes(body)


async def _multipart_fields(headers: Headers, body: bytes, maximum_body: int) -> Pairs:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        headers,
        pieces(),
        max_files=0,
        max_fields=MAX_PARAMETERS,
        max_part_size=maximum_body,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, ValueError, KeyError):
        raise RefusedRequestError(
            400, "The multipart body of the request can't be read: send plain fields, without files."
        ) from None
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
