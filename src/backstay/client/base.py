"""What the blocking and the async client share: how they are made, and every method of the API, declared once."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from backstay.client.calls import backups, configuration, filters
from backstay.client.endpoints import Endpoint
from backstay.client.messages import Call
from backstay.client.options import session_of
from backstay.client.secrecy import keep_secrets_out_of_logs
from backstay.client.signatures import show_as
from backstay.client.transport import Connection, Exchange

if TYPE_CHECKING:
    from backstay.client.asynchronous import AsyncClient
    from backstay.client.sync import Client

R = TypeVar("R")
P = ParamSpec("P")
Transport = TypeVar("Transport")
Http = TypeVar("Http")


class ApiMethod(Generic[P, R]):
    """A method of the API: blocking on a ``Client``, to be awaited on an ``AsyncClient``.

    It has the name, docstring and signature of the function that describes its call.

    Args:
        build: that function.
    """

    def __init__(self, build: Callable[P, Call[R]]) -> None:
        def blocking(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
            return self.run(build(*args, **kwargs))

        async def awaited(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
            return await self.run(build(*args, **kwargs))

        show_as(blocking, build)
        show_as(awaited, build)
        self._blocking, self._awaited = blocking, awaited

    @overload
    def __get__(self, client: Client, owner: type[Client]) -> Callable[P, R]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type[AsyncClient]) -> Callable[P, Coroutine[Any, Any, R]]: ...
    @overload
    def __get__(self, client: None, owner: type[Client]) -> Callable[Concatenate[Client, P], R]: ...
    @overload
    def __get__(
        self, client: None, owner: type[AsyncClient]
    ) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, R]]: ...
    def __get__(self, client: Any, owner: Any) -> Any:
        function = self._awaited if inspect.iscoroutinefunction(owner.run) else self._blocking
        return function if client is None else function.__get__(client, owner)


class BaseClient(ABC, Generic[Transport, Http]):
    """A client of the API, apart from how it waits.

    Attributes:
        certificate: SHA-256 of the certificate that the server showed last, in hexadecimal; empty: none yet.
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
        transport: Transport | None = None,
    ) -> None:
        """Makes a client; nothing is sent yet.

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
        keep_secrets_out_of_logs()
        self._session = session_of(url, secret, version, encapsulation, endpoint)
        self._connection = Connection(secret, timeout, verify, on_exchange)
        self._http = self._open(transport)
        self.certificate = ""

    @abstractmethod
    def _open(self, transport: Transport | None) -> Http:
        """The HTTP library's client, made with the options of the connection; it follows no redirects."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session.url!r})"

    @property
    def endpoint(self) -> Endpoint | None:
        """How the server is called; None until the first call found it out."""
        return self._session.endpoint

    @property
    def tried(self) -> Sequence[str]:
        """What the search for the endpoint tried, and what came of it, one line each."""
        return tuple(self._session.tried)

    get_version = ApiMethod(backups.get_version)
    get_profiles = ApiMethod(backups.get_profiles)
    start_backup = ApiMethod(backups.start_backup)
    step_backup = ApiMethod(backups.step_backup)
    list_backups = ApiMethod(backups.list_backups)
    get_backup_info = ApiMethod(backups.get_backup_info)
    download_segment = ApiMethod(backups.download_segment)
    delete = ApiMethod(backups.delete)
    delete_files = ApiMethod(backups.delete_files)
    log = ApiMethod(backups.log)
    export_configuration = ApiMethod(configuration.export_configuration)
    import_configuration = ApiMethod(configuration.import_configuration)
    get_gui_configuration = ApiMethod(configuration.get_gui_configuration)
    save_configuration = ApiMethod(configuration.save_configuration)
    save_profile = ApiMethod(configuration.save_profile)
    delete_profile = ApiMethod(configuration.delete_profile)
    browse = ApiMethod(configuration.browse)
    update_get_information = ApiMethod(configuration.update_get_information)
    update_download = ApiMethod(configuration.update_download)
    update_extract = ApiMethod(configuration.update_extract)
    update_install = ApiMethod(configuration.update_install)
    get_db_roots = ApiMethod(filters.get_db_roots)
    get_db_filters = ApiMethod(filters.get_db_filters)
    get_db_entities = ApiMethod(filters.get_db_entities)
    set_db_filter = ApiMethod(filters.set_db_filter)
    get_regex_db_filters = ApiMethod(filters.get_regex_db_filters)
    set_regex_db_filter = ApiMethod(filters.set_regex_db_filter)
    get_fs_roots = ApiMethod(filters.get_fs_roots)
    get_fs_filters = ApiMethod(filters.get_fs_filters)
    get_fs_entities = ApiMethod(filters.get_fs_entities)
    set_fs_filter = ApiMethod(filters.set_fs_filter)
    get_regex_fs_filters = ApiMethod(filters.get_regex_fs_filters)
    set_regex_fs_filter = ApiMethod(filters.set_regex_fs_filter)
    get_included_directories = ApiMethod(filters.get_included_directories)
    set_included_directory = ApiMethod(filters.set_included_directory)
    remove_included_directory = ApiMethod(filters.remove_included_directory)
    get_included_dbs = ApiMethod(filters.get_included_dbs)
    set_included_db = ApiMethod(filters.set_included_db)
    remove_included_db = ApiMethod(filters.remove_included_db)
    test_db_connection = ApiMethod(filters.test_db_connection)
