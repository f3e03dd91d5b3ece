"""Fetching one part: directly, in ranges over several connections, or segment by segment."""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from backstay.api.status import Status, error_of_status
from backstay.client.calls.backups import download_segment
from backstay.client.flows import TransportError, message_of
from backstay.client.messages import Call, find_answer
from backstay.client.part_file import PartFile, Run
from backstay.errors import (
    BackstayError,
    ConnectionFailedError,
    NotFoundError,
    ProtocolError,
    VerificationError,
)

R = TypeVar("R")

LONGEST_MESSAGE = 65536
SMALLEST_RUN = 16 * 1024 * 1024
TRIES_WITHOUT_PROGRESS = 6
LONGEST_SEGMENTS = 10_000_000
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_TEMPORARY = frozenset({408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524})


@dataclass
class PartStream:
    """A file that a server is sending.

    Attributes:
        status: HTTP status.
        headers: lower-case headers.
        chunks: the bytes, decoded from any transfer coding.
    """

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes] = field(repr=False)


class PartSource(Protocol):
    """What fetching needs of a client."""

    def run(self, call: Call[R]) -> R:
        """Makes a call."""
        ...

    def open_part(self, backup_id: int, part_id: int, range_header: str) -> AbstractContextManager[PartStream]:
        """Asks for a part as it is, or for a range of it; raises ``TransportError`` where the connection fails."""
        ...


class DirectRefusedError(Exception):
    """The server does not send the part as it is; ``meaning`` is the error to raise if there is no other way."""

    def __init__(self, meaning: BackstayError) -> None:
        super().__init__(str(meaning))
        self.meaning = meaning


class _BrokenOffError(Exception):
    """A run ended early; it may be resumed."""


def fetch_direct(source: PartSource, backup_id: int, part_id: int, file: PartFile, connections: int) -> None:
    """Fetches what is missing of a part with ``downloadDirect``.

    Raises:
        DirectRefusedError: the server does not send it so.
        ConnectionFailedError: the connection broke, again and again.
        VerificationError: the file on the server is another than before, or has another size.
    """
    fetcher = _Fetcher(source, backup_id, part_id, file)
    if connections > 1 and file.size >= 2 * SMALLEST_RUN and fetcher.has_ranges():
        file.split(connections, SMALLEST_RUN)
    waiting = [run for run in file.runs if not run.done]
    if len(waiting) == 1:
        fetcher.fetch(waiting[0])
    elif waiting:
        fetcher.fetch_all(waiting, connections)


