"""``backstay group``: groups of sites."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Group
from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown, table
from backstay.errors import UsageError

app = typer.Typer(help="Put sites into groups: those of a client, or of a hosting.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the group, for example clients-a.")]
PerHost = Annotated[
    int | None,
    typer.Option(
        "--per-host",
        min=1,
        max=1000,
        help="Backups of its sites at the same time at one host; of several groups at a host the least counts.",
        show_default="2",
    ),
]
Priority = Annotated[
    int | None,
    typer.Option("--priority", min=-100, max=100, help="A higher one is backed up first.", show_default="0"),
]
Notes = Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="Notes for people.")]


@app.command()
def create(
    name: Name,
    per_host: PerHost = None,
    priority: Priority = None,
    notes: Notes = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make a group.

    Example:
        backstay group create clients-a --per-host 3
    """
    from backstay.fleet.sites import checked_name

    group = _changed(Group(0, checked_name(name), datetime.now(UTC)), per_host, priority, notes)
    with options.opened(home) as installation:
        made = installation.catalogue.groups.create(group)
    if json_output:
        print_json(_json(made, 0))
    else:
        console.print(
            f"The group {shown(made.name)} is made: 'backstay site add URL --group {made.name}'.", markup=False
        )


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the groups, and how many sites are in each.

    Example:
        backstay group list --json
    """
    with options.opened(home) as installation:
        found = installation.catalogue.groups.all()
        sizes = installation.catalogue.groups.sizes()
    if json_output:
        print_json([_json(group, sizes.get(group.name, 0)) for group in found])
        return
    if not found:
        console.print("There is no group yet: make one with 'backstay group create NAME'.")
        return
    rows = table(
        "Name", "Sites", "At once at a host", "Priority", "Notes", right=["Sites", "At once at a host", "Priority"]
    )
    for group in found:
        rows.add_row(
            Text(shown(group.name)),
            str(sizes.get(group.name, 0)),
            str(group.per_host),
            str(group.priority),
            Text(shown(group.notes)),
        )
    console.print(rows)


@app.command()
def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    per_host: PerHost = None,
    priority: Priority = None,
    notes: Notes = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a group; what is not given stays.

    Example:
        backstay group edit clients-a --priority 10
    """
    from backstay.fleet.sites import checked_name

    with options.opened(home) as installation:
        found = installation.catalogue.groups.get(name)
        changed = _changed(found, per_host, priority, notes)
        if new_name is not None:
            changed = replace(changed, name=checked_name(new_name))
        if changed == found:
            raise UsageError("Say what is to be changed: see 'backstay group edit --help'.")
        installation.catalogue.groups.save(changed)
        count = installation.catalogue.groups.sizes().get(changed.name, 0)
    if json_output:
        print_json(_json(changed, count))
    else:
        console.print(f"The group {shown(changed.name)} is changed.", markup=False)


@app.command()
def remove(name: Name, home: options.Home = None) -> None:
    """Remove a group that has no sites.

    Example:
        backstay group remove clients-a
    """
    with options.opened(home) as installation:
        installation.catalogue.groups.delete(name)
    console.print(f"The group {shown(name)} is removed.", markup=False)


def _changed(group: Group, per_host: int | None, priority: int | None, notes: str | None) -> Group:
    given: dict[str, Any] = {"per_host": per_host, "priority": priority, "notes": notes}
    return replace(group, **{name: value for name, value in given.items() if value is not None})


def _json(group: Group, count: int) -> dict[str, Any]:
    return {**asdict(group), "created": moment(group.created), "sites": count}
