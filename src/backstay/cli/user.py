"""``backstay user``: who may use the page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backstay.catalogue.users import User
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, say, shown, table
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.users import (
    Role,
    bind_user,
    browser_in_words,
    create_user,
    facts_of,
    facts_of_users,
    invite,
    reset_factors,
    sessions_of,
    set_disabled,
    set_password,
    set_role,
    welcome_address,
)

app = typer.Typer(help="Say who may use the page, and what each may do there.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name that the user signs in with.")]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="Address of the server, for the link.",
        show_default="server.public_url, or where it listens",
    ),
]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option("--role", "-r", help="What the user may do; each may what those before may.")],
    ask: Annotated[
        bool, typer.Option("--ask", help="Read a password from a prompt or standard input; else a link is made.")
    ] = False,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--group", metavar="NAME", help="They see the sites of this group alone; may be given several times."
        ),
    ] = None,
    url: Url = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make a user, and print a one-time link with which they set their password.

    A viewer sees everything; an operator takes, checks and stops backups, too; an administrator also restores, deletes,
    and changes settings and users. A viewer or an operator may be bound to groups of sites.

    Examples:
        backstay user add anna --role administrator

        backstay user add ben --role viewer --ask < password.txt

        backstay user add carla --role operator --group clients-a
    """
    password = _asked() if ask else ""
    with options.opened(home) as installation:
        user = create_user(installation, name, role, password, groups or ())
        link = "" if password else welcome_address(installation, invite(installation, user), url.rstrip("/"))
    _print_link(user.name, link, json_output=json_output)


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the users: what each may do, how they prove who they are, and when they last signed in.

    Examples:
        backstay user list
    """
    with options.opened(home) as installation:
        found = facts_of_users(installation)
    if json_output:
        print_json([one.as_json() for one in found])
        return
    if not found:
        console.print("There are no users yet: make one with 'backstay user add NAME --role administrator'.")
        return
    rows = table("Name", "Role", "Sees", "State", "Second factor", "Sessions", "Last seen", right=("Sessions",))
    for one in found:
        rows.add_row(
            shown(one.user.name),
            one.user.role,
            shown(", ".join(one.groups)) or "everything",
            one.state,
            ", ".join(one.factors) or "none",
            str(one.sessions),
            moment(one.user.last_seen) or "never",
        )
    console.print(rows)


@app.command()
def show(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show what is known of one user.

    Examples:
        backstay user show anna
    """
    with options.opened(home) as installation:
        facts = facts_of(installation, installation.catalogue.users.get(name)).as_json()
        keys = installation.catalogue.passkeys.of_user(facts["id"])
    facts["passkeys"] = [{"id": one.id, "name": one.name, "last_used": moment(one.last_used) or None} for one in keys]
    if json_output:
        print_json(facts)
        return
    for label, value in facts.items():
        text = (
            ", ".join(one["name"] if isinstance(one, dict) else one for one in value)
            if isinstance(value, list)
            else value
        )
        console.print(
            f"{label.replace('_', ' ').capitalize():16}{shown(str(text if text not in (None, '') else '–'))}",
            markup=False,
        )


@app.command()
def passwd(name: Name, home: options.Home = None) -> None:
    """Give a user another password, read from a prompt or standard input; all their sessions end.

    Examples:
        backstay user passwd anna
    """
    password = _asked()
    with options.opened(home) as installation:
        set_password(installation, installation.catalogue.users.get(name), password)
    say(f"The password of {name} is changed, and no browser is signed in any more.")


@app.command()
def role(
    name: Name,
    new: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or administrator.")],
    home: options.Home = None,
) -> None:
    """Give a user another role, from their next click on.

    Examples:
        backstay user role ben operator
    """
    with options.opened(home) as installation:
        set_role(installation, installation.catalogue.users.get(name), new)
    say(f"{name} is now {'an' if new is not Role.VIEWER else 'a'} {new}.")


@app.command()
def bind(
    name: Name,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="They see the sites of this group; may be given several times."),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="They see everything again.")] = False,
    home: options.Home = None,
) -> None:
    """Bind a viewer or an operator to groups of sites: they see these and nothing else. All their sessions end.

    Examples:
        backstay user bind carla --group clients-a --group clients-b

        backstay user bind carla --everything
    """
    if bool(groups) == everything:
        raise UsageError("Say which groups they see with --group, or give --everything.")
    with options.opened(home) as installation:
        bind_user(installation, _user(installation, name), groups or ())
    say(f"{name} sees {'everything' if everything else 'the sites of ' + ', '.join(groups or ())} now.")


