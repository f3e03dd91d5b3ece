"""Running the server: its socket, its log, its end."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import ssl
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from backstay.api.strength import weakness
from backstay.errors import BackstayError, ConfigurationError
from backstay.jobs.installation import Installation, api_secret
from backstay.jobs.supervision import Supervisor
from backstay.server.application import create_application
from backstay.server.certificate import Certificate
from backstay.server.protocol import limited_protocol

_GRACE_SECONDS = 20
_LISTENERS = 2048


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: name or address.
        port: 0 for a free one.

    Raises:
        BackstayError: the port is taken, or the address is not one of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise BackstayError(f"There is no address {host}: give one of this machine with --host.") from error
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_LISTENERS)
    except OSError as error:
        made.close()
        raise BackstayError(_why_not(error, host, port)) from error
    return made


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program: stop it, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} of {host} is for the system only: choose one above 1023 with --port."
    return f"The server can't listen on {host}, port {port} ({error.strerror}): give an address of this machine."


def url_of(listening: socket.socket, *, encrypted: bool) -> str:
    """Return the address at which a socket is reached, as a URL."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http{'s' if encrypted else ''}://{shown}:{port}"


def is_loopback(listening: socket.socket) -> bool:
    """Return whether a socket is reached from this machine only."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def require_strong_secret(installation: Installation) -> None:
    """Refuse to run with a secret word that somebody chose too weak.

    Raises:
        ConfigurationError: it is; the sentence says in which way.
    """
    if installation.configuration.server.secret_enabled and (reason := weakness(api_secret(installation))):
        raise ConfigurationError(f"The secret word of the API can't be used. {reason}")


class Server(uvicorn.Server):
    """A server that reports to its supervisor how it is, from its own loop.

    Args:
        config: of uvicorn.
        supervisor: hears of it.
        on_end: called in the server's loop when it begins to end: whoever answers without an end ends then.
    """

    def __init__(self, config: uvicorn.Config, supervisor: Supervisor, on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._supervisor = supervisor
        self._on_end = on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._supervisor.ready()

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second; return whether the server is to end."""
        if self._supervisor.pause is not None and counter % max(1, int(self._supervisor.pause * 10)) == 0:
            self._supervisor.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is under way finish for a while."""
        self._supervisor.stopping()
        self._on_end()
        await super().shutdown(sockets)


def make_server(
    installation: Installation,
    certificate: Certificate | None = None,
    supervisor: Supervisor | None = None,
    pages: ASGIApp | None = None,
    on_end: Callable[[], None] = lambda: None,
) -> Server:
    """Return the server of an installation, ready to be run on a socket.

    Args:
        installation: what the calls are about.
        certificate: for TLS; None: HTTP.
        supervisor: hears how the server is; None: nobody.
        pages: answers browsers; None: nothing does.
        on_end: called in the server's loop when it begins to end.

    Raises:
        ConfigurationError: the certificate can't be used.
    """
    if certificate is not None:
        _require_usable(certificate)
    configuration = installation.configuration.server
    return Server(
        uvicorn.Config(
            create_application(installation, pages),
            access_log=False,  # it would show queries, and with them secrets
            log_config=None,
            http=limited_protocol(configuration.maximum_head),
            ws="none",
            lifespan="off",
            server_header=False,
            limit_concurrency=configuration.maximum_connections,
            forwarded_allow_ips=configuration.forwarded_allow_ips,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=certificate.chain if certificate else None,
            ssl_keyfile=certificate.key if certificate else None,
        ),
        supervisor or Supervisor(),
        on_end,
    )


def _require_usable(certificate: Certificate) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate.chain, certificate.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The certificate {certificate.chain} with the key {certificate.key} can't be used: both are PEM files, "
            "the key without a password, and belong to each other."
        ) from error


def run(
    installation: Installation,
    listening: socket.socket,
    certificate: Certificate | None = None,
    *,
    supervisor: Supervisor | None = None,
    pages: ASGIApp | None = None,
    on_end: Callable[[], None] = lambda: None,
    announce: Callable[[], None],
) -> None:
    """Serve until a signal says to end; then let what is under way finish for a while.

    Backups are not under way here: each has a process of its own and goes on.

    Args:
        installation: what the calls are about.
        listening: closed at the end.
        certificate: for TLS; None: HTTP.
        supervisor: hears how the server is; None: nobody.
        pages: answers browsers; None: nothing does.
        on_end: called in the server's loop when it begins to end.
        announce: called once signals are listened to; who hears of the server may end it from then on.
    """
    server = make_server(installation, certificate, supervisor, pages, on_end)

    def end(number: int, frame: object) -> None:
        del number, frame
        server.should_exit = True

    # For the moment before uvicorn listens to signals, and for the one after it has ended, when it raises them again:
    # the way out of here is the ordinary one.
    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        announce()
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
