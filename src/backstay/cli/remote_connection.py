"""How ``backstay remote`` and ``backstay conformance`` reach a server: options, secret, verbose exchange."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import shown, stderr
from backstay.cli.remote_memory import remember, remembered
from backstay.cli.shared_options import declare, parameters_of
from backstay.client import Client, Exchange
from backstay.errors import NotFoundError, UsageError


@dataclass(frozen=True)
class Remote:
    """A connected command's surroundings: the client, and how the result is wanted.

    Attributes:
        client: calls the server.
        as_json: print JSON.
        verbose: the exchange is being shown.
    """

    client: Client
    as_json: bool
    verbose: bool


def _options(
    url: Annotated[
        str,
        typer.Option(
            "--url",
            metavar="URL",
            envvar="BACKSTAY_URL",
            show_envvar=True,
            help="Address of the site, or of its API in any form.",
        ),
    ],
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    api: Annotated[
        int | None,
        typer.Option("--api", min=1, max=3, help="Use this version of the API only.", show_default="newest"),
    ] = None,
    encapsulation: Annotated[
        int | None,
        typer.Option(
            "--encapsulation",
            min=1,
            max=5,
            help="Use version 1, its requests written so: 1 plain, 2 and 3 AES-CTR, 4 and 5 AES-CBC.",
        ),
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds to wait for the server.")] = 60.0,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to trust, in PEM.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate: whoever is in between can read the secret.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every request and reply, secrets blanked.")
    ] = False,
) -> Remote:
    """Open the connection that the options describe."""
    if ca_file is not None and not ca_file.is_file():
        raise NotFoundError(f"There is no file {ca_file} to read certificates from.")
    client = Client(
        url,
        read_secret(secret, secret_file),
        version=api,
        encapsulation=encapsulation,
        endpoint=remembered(url) if api is None and encapsulation is None else None,
        timeout=timeout,
        verify=str(ca_file) if ca_file else not insecure,
        on_exchange=_show if verbose else None,
    )
    return Remote(client, as_json, verbose)


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection; it gets a ``Remote`` as its first argument instead."""
    shared = parameters_of(_options)
    names = [parameter.name for parameter in shared]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in names}
        remote = _options(**chosen)
        with remote.client:
            try:
                command(remote, **values)
            finally:
                if chosen["api"] is None and chosen["encapsulation"] is None:
                    remember(chosen["url"], remote.client.endpoint)

    declare(run, [*parameters_of(command)[1:], *shared])
    return run


def read_secret(given: str | None, file: Path | None) -> str:
    """Return the secret: from the command line, a file, ``BACKSTAY_SECRET``, or a prompt on a terminal.

    Raises:
        UsageError: there is none, or two were given.
        NotFoundError: the file is not there.
    """
    if given is not None and file is not None:
        raise UsageError("Give --secret or --secret-file, not both.")
    if file is not None:
        try:
            lines = file.read_text("utf-8", "surrogateescape").splitlines()
        except OSError as error:
            raise NotFoundError(f"The secret cannot be read from {file}: {error.strerror}.") from None
        if not lines or not lines[0].strip():
            raise UsageError(f"The first line of {file} is empty: write the secret there.")
        return lines[0].strip()
    secret = given if given is not None else os.environ.get("BACKSTAY_SECRET", "")
    if secret:
        return secret
    if sys.stdin.isatty():
        return str(typer.prompt("Secret word or token", hide_input=True, err=True))
    raise UsageError("There is no secret: set BACKSTAY_SECRET, or give --secret-file or --secret.")


def _show(exchange: Exchange) -> None:
    stderr.print(Text(f"> {exchange.verb} {shown(exchange.url)}", style="cyan"))
    for name, value in exchange.headers.items():
        stderr.print(Text(f">   {name}: {shown(value)}", style="dim"))
    stderr.print(Text(f">   {shown(exchange.asked)}", style="dim"))
    status = "no reply" if exchange.status is None else f"HTTP {exchange.status}"
    stderr.print(Text(f"< {status}", style="cyan"))
    stderr.print(Text(f"<   {shown(exchange.reply)}", style="dim"))