@app.command("invite")
def invite_command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Whom; nobody: whoever makes the first user.", show_default=False)
    ] = "",
    url: Url = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Print a one-time link with which a user sets a password within a day; one of before is worthless.

    Examples:
        backstay user invite anna

        backstay user invite anna --url https://backup.example.com
    """
    with options.opened(home) as installation:
        user = installation.catalogue.users.get(name) if name else None
        link = welcome_address(installation, invite(installation, user), url.rstrip("/"))
    _print_link(name, link, json_output=json_output)


@app.command()
def disable(name: Name, home: options.Home = None) -> None:
    """Keep a user from signing in, and end all their sessions at once.

    Examples:
        backstay user disable ben
    """
    with options.opened(home) as installation:
        set_disabled(installation, installation.catalogue.users.get(name), disabled=True)
    say(f"{name} is disabled.")


@app.command()
def enable(name: Name, home: options.Home = None) -> None:
    """Let a disabled user sign in again.

    Examples:
        backstay user enable ben
    """
    with options.opened(home) as installation:
        set_disabled(installation, installation.catalogue.users.get(name), disabled=False)
    say(f"{name} may sign in again.")


@app.command()
def remove(name: Name, home: options.Home = None) -> None:
    """Remove a user, their sessions, second factor and passkeys. The journal still tells what they did.

    Examples:
        backstay user remove ben
    """
    with options.opened(home) as installation:
        installation.catalogue.users.delete(installation.catalogue.users.get(name).id)
    say(f"{name} is removed.")


@app.command("reset-factors")
def reset_factors_command(name: Name, home: options.Home = None) -> None:
    """Take a user's second factor and passkeys away, for one who has lost their telephone; all their sessions end.

    Examples:
        backstay user reset-factors anna
    """
    with options.opened(home) as installation:
        reset_factors(installation, installation.catalogue.users.get(name))
    say(f"{name} signs in with the password alone now.")


@app.command()
def sessions(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """List the browsers in which a user is signed in.

    Examples:
        backstay user sessions anna
    """
    with options.opened(home) as installation:
        found = sessions_of(installation, _user(installation, name))
    if json_output:
        print_json(
            [
                {
                    "id": one.id,
                    "address": one.address,
                    "browser": browser_in_words(one.agent),
                    "signed_in": one.created.isoformat(),
                    "last_seen": one.last_seen.isoformat(),
                    "expires": one.expires.isoformat(),
                }
                for one in found
            ]
        )
        return
    if not found:
        console.print(f"{shown(name)} is signed in nowhere.", markup=False)
        return
    rows = table("ID", "Address", "Browser", "Signed in", "Last seen", right=("ID",))
    for one in found:
        rows.add_row(
            str(one.id),
            shown(one.address),
            shown(browser_in_words(one.agent)),
            moment(one.created),
            moment(one.last_seen),
        )
    console.print(rows)


@app.command()
def revoke(
    name: Name,
    session: Annotated[
        int | None, typer.Option("--session", metavar="ID", help="This one alone.", show_default="all")
    ] = None,
    home: options.Home = None,
) -> None:
    """End a user's sessions, or one of them: the browser has to sign in again.

    Examples:
        backstay user revoke anna

        backstay user revoke anna --session 3
    """
    with options.opened(home) as installation:
        ended = installation.catalogue.sessions.revoke(_user(installation, name).id, session)
    if session is not None and not ended:
        raise NotFoundError(f"{name} has no session {session}: see them with 'backstay user sessions {name}'.")
    say(f"{name} is signed out{'' if session is None else ' there'}.")


def _user(installation: Installation, name: str) -> User:
    return installation.catalogue.users.get(name)


def _asked() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise UsageError("There is no password on standard input: give one line.")
    return given


def _print_link(name: str, link: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"name": name, "link": link or None})
    elif link:
        typer.echo(link)
        say("It works once, within a day.")
    else:
        say(f"{name} may sign in.")
