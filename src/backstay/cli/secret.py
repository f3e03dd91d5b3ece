"""``backstay secret``: the secret word of the API."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from backstay.api.strength import require_strong
from backstay.cli import options
from backstay.cli.output import print_json, warn
from backstay.jobs.environment import SECRET_VARIABLE
from backstay.jobs.installation import api_secret, set_secret

app = typer.Typer(help="Show or replace the secret word that opens the API.", no_args_is_help=True)


@app.command()
def show(home: options.Home = None, json_output: options.Json = False) -> None:
    """Print the secret word of the API; it is made at the first asking.

    Examples:
        backstay secret show
    """
    with options.opened(home) as installation:
        _print(api_secret(installation), json_output=json_output)


@app.command()
def rotate(
    ask: Annotated[
        bool, typer.Option("--ask", help="Read the new secret word from a prompt or standard input; else one is made.")
    ] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Replace the secret word; the old one is worth nothing at once, for running servers too.

    Examples:
        backstay secret rotate

        backstay secret rotate --ask < new-secret.txt
    """
    given = _asked() if ask else None
    if given is not None:
        require_strong(given)
    with options.opened(home) as installation:
        new = set_secret(installation, given)
    if os.environ.get(SECRET_VARIABLE):
        warn(f"{SECRET_VARIABLE} is set and counts more: take it out of the environment, or set it to the new word.")
    _print(new, json_output=json_output)


def _asked() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("New secret word", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _print(secret: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"secret": secret})
    else:
        typer.echo(secret)
