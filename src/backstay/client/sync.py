"""The client that blocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2

from backstay.api.methods.records import DOWNLOAD_DIRECT
from backstay.api.replies import StepReply
from backstay.client.backup_loop import BackupLoop
from backstay.client.calls import backups, configuration, filters
from backstay.client.download import DownloadProgress, Way, download_archive
from backstay.client.endpoints import Endpoint
from backstay.client.fetch import PartStream
from backstay.client.flows import Flow, Pause, Send, TransportError, call_flow, detect_flow, redirected
from backstay.client.messages import Call, HttpReply, HttpRequest, build_request
from backstay.client.options import session_of
from backstay.client.recovery import start_flow, step_flow
from backstay.client.redirects import MAX_REDIRECTS, REDIRECT_STATUSES
from backstay.client.secrecy import keep_secrets_out_of_logs
from backstay.client.signatures import show_as
from backstay.client.transport import (
    MAX_REPLY,
    Connection,
    Exchange,
    TooLargeError,
    encoded_headers,
    problem_of,
    reply_of,
)
from backstay.errors import RemoteError

R = TypeVar("R")
P = ParamSpec("P")


def _method(build: Callable[P, Call[R]]) -> Callable[Concatenate[Client, P], R]:
    """A method of the client from the function that describes its call."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.run(build(*args, **kwargs))

    show_as(method, build)
    return method


def _chunks(response: httpx2.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes()
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise problem_of(error) from None


class Client:
    """Calls any server of the Akeeba Backup JSON API.

    The first call finds out which version of the API the server answers, newest first; what worked is kept in
    ``endpoint``. Use it as a context manager, or call ``close``.

    Args:
        url: address of the site, or of its API in any of the forms that clients are given.
        secret: the secret word, or a token.
        version: only use this version of the API, 1, 2 or 3.
        encapsulation: only use version 1, its requests written so: 1 (RAW) to 5 (AES-256-CBC).
        endpoint: what an earlier client found, to be tried first.
        timeout: seconds to wait for the next bytes of a reply.
        verify: False to accept any certificate, or the path of a file of certificates to trust.
        on_exchange: called with every request and its reply, secrets blanked.
        transport: a transport of the HTTP library, for tests.

    Raises:
        UsageError: the address is no HTTP address, or the secret cannot travel in a header.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        version: int | None = None,
        encapsulation: int | None = None,
        endpoint: Endpoint | None = None,
        timeout: float = 60.0,
        verify: bool | str = True,
        on_exchange: Callable[[Exchange], None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        keep_secrets_out_of_logs()
        self._session = session_of(url, secret, version, encapsulation, endpoint)
        self._connection = Connection(secret, timeout, verify, on_exchange)
        self._http = httpx2.Client(
            transport=transport,
            timeout=self._connection.timeouts(),
            verify=self._connection.trust(),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"Client({self._session.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    @property
    def endpoint(self) -> Endpoint | None:
        """How the server is called; None until the first call found it out."""
        return self._session.endpoint

    @property
    def tried(self) -> Sequence[str]:
        """What the search for the endpoint tried, and what came of it, one line each."""
        return tuple(self._session.tried)

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
            RemoteError: any other error of the API; ``status`` tells which.
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
            time.sleep(action.seconds)
            return None
        return self._send(action.request)

    def _send(self, request: HttpRequest) -> HttpReply:
        chunks, size = [], 0
        try:
            with self._http.stream(
                request.verb, request.url, headers=encoded_headers(request), content=request.form
            ) as response:
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > MAX_REPLY:
                        raise TooLargeError
                    chunks.append(chunk)
                reply = reply_of(response, b"".join(chunks))
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            problem = problem_of(error)
            self._connection.tell(request, None, str(problem))
            raise problem from None
        self._connection.tell(request, reply.status, reply.text)
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
                        self._connection.tell(request, reply.status, "(a file)")
                        yield PartStream(reply.status, reply.headers, _chunks(response))
                        return
                    request = redirected(self._session.url, request, reply.status, location)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
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
        loop = BackupLoop()
        flow = start_flow(self._session, backups.start_backup(profile, description, comment, overrides))
        while True:
            try:
                reply = loop.take(self._run(flow))
            except RemoteError as error:
                raise loop.failed(error) from None
            yield reply
            if not reply.has_run:
                return
            time.sleep(loop.pause(reply))
            flow = step_flow(self._session, loop.next_call(), loop.record)

    def download(
        self,
        backup_id: int,
        folder: Path | str,
        *,
        parts: Sequence[int] = (),
        way: Way = Way.AUTO,
        connections: int = 4,
        chunk_size: int = 1,
        on_progress: Callable[[DownloadProgress], None] | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> list[Path]:
        """Downloads the parts of a backup into a folder.

        Each part is written to ``name.part``, synced, checked for its size and renamed. A download that broke off,
        even with the program, is taken up where it was when it is asked for again.

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
            ConnectionFailedError: the connection broke and could not be taken up again.
        """
        return download_archive(
            self, backup_id, Path(folder), tuple(parts), way, connections, chunk_size, on_progress, stop
        )

    get_version = _method(backups.get_version)
    get_profiles = _method(backups.get_profiles)
    start_backup = _method(backups.start_backup)
    step_backup = _method(backups.step_backup)
    list_backups = _method(backups.list_backups)
    get_backup_info = _method(backups.get_backup_info)
    download_segment = _method(backups.download_segment)
    delete = _method(backups.delete)
    delete_files = _method(backups.delete_files)
    log = _method(backups.log)
    export_configuration = _method(configuration.export_configuration)
    import_configuration = _method(configuration.import_configuration)
    get_gui_configuration = _method(configuration.get_gui_configuration)
    save_configuration = _method(configuration.save_configuration)
    save_profile = _method(configuration.save_profile)
    delete_profile = _method(configuration.delete_profile)
    browse = _method(configuration.browse)
    update_get_information = _method(configuration.update_get_information)
    update_download = _method(configuration.update_download)
    update_extract = _method(configuration.update_extract)
    update_install = _method(configuration.update_install)
    get_db_roots = _method(filters.get_db_roots)
    get_db_filters = _method(filters.get_db_filters)
    get_db_entities = _method(filters.get_db_entities)
    set_db_filter = _method(filters.set_db_filter)
    get_regex_db_filters = _method(filters.get_regex_db_filters)
    set_regex_db_filter = _method(filters.set_regex_db_filter)
    get_fs_roots = _method(filters.get_fs_roots)
    get_fs_filters = _method(filters.get_fs_filters)
    get_fs_entities = _method(filters.get_fs_entities)
    set_fs_filter = _method(filters.set_fs_filter)
    get_regex_fs_filters = _method(filters.get_regex_fs_filters)
    set_regex_fs_filter = _method(filters.set_regex_fs_filter)
    get_included_directories = _method(filters.get_included_directories)
    set_included_directory = _method(filters.set_included_directory)
    remove_included_directory = _method(filters.remove_included_directory)
    get_included_dbs = _method(filters.get_included_dbs)
    set_included_db = _method(filters.set_included_db)
    remove_included_db = _method(filters.remove_included_db)
    test_db_connection = _method(filters.test_db_connection)