@dataclass
class _Fetcher:
    source: PartSource
    backup_id: int
    part_id: int
    file: PartFile
    given_up: threading.Event = field(default_factory=threading.Event)

    def has_ranges(self) -> bool:
        """Whether the server sends a range when asked for one; asks for the first byte."""
        try:
            with self.source.open_part(self.backup_id, self.part_id, "bytes=0-0") as stream:
                return stream.status == 206
        except TransportError:
            return False

    def fetch_all(self, runs: list[Run], connections: int) -> None:
        """Fetches runs at the same time; the first failure stops the others."""
        with ThreadPoolExecutor(connections, thread_name_prefix="download") as pool:
            futures = [pool.submit(self.fetch, run) for run in runs]
            try:
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
            finally:
                self.given_up.set()
                pool.shutdown(cancel_futures=True)

    def fetch(self, run: Run) -> None:
        """Fetches one run to its end, resuming it where the connection breaks."""
        fruitless = 0
        while not run.done and not self.given_up.is_set():
            before = run.position
            try:
                self._fetch_once(run)
            except (TransportError, _BrokenOffError) as problem:
                fruitless = 0 if run.position > before else fruitless + 1
                if fruitless >= TRIES_WITHOUT_PROGRESS:
                    raise ConnectionFailedError(
                        f"The download of {self.file.target.name} broke off ({problem}): ask for it again to go on "
                        "where it was."
                    ) from None
                self.given_up.wait(min(0.25 * 2**fruitless, 10.0))

    def _fetch_once(self, run: Run) -> None:
        ranged = run.position > 0 or run.end < self.file.size
        asked = f"bytes={run.position}-{run.end - 1}" if ranged else ""
        with self.source.open_part(self.backup_id, self.part_id, asked) as stream:
            self._check(stream, run)
            skip = run.position if stream.status == 200 else 0
            for chunk in stream.chunks:
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                useful = chunk[skip : skip + run.end - run.position]
                skip = 0
                self.file.write(run, useful)
                if run.done or self.given_up.is_set():
                    break
        if not run.done and not self.given_up.is_set():
            raise _BrokenOffError("the reply was cut short")

    def _check(self, stream: PartStream, run: Run) -> None:
        if stream.status in _TEMPORARY:
            raise _BrokenOffError(f"HTTP {stream.status}")
        if stream.status not in (200, 206) or _is_message(stream.headers):
            raise self._refusal(stream)
        if stream.status == 206:
            self._check_range(stream.headers, run)
        elif (length := stream.headers.get("content-length", "")) and not stream.headers.get("content-encoding"):
            self._check_size(length)
        self._check_version(stream.headers.get("etag", ""))

    def _check_range(self, headers: Mapping[str, str], run: Run) -> None:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None or int(match[1]) != run.position or headers.get("content-encoding", "identity") != "identity":
            raise DirectRefusedError(ProtocolError("The server answers a range with another one than was asked for."))
        if match[3] != "*":
            self._check_size(match[3])

    def _check_size(self, sent: str) -> None:
        if sent.isdigit() and int(sent) != self.file.size:
            raise VerificationError(
                f"The server sends {self.file.target.name} with {sent} bytes and says that it has {self.file.size}: "
                "the file is damaged or still being written."
            )

    def _check_version(self, version: str) -> None:
        if version and self.file.validator and version != self.file.validator:
            self.file.restart()
            raise VerificationError(
                f"{self.file.target.name} changed on the server since its download was begun: ask for it again."
            )
        self.file.validator = version or self.file.validator

    def _refusal(self, stream: PartStream) -> BackstayError | DirectRefusedError:
        body = b""
        try:
            for chunk in stream.chunks:
                body += chunk
                if len(body) > LONGEST_MESSAGE:
                    break
        except TransportError:
            pass
        text = body[:LONGEST_MESSAGE].decode("utf-8", "replace")
        answer = find_answer(text)
        if answer is not None and answer.status != Status.OK:
            return DirectRefusedError(error_of_status(answer.status, message_of(answer.data)))
        if stream.status == Status.NOT_ALLOWED:
            return error_of_status(Status.NOT_ALLOWED, _sentence(text))
        if stream.status in (Status.NOT_FOUND, Status.ERROR):
            return DirectRefusedError(error_of_status(stream.status, _sentence(text)))
        return DirectRefusedError(ProtocolError(f"The server answers downloadDirect with HTTP {stream.status}."))


def _is_message(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ("application/json", "text/html", "text/plain") and "content-disposition" not in headers


def _sentence(text: str) -> str:
    return "" if "<" in text else " ".join(text.split())[:300]


def fetch_segments(source: PartSource, backup_id: int, part_id: int, file: PartFile, chunk_size: int) -> None:
    """Fetches what is missing of a part with ``download``, one segment after the other.

    Where a segment begins is never computed: servers of different levels cut differently, so segments are only put one
    after the other (api-methods.md 3).

    Raises:
        NotFoundError: there is no such record or part.
        VerificationError: the segments together are longer than the part.
    """
    run = file.runs[0]
    for segment in range(file.segments + 1, LONGEST_SEGMENTS):
        if run.done:
            return
        try:
            text = source.run(download_segment(backup_id, part_id, segment, chunk_size))
        except NotFoundError:
            if segment == 1:
                raise
            return
        data = _decoded(text, file)
        if not data:
            return
        if run.position + len(data) > run.end:
            file.restart()
            raise VerificationError(
                f"The server sends more of {file.target.name} than the {file.size} bytes that it says it has."
            )
        file.write(run, data, segment=segment)


def _decoded(text: str, file: PartFile) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError(f"The server sent a segment of {file.target.name} that is not base64.") from None
