"""The client for ``async`` programs: the same core as the blocking one, on the same calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx2

from backstay.api.replies import StepReply
from backstay.client.backup_loop import BackupLoop
from backstay.client.calls import backups, configuration, filters
from backstay.client.download import DownloadProgress, Way
from backstay.client.endpoints import Endpoint
from backstay.client.flows import Flow, Pause, Send, TransportError, call_flow, detect_flow
from backstay.client.messages import Call, HttpReply, HttpRequest
from backstay.client.options import session_of
from backstay.client.recovery import start_flow, step_flow
from backstay.client.secrecy import keep_secrets_out_of_logs
from backstay.client.signatures import show_as
from backstay.client.sync import Client
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


def _method(build: Callable[P, Call[R]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[R]]:
    """A method of the client from the function that describes its call."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.run(build(*args, **kwargs))

    show_as(method, build)
    return method


class AsyncClient:
    """Calls any server of the Akeeba Backup JSON API without blocking; arguments and errors as for ``Client``.

    Use it as an async context manager, or call ``close``.
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
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        keep_secrets_out_of_logs()
        self._session = session_of(url, secret, version, encapsulation, endpoint)
        self._connection = Connection(secret, timeout, verify, on_exchange)
        self._http = httpx2.AsyncClient(
            transport=transport,
            timeout=self._connection.timeouts(),
            verify=self._connection.trust(),
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self._session.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    @property
    def endpoint(self) -> Endpoint | None:
        """How the server is called; None until the first call found it out."""
        return self._session.endpoint

    @property
    def tried(self) -> Sequence[str]:
        """What the search for the endpoint tried, and what came of it, one line each."""
        return tuple(self._session.tried)

    async def detect(self) -> Endpoint:
        """Finds out how the server is called; errors as for ``Client.detect``."""
        return await self._run(detect_flow(self._session))

    async def run(self, call: Call[R]) -> R:
        """Makes a call; errors as for ``Client.run``."""
        return await self._run(call_flow(self._session, call))

    async def _run(self, flow: Flow[R]) -> R:
        try:
            action = next(flow)
            while True:
                try:
                    outcome = await self._perform(action)
                except TransportError as problem:
                    action = flow.throw(problem)
                else:
                    action = flow.send(outcome)
        except StopIteration as stop:
            result: R = stop.value
            return result

    async def _perform(self, action: Send | Pause) -> HttpReply | None:
        if isinstance(action, Pause):
            await asyncio.sleep(action.seconds)
            return None
        return await self._send(action.request)

    async def _send(self, request: HttpRequest) -> HttpReply:
        chunks, size = [], 0
        try:
            async with self._http.stream(
                request.verb, request.url, headers=encoded_headers(request), content=request.form
            ) as response:
                async for chunk in response.aiter_bytes():
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

    async def backup(
        self,
        profile: int = 1,
        description: str | None = None,
        comment: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[StepReply]:
        """Takes a backup and yields every reply; arguments and errors as for ``Client.backup``."""
        loop = BackupLoop()
        flow = start_flow(self._session, backups.start_backup(profile, description, comment, overrides))
        while True:
            try:
                reply = loop.take(await self._run(flow))
            except RemoteError as error:
                raise loop.failed(error) from None
            yield reply
            if not reply.has_run:
                return
            await asyncio.sleep(loop.pause(reply))
            flow = step_flow(self._session, loop.next_call(), loop.record)

    async def download(
        self,
        backup_id: int,
        folder: Path | str,
        *,
        parts: Sequence[int] = (),
        way: Way = Way.AUTO,
        connections: int = 4,
        chunk_size: int = 1,
        on_progress: Callable[[DownloadProgress], None] | None = None,
    ) -> list[Path]:
        """Downloads the parts of a backup; arguments and errors as for ``Client.download``.

        The work of the disk is done in a thread; cancelling the task stops it, to be resumed later.
        """
        endpoint = self.endpoint or await self.detect()
        stopped = threading.Event()

        def fetch() -> list[Path]:
            with Client(
                self._session.url,
                self._session.secret,
                encapsulation=self._session.envelope.encapsulation if endpoint.version == 1 else None,
                endpoint=endpoint,
                timeout=self._connection.timeout,
                verify=self._connection.verify,
                on_exchange=self._connection.on_exchange,
            ) as client:
                return client.download(
                    backup_id,
                    folder,
                    parts=parts,
                    way=way,
                    connections=connections,
                    chunk_size=chunk_size,
                    on_progress=on_progress,
                    stop=stopped.is_set,
                )

        try:
            return await asyncio.to_thread(fetch)
        finally:
            stopped.set()

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
