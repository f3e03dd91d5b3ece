"""The client that blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import httpx2

from backstay.api.methods.records import DOWNLOAD_DIRECT
from backstay.api.replies import StepReply
from backstay.client.backup_loop import BackupLoop
from backstay.client.base import BaseClient
from backstay.client.calls import backups
from backstay.client.download import DownloadMethod, DownloadProgress, download_archive
from backstay.client.endpoints import Endpoint
from backstay.client.fetch import PartStream
from backstay.client.flows import Flow, Pause, Send, TransportError, call_flow, detect_flow, redirected
from backstay.client.messages import Call, HttpReply, HttpRequest, build_request
from backstay.client.redirects import MAX_REDIRECTS, REDIRECT_STATUSES
from backstay.client.transport import (
    HTTP_ERRORS,
    LONGEST_REPLY_SECONDS,
    ReplyBody,
    certificate_of,
    encoded_headers,
    problem_of,
    reply_of,
)

R = TypeVar("R")
P = ParamSpec("P")


def _chunks(response: httpx2.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes()
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise problem_of(error) from None


class Client(BaseClient[httpx2.BaseTransport, httpx2.Client]):
    """Calls any server of the Akeeba Backup JSON API.

    The first call finds out which version of the API the server answers, newest first; what worked is kept in
    ``endpoint``. Use it as a context manager, or call ``close``.

    Attributes:
        wait: waits for so many seconds, between the tries of a call and the steps of a backup.
    """

    wait: Callable[[float], None] = staticmethod(time.sleep)

    def _open(self, transport: httpx2.BaseTransport | None) -> httpx2.Client:
        connection = self._connection
        return httpx2.Client(
            transport=transport, timeout=connection.timeouts(), verify=connection.trust(), follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def detect(self) -> Endpoint:
        """Finds out how the server is called, newest version of the API first.

        Raises:
            AuthenticationError: the server answers the API and does not know the secret.
            ProtocolError: nothing answers the API; the message lists what was tried.
            ConnectionFailedError: the server cannot be reached.
        """
        return self._run(detect_flow(self._session))

    def run(self, call: Call[R]) -> R:
        """Makes a call.

        Raises:
            AuthenticationError: the server does not know the secret (statuses 401 and 503).
            PermissionDeniedError: the secret or token does not allow this (403).
            NotFoundError: what was named does not exist (404).
            RemoteError: any other error of the API; ``status`` says which.
            ProtocolError: the answer is not the API's.
            ConnectionFailedError: the server cannot be reached, or the connection broke.
        """
        return self._run(call_flow(self._session, call))

    def _run(self, flow: Flow[R]) -> R:
        try:
            action = next(flow)
            while True:
                try:
                    outcome = self._perform(action)
                except TransportError as problem:
                    action = flow.throw(problem)
                else:
                    action = flow.send(outcome)
        except StopIteration as stop:
            result: R = stop.value
            return result

    def _perform(self, action: Send | Pause) -> HttpReply | None:
        if isinstance(action, Pause):
            self.wait(action.seconds)
            return None
        return self._send(action.request)

    def _send(self, request: HttpRequest) -> HttpReply:
        body = ReplyBody(deadline=time.monotonic() + LONGEST_REPLY_SECONDS)
        try:
            with self._http.stream(
                request.verb, request.url, headers=encoded_headers(request), content=request.form
            ) as response:
                self.certificate = certificate_of(response) or self.certificate
                for chunk in response.iter_bytes():
                    body.add(chunk)
        except HTTP_ERRORS as error:
            raise self._connection.problem(request, error) from None
        reply = reply_of(response, body.joined())
        self._connection.report(request, reply.status, reply.text)
        return reply

    @contextmanager
    def open_part(self, backup_id: int, part_id: int = 1, range_header: str = "") -> Iterator[PartStream]:
        """Asks for a part as it is; ``download`` does all that is needed to keep it.

        Args:
            backup_id: number of the record.
            part_id: number of the part, from 1.
            range_header: value of a Range header, or nothing for the whole part.

        Yields:
            The reply, whatever its status; it must be read inside the ``with`` block.

        Raises:
            TransportError: the connection failed, before or while the part was read.
        """
        endpoint = self.endpoint or self.detect()
        data = {"backup_id": backup_id, "part_id": part_id}
        request = build_request(endpoint, Call(DOWNLOAD_DIRECT, data), self._session.secret, self._session.envelope)
        if range_header:
            request = replace(request, headers={**request.headers, "Range": range_header})
        try:
            for _ in range(MAX_REDIRECTS + 1):
                with self._http.stream("GET", request.url, headers=encoded_headers(request)) as response:
                    reply = reply_of(response, b"")
                    location = reply.headers.get("location", "")
                    if reply.status not in REDIRECT_STATUSES or not location:
                        self._connection.report(request, reply.status, "(a file)")
                        yield PartStream(reply.status, reply.headers, _chunks(response))
                        return
                    request = redirected(self._session.url, request, reply.status, location)
        except HTTP_ERRORS as error:
            raise problem_of(error) from None
        raise TransportError(f"more than {MAX_REDIRECTS} redirects", sent=True)

    def backup(
        self,
        profile: int = 1,
        description: str | None = None,
        comment: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Iterator[StepReply]:
        """Takes a backup and yields every reply, the last of which has ``has_run`` false.

        Waits between the steps as the server asks. Leaving the loop early does not stop the server. Where the answer
        to the start is lost, the backup is found again by a random mark that is added to its comment.

        Args:
            profile: number of the profile.
            description: title of the record.
            comment: its comment.
            overrides: dotted configuration keys and values, for this backup only.

        Raises:
            BackupFailedError: the server says that the backup failed.
            RemoteError: it answers with another error.
        """
        loop = BackupLoop(self._session, backups.start_backup(profile, description, comment, overrides))
        while loop.runs:
            yield self._run(loop.advance())

    def backup_loop(self, start: Call[StepReply], mark: str = "", looks: int = 0) -> BackupLoop:
        """The steps of a backup for who writes down what comes of each: give it to ``advance``.

        Args:
            start: the ``startBackup``.
            mark: see ``recovery.new_mark``.
            looks: how often the mark is looked for before anything is started; 0: it is a new one.
        """
        return BackupLoop(self._session, start, mark=mark, looks=looks)

    def advance(self, loop: BackupLoop) -> StepReply:
        """Starts or steps a backup; errors as for ``backup``."""
        return self._run(loop.advance())

    def download(
        self,
        backup_id: int,
        folder: Path | str,
        *,
        parts: Sequence[int] = (),
        way: DownloadMethod = DownloadMethod.AUTO,
        connections: int = 4,
        chunk_size: int = 1,
        on_progress: Callable[[DownloadProgress], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> list[Path]:
        """Downloads the parts of a backup into a folder.

        Each part is written to ``name.part``, synced, checked for its size and renamed. A download that broke off,
        even with the program, is resumed where it was when it is asked for again.

        Args:
            backup_id: number of the record.
            folder: where the parts go; made if it is not there.
            parts: numbers of the parts wanted; empty: all.
            way: how to fetch them; AUTO takes ranges where the server has them and falls back to segments.
            connections: how many connections at once, where the server answers ranges.
            chunk_size: size of a segment in MiB; servers of old levels leave holes for anything but 1.
            on_progress: called with what has arrived, often.
            stop: asked often; answering True breaks the download off, to be resumed later.

        Returns:
            The files, in the order of the parts.

        Raises:
            NotFoundError: no such record or part, or its files are gone.
            VerificationError: what arrived has another size than the server says.
            ConnectionFailedError: the connection broke and could not be resumed.
        """
        return download_archive(
            self, backup_id, Path(folder), tuple(parts), way, connections, chunk_size, on_progress, stop
        )
