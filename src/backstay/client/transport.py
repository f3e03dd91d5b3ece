"""How a request travels, what is reported of it, and what its failures mean; shared by both clients."""

from __future__ import annotations

import functools
import hashlib
import math
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx2

from backstay.client.flows import TransportError
from backstay.client.messages import HttpReply, HttpRequest
from backstay.client.secrecy import blanked

MAX_REPLY = 256 * 1024 * 1024
"""Bytes of the longest reply that is read into memory."""

LONGEST_REPLY_SECONDS = 900.0
"""So long a reply may take to arrive, once it has begun: a server that trickles holds nobody up for ever."""

SHOWN_REPLY = 4000
HTTP_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
"""What the HTTP library raises where a request is not answered."""

_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_CREDENTIAL_HEADERS = frozenset({"x-akeeba-auth", "x-joomla-token", "authorization", "cookie", "set-cookie"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its reply, as they may be shown: without secrets.

    Attributes:
        verb: GET or POST.
        url: address asked.
        headers: headers sent.
        asked: the method and its parameters.
        status: HTTP status of the reply; None if there was none.
        reply: text of the reply, cut, or why there was none.
    """

    verb: str
    url: str
    headers: Mapping[str, str]
    asked: str
    status: int | None
    reply: str


@dataclass(frozen=True)
class Connection:
    """What both clients need to open connections.

    Attributes:
        secret: secret word or token, for blanking.
        timeout: seconds to wait for the next bytes.
        verify: False to accept any certificate, or a path of certificates to trust.
        on_exchange: called with every exchange, for a verbose view.
    """

    secret: str = field(repr=False)
    timeout: float = 60.0
    verify: bool | str = True
    on_exchange: Callable[[Exchange], None] | None = None

    def timeouts(self) -> httpx2.Timeout:
        """Time limits as the HTTP library takes them: connecting never waits longer than 15 seconds."""
        return httpx2.Timeout(self.timeout, connect=min(15.0, self.timeout))

    def trust(self) -> bool | ssl.SSLContext:
        """Whom to trust, as the HTTP library takes it."""
        if isinstance(self.verify, str):
            return ssl.create_default_context(cafile=self.verify)
        return known_authorities() if self.verify else False

    def report(self, request: HttpRequest, status: int | None, reply: str) -> None:
        """Calls ``on_exchange`` with a request and its reply, secrets blanked."""
        if self.on_exchange is None:
            return
        headers = {
            name: "***" if name.lower() in _CREDENTIAL_HEADERS else value for name, value in request.headers.items()
        }
        shown = reply if len(reply) <= SHOWN_REPLY else f"{reply[:SHOWN_REPLY]} … ({len(reply)} characters)"
        secrets = [self.secret]
        self.on_exchange(
            Exchange(
                verb=request.verb,
                url=blanked(request.url, secrets),
                headers=headers,
                asked=blanked(request.shown, secrets),
                status=status,
                reply=blanked(shown, secrets),
            )
        )

    def problem(self, request: HttpRequest, error: Exception) -> TransportError:
        """Reports a request that was not answered, and gives what is raised for it."""
        problem = problem_of(error)
        self.report(request, None, str(problem))
        return problem


@functools.cache
def known_authorities() -> ssl.SSLContext:
    """The certificate authorities that are trusted, read once for each process: that takes as long as some calls."""
    return httpx2.create_ssl_context()


def encoded_headers(request: HttpRequest) -> list[tuple[bytes, bytes]]:
    """Headers as bytes: a secret may hold any character, and travels in UTF-8."""
    return [(name.encode("ascii"), value.encode("utf-8", "surrogateescape")) for name, value in request.headers.items()]


def reply_of(response: httpx2.Response, body: bytes) -> HttpReply:
    """A reply as plain data."""
    return HttpReply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def certificate_of(response: httpx2.Response) -> str:
    """SHA-256 of the certificate that the server of a reply showed, in hexadecimal; empty where there was none."""
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    # By its place: what stands behind the stream may be the interpreter's own class, which takes no names.
    shown = tls.getpeercert(True) if tls is not None else None
    return hashlib.sha256(shown).hexdigest() if shown else ""


def problem_of(error: Exception) -> TransportError:
    """What a failure of the HTTP library means: a half sentence, and whether the request may have arrived."""
    words: dict[type[Exception], str] = {
        httpx2.ConnectTimeout: "it does not answer in time",
        httpx2.ReadTimeout: "the reply did not come in time",
        httpx2.WriteTimeout: "it stopped reading the request",
        httpx2.RemoteProtocolError: "the connection broke",
        httpx2.ReadError: "the connection broke",
        httpx2.WriteError: "the connection broke",
    }
    reason = words.get(type(error)) or blanked(str(error)) or type(error).__name__
    return TransportError(reason.rstrip("."), sent=not isinstance(error, _NOT_SENT))


class TooLargeError(TransportError):
    """A reply is longer than any that the API gives."""

    def __init__(self) -> None:
        super().__init__(f"the reply is longer than {MAX_REPLY} bytes", sent=True)


@dataclass(slots=True)
class ReplyBody:
    """The body of a reply as it arrives, no longer than ``MAX_REPLY``.

    Attributes:
        deadline: moment of ``time.monotonic`` at which it must be whole.
    """

    deadline: float = math.inf
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            TooLargeError: there are more than any reply of the API has.
            TransportError: they come too slowly.
        """
        self.size += len(chunk)
        if self.size > MAX_REPLY:
            raise TooLargeError
        if time.monotonic() > self.deadline:
            raise TransportError(f"the reply was not whole after {LONGEST_REPLY_SECONDS:.0f} seconds", sent=True)
        self.chunks.append(chunk)

    def joined(self) -> bytes:
        """All bytes."""
        return b"".join(self.chunks)
