"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backstay.jobs.process_log import LogFormat

if TYPE_CHECKING:
    from backstay.jobs.installation import Installation

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="BACKSTAY_HOME",
        help="Folder that holds Backstay's catalogue, archives and logs.",
        show_default="~/.local/share/backstay",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        envvar="BACKSTAY_PASSWORD",
        show_envvar=True,
        metavar="TEXT",
        help="Password of an encrypted archive. Other users can see command lines: prefer the variable.",
    ),
]
Log = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="How a line of the log looks.", show_default="text, or server.log_format"),
]
Secret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        metavar="TEXT",
        help="Secret word or token of a server. Other users can see command lines: prefer the variable "
        "BACKSTAY_SECRET, --secret-file, or the prompt.",
    ),
]
SecretFile = Annotated[
    Path | None, typer.Option("--secret-file", metavar="FILE", help="File whose first line is the secret.")
]
Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="NAME",
        help="Read the copy that lies at this storage.",
        show_default="the files here, else the copy whose arrival was proven last",
    ),
]


def opened(home: Path | None) -> Installation:
    """Open the home that a command was given."""
    # Imported here: commands that need no home (on archives, on other servers) start in half the time without it.
    from backstay.jobs.installation import open_installation

    return open_installation(home)
