"""``backstay token``: tokens for the API, each with its own privileges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from backstay.api.methods import Scope
from backstay.catalogue import Token
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, say, shown, table
from backstay.jobs.tokens import create_token

app = typer.Typer(
    help="Make, list and revoke tokens: credentials that may do some things and not others.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the token is for, for example ci or phone.")]


@app.command()
def create(
    name: Name,
    scope: Annotated[
        list[Scope] | None, typer.Option("--scope", "-s", help="What it may do; give it several times. None: read.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="WHEN", help="A date (2027-01-31), or a time from now: 12h, 90d, 8w."),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="NAME", help="It sees the sites of this group alone; may be given several times."
        ),
    ] = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make a token and print it: the only time it is shown.

    Examples:
        backstay token create ci --scope read --scope backup

        backstay token create phone --scope read --expires 90d

        backstay token create carla --scope read --scope download --group clients-a
    """
    with options.opened(home) as installation:
        token = create_token(installation, name, scope or [], datetime.now(UTC), expires or "", groups or ())
    _print(name, token, json_output=json_output)


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the tokens: what each may do, until when, and when it was last used.

    Examples:
        backstay token list
    """
    with options.opened(home) as installation:
        found = installation.catalogue.tokens.all()
        names = installation.catalogue.groups.names_of({number for token in found for number in token.groups})
    if json_output:
        print_json([_as_json(token, names) for token in found])
        return
    if not found:
        console.print("There are no tokens yet: make one with 'backstay token create NAME'.")
        return
    rows = table("Name", "May", "Sees", "Made", "Expires", "Last used")
    for token in found:
        rows.add_row(
            token.name,
            ", ".join(sorted(token.scopes)),
            shown(", ".join(_groups(token, names))) or "everything",
            moment(token.created),
            moment(token.expires) or "never",
            moment(token.last_used) or "not yet",
        )
    console.print(rows)


@app.command()
def regenerate(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Replace a token by a new one that may do the same; the old one is worth nothing at once.

    Examples:
        backstay token regenerate ci
    """
    with options.opened(home) as installation:
        token = installation.catalogue.tokens.regenerate(name, datetime.now(UTC))
    _print(name, token, json_output=json_output)


@app.command()
def revoke(name: Name, home: options.Home = None) -> None:
    """Take a token away; it is worth nothing at once, for running servers too.

    Examples:
        backstay token revoke ci
    """
    with options.opened(home) as installation:
        installation.catalogue.tokens.revoke(name)
    say(f"The token {name} is revoked.")


def _groups(token: Token, names: Mapping[int, str]) -> list[str]:
    return sorted(names[number] for number in token.groups if number in names)


def _as_json(token: Token, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "groups": _groups(token, names),
        "created": moment(token.created),
        "expires": moment(token.expires) or None,
        "last_used": moment(token.last_used) or None,
    }


def _print(name: str, token: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"name": name, "token": token})
    else:
        typer.echo(token)
        say("Keep it now: it is not shown again.")
