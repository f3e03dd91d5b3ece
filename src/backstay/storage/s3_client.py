"""Signed requests to a bucket: tried again while that may help, their errors reported in one sentence."""

from __future__ import annotations

import random
import ssl
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

import httpx2

from backstay.errors import (
    AuthenticationError,
    BackstayError,
    ConnectionFailedError,
    DiskFullError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    VerificationError,
)
from backstay.storage.s3_signature import EMPTY_SHA256, Credentials, encode_path, encode_query, signed_headers

MOST_ANSWER = 16 << 20
"""Bytes of an answer that is no file: a list of a thousand names is far below."""
_PATIENCE = 20.0
_TIMEOUT = httpx2.Timeout(10.0, read=30.0, write=30.0)
_AGAIN_STATUSES = {408, 429, 500, 502, 503, 504}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody", "InvalidDigest"}
_AGAIN_CODES = {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", *_DAMAGED}

T = TypeVar("T")
_Sentence = tuple[type[BackstayError], str]
_TOKEN: _Sentence = (
    AuthenticationError,
    "{label} says that the session token is wrong or has expired: enter the credentials again.",
)
_FULL: _Sentence = (DiskFullError, "{label} is full: free space there, or keep fewer backups.")
_MISSING: _Sentence = (NotFoundError, "{what} is not there.")
_CLOCK: _Sentence = (
    AuthenticationError,
    "The clock of this machine differs too much from that of {label}: set the clock.",
)
_ELSEWHERE: _Sentence = (
    StorageError,
    "{label} lies in another region: correct its region{region} or its endpoint.",
)
_DENIED: _Sentence = (PermissionDeniedError, "{what} is not open to this key: check the key and its rights.")
_ALTERED: _Sentence = (
    VerificationError,
    "{what} arrives with other bytes than were sent: check the network between.",
)
_FAILS: _Sentence = (ConnectionFailedError, "{label} fails at this time ({answer}): try again later.")
_REFUSED: _Sentence = (StorageError, "{what} was refused ({answer}{detail}); check the settings of the destination.")
_SENTENCES: Mapping[str, _Sentence] = {
    "InvalidAccessKeyId": (
        AuthenticationError,
        "{label} does not know the access key id: enter the credentials again.",
    ),
    "SignatureDoesNotMatch": (
        AuthenticationError,
        "{label} says that the secret access key is wrong: enter the credentials again.",
    ),
    "InvalidToken": _TOKEN,
    "ExpiredToken": _TOKEN,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "NoSuchBucket": (NotFoundError, "The bucket of {label} does not exist: create it, or correct its name."),
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "AccessDenied": _DENIED,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioStorageFull": _FULL,
    **dict.fromkeys(_DAMAGED, _ALTERED),
}
_SENTENCES_BY_STATUS: Mapping[int, _Sentence] = {401: _DENIED, 403: _DENIED, 404: _MISSING, 507: _FULL}

Body = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and how to reach it.

    Attributes:
        endpoint: scheme and host of the service.
        name: of the bucket.
        region: that signatures name.
        in_path: the bucket stands in the path, not before the host.
        label: how messages call it.
    """

    endpoint: httpx2.URL
    name: str
    region: str
    in_path: bool
    label: str

    def host(self) -> str:
        """Return the Host header."""
        host = self.endpoint.netloc.decode("ascii")
        return host if self.in_path else f"{self.name}.{host}"

    def path(self, key: str) -> str:
        """Return the encoded path of a key, or of the bucket for an empty one."""
        start = self.endpoint.path.rstrip("/")
        return encode_path(f"{start}/{self.name}/{key}" if self.in_path else f"{start}/{key}")


class S3Error(Exception):
    """A service answered with an error.

    Attributes:
        status: of HTTP.
        code: of S3, or empty.
        detail: the service's own words, shortened.
        region: where the bucket lies, where the service says so.
        wait: seconds after which the service wants to be asked again.
    """

    def __init__(self, status: int, code: str, detail: str, region: str = "", wait: float = 0.0) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.detail, self.region, self.wait = status, code, detail, region, wait

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.code in _AGAIN_CODES or self.status in _AGAIN_STATUSES


@cache
def known_authorities() -> ssl.SSLContext:
    """Return the certificate authorities that are trusted, read once for each process: that takes 50 milliseconds."""
    return httpx2.create_ssl_context()


class S3Client:
    """Sends requests to one bucket; safe to use from many threads."""

    def __init__(self, bucket: Bucket, credentials: Credentials) -> None:
        self.bucket = bucket
        self._credentials = credentials
        self._http = httpx2.Client(
            timeout=_TIMEOUT,
            verify=known_authorities(),
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=20),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: Body | None = None,
        size: int = 0,
        sha256: str = EMPTY_SHA256,
    ) -> tuple[httpx2.Headers, bytes]:
        """Send a request and read its answer.

        Args:
            method: of HTTP.
            key: of an object, or empty for the bucket.
            query: parameters.
            headers: further ones, names in lower case.
            body: gives the body anew for each attempt.
            size: of the body.
            sha256: of the body, hexadecimal.

        Raises:
            S3Error: the service refuses, or still fails after many attempts.
            ConnectionFailedError: it cannot be reached.
        """

        def attempt() -> tuple[httpx2.Headers, bytes]:
            with self._send(method, key, query, headers, body=body, size=size, sha256=sha256) as response:
                content = read_bounded(response, MOST_ANSWER)
                if content.lstrip()[:400].find(b"<Error") >= 0:  # a CompleteMultipartUpload fails with status 200
                    raise _error_in(response.status_code, content)
                return response.headers, content

        return self.trying(attempt)

    @contextmanager
    def open(self, key: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """Open the content of an object, in one attempt."""
        with self._send("GET", key, None, headers) as response:
            yield response

    def trying(self, attempt: Callable[[], T]) -> T:
        """Try again, with growing pauses or those that the service asks for, for some seconds at most."""
        pause, deadline = 0.2, time.monotonic() + _PATIENCE
        while True:
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311  spreads attempts, guards nothing
            try:
                return attempt()
            except httpx2.TransportError as error:
                if time.monotonic() + wait > deadline or isinstance(error, httpx2.UnsupportedProtocol):
                    raise ConnectionFailedError(
                        f"{self.bucket.label} can't be reached ({_reason(error)}): check the address and the network."
                    ) from None
            except S3Error as error:
                wait = max(wait, error.wait)
                if not error.may_pass or time.monotonic() + wait > deadline:
                    raise
            time.sleep(wait)
            pause = min(pause * 2, 5.0)

    @contextmanager
    def _send(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        *,
        body: Body | None = None,
        size: int = 0,
        sha256: str = EMPTY_SHA256,
    ) -> Iterator[httpx2.Response]:
        host, path, text = self.bucket.host(), self.bucket.path(key), encode_query(query or {})
        named = signed_headers(
            self._credentials,
            self.bucket.region,
            method=method,
            host=host,
            path=path,
            query=text,
            headers=headers or {},
            payload_sha256=sha256,
            now=datetime.now(UTC),
        )
        named["accept-encoding"] = "identity"
        if body is not None or method in {"PUT", "POST"}:
            named["content-length"] = str(size)
        url = f"{self.bucket.endpoint.scheme}://{host}{path}" + (f"?{text}" if text else "")
        with self._http.stream(method, url, headers=named, content=body() if body else None) as response:
            if response.status_code >= 300:
                raise _error_in(response.status_code, read_bounded(response, MOST_ANSWER), response.headers)
            yield response

    def sentence(self, error: S3Error, name: str = "") -> BackstayError:
        """Return the error a user meets for one of the service."""
        label = self.bucket.label
        words = {
            "label": label,
            "what": f"{name} in {label}" if name else label,
            "region": f" (region={error.region})" if error.region else "",
            "answer": f"{error.status} {error.code}".strip(),
            "detail": f": {error.detail}" if error.detail else "",
        }
        kind, text = _SENTENCES.get(error.code) or _SENTENCES_BY_STATUS.get(error.status) or _REFUSED
        if error.may_pass and error.code not in _SENTENCES:
            kind, text = _FAILS
        return kind(text.format_map(words))


def read_bounded(response: httpx2.Response, most: int) -> bytes:
    """Read an answer of at most so many bytes.

    Raises:
        StorageError: there are more.
    """
    return b"".join(read_pieces(response, most))


def read_pieces(response: httpx2.Response, most: int) -> list[bytes]:
    """Read an answer of at most so many bytes, as it arrives.

    Raises:
        StorageError: there are more.
    """
    pieces, size = [], 0
    for piece in response.iter_raw():
        size += len(piece)
        if size > most:
            raise StorageError(f"{response.url.host} sends more than was asked for: check the address.")
        pieces.append(piece)
    return pieces


def parse_xml(content: bytes) -> ET.Element:
    """Parse an answer, names without their namespace.

    Raises:
        StorageError: it is not XML, or declares entities.
    """
    declares = b"<!DOCTYPE" in content or b"<!ENTITY" in content
    try:
        root = ET.fromstring(b"" if declares else content)  # noqa: S314  bounded in size, and without entities
    except ET.ParseError:
        raise StorageError("The service answers something that is not S3: check the endpoint.") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _error_in(status: int, content: bytes, headers: Mapping[str, str] | None = None) -> S3Error:
    named = headers or {}
    region, after = named.get("x-amz-bucket-region", ""), named.get("retry-after", "")
    # The other form, a date, depends on this machine's clock: the growing pauses do instead.
    wait = float(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0.0
    try:
        root = parse_xml(content)
    except StorageError:
        return S3Error(status, "", "", region, wait)
    detail = "".join(letter for letter in root.findtext("Message", "")[:200] if letter.isprintable())
    region = region or root.findtext("Region", "")[:40]
    return S3Error(status, root.findtext("Code", "")[:60], detail, region, wait)


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer in time"
    return str(error)[:200] or type(error).__name__
