"""``backstay service``: the server, or the worker, as a service of systemd."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from backstay.catalogue.home import default_home
from backstay.cli import options
from backstay.cli.output import console, print_json, say, shown, table
from backstay.errors import UsageError
from backstay.jobs import service as services
from backstay.jobs.installation import Installation
from backstay.jobs.service import Service

app = typer.Typer(
    help="Run the server or the worker by systemd: now, and whenever the machine starts.", no_args_is_help=True
)


class What(StrEnum):
    """What a service runs."""

    SERVE = "serve"
    WORKER = "worker"


_UNPRIVILEGED_PORT = 1024
WhatArgument = Annotated[What, typer.Argument(metavar="[serve|worker]", help="What it runs.", show_default="serve")]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the unit.", show_default="backstay-WHAT")
]
User = Annotated[bool, typer.Option("--user", help="A service of your own, by the systemd of your account.")]


@app.command()
def settings(home: options.Home = None, json_output: options.Json = False) -> None:
    """List what is set for the server, and where each setting comes from; secrets are not shown.

    Example:
        backstay service settings --json
    """
    # Imported here: no other command of this group reads settings.
    from backstay.jobs.configuration import configuration_facts

    with options.opened(home) as installation:
        facts = configuration_facts(installation.home.configuration, installation.configuration)
    if json_output:
        print_json([asdict(fact) for fact in facts])
        return
    rows = table("Setting", "Value", "From")
    for fact in facts:
        rows.add_row(f"{fact.table}.{fact.name}", Text(shown(fact.value) or "-"), fact.source)
    console.print(rows)


@app.command()
def install(
    what: WhatArgument = What.SERVE,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTION…]", help="Options of what it runs, with absolute paths.")
    ] = None,
    user: User = False,
    name: Name = None,
    account: Annotated[
        str | None,
        typer.Option("--run-as", metavar="ACCOUNT", help="Account it runs as.", show_default="the home's owner"),
    ] = None,
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Let it read every file of the machine, whoever owns it, and write none.")
    ] = False,
    write: Annotated[
        list[Path] | None,
        typer.Option("--write", metavar="DIR", help="Folder that it may write to, too; give it several times."),
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the unit and change nothing.")] = False,
    home: options.Home = None,
) -> None:
    """Write a systemd unit, and start it: now, and whenever the machine starts.

    The service of the system reads what its account may read, and writes to nothing but the home, the output folders
    of the profiles, the folders that are storages, and those of --write: run it again when one of these is added.

    Examples:
        sudo backstay service install --home /var/lib/backstay

        sudo backstay service install --home /var/lib/backstay --run-as backstay --read-all --write /srv/restored

        backstay service install worker --user

        backstay service install serve --print -- --tls-certificate /etc/tls/chain.pem --tls-key /etc/tls/key.pem
    """
    if user and (account or read_all or write):
        raise UsageError("A service of your own has your rights, no more and no less: leave out what gives others.")
    _require_home(home, user=user)
    with options.opened(home) as installation:
        given = arguments or []
        service = Service(
            name=_name(name, what),
            command=(*_program(), str(what), *given),
            home=installation.home.path,
            account="" if user else account or _owner(installation.home.path),
            writable=[] if user else _folders(installation, write or []),
            capabilities=_capabilities(installation, given, read_all=read_all),
        )
    if only_print:
        typer.echo(services.unit_text(service), nl=False)
        return
    path = services.install(service)
    say(f"The service {service.name} runs, and starts with the machine: {path}.")
    if user:
        say(f"It runs while you are logged in; 'sudo loginctl enable-linger {_login()}' lets it run always.")


@app.command()
def status(
    what: WhatArgument = What.SERVE,
    user: User = False,
    name: Name = None,
    json_output: options.Json = False,
) -> None:
    """Say whether a service runs; the exit code is 1 where it does not.

    Examples:
        backstay service status

        backstay service status worker --json
    """
    found = services.state(_named(what, name, user=user))
    if json_output:
        print_json(found)
    else:
        since = f" since {found['ActiveEnterTimestamp']}" if found["ActiveEnterTimestamp"] else ""
        console.print(f"{found['ActiveState']} ({found['SubState']}){since}, at start: {found['UnitFileState']}")
    if found["ActiveState"] != "active":
        raise typer.Exit(1)


@app.command()
def remove(what: WhatArgument = What.SERVE, user: User = False, name: Name = None) -> None:
    """Stop a service and remove its unit. The home with its backups stays, and a backup that runs goes on.

    Examples:
        sudo backstay service remove
    """
    path = services.remove(_named(what, name, user=user))
    say(f"{path} is removed.")


def _name(name: str | None, what: What) -> str:
    name = name or f"backstay-{what}"
    if not all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name) or name.startswith("-"):
        raise UsageError(f"{name!r} is no name of a unit: take letters, digits and - _ .")
    return name


def _named(what: What, name: str | None, *, user: bool) -> Service:
    """Return as much of a service as it takes to find its unit."""
    return Service(_name(name, what), (*_program(), str(what)), Path("/"), "" if user else "root")


def _require_home(home: Path | None, *, user: bool) -> None:
    if home is None and not user and "SUDO_USER" in os.environ:
        raise UsageError(f"Under sudo the home would be {default_home()}: give --home.")


def _program() -> tuple[str, ...]:
    started = Path(sys.argv[0])
    found = shutil.which(started.name) if started.name == sys.argv[0] else str(started.absolute())
    if started.name == "backstay" and found:
        return (found,)
    return (sys.executable, "-P", "-m", "backstay")


def _owner(home: Path) -> str:
    return pwd.getpwuid(home.stat().st_uid).pw_name


def _login() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _folders(installation: Installation, more: Sequence[Path]) -> list[Path]:
    return [*dict.fromkeys([*services.written_folders(installation), *(path.absolute() for path in more)])]


def _capabilities(installation: Installation, arguments: Sequence[str], *, read_all: bool) -> list[str]:
    port = str(installation.configuration.server.port)
    for option, value in itertools.pairwise(arguments):
        port = value if option == "--port" else port
    is_low = port.isdecimal() and 0 < int(port) < _UNPRIVILEGED_PORT
    return [*(["CAP_DAC_READ_SEARCH"] if read_all else []), *(["CAP_NET_BIND_SERVICE"] if is_low else [])]
