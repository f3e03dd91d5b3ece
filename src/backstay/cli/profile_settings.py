"""``backstay profile``: one setting at a time, what a folder is, and a copy of a profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Profile
from backstay.cli import options
from backstay.cli.output import console, print_json, say, shown, table, warn
from backstay.jobs.profile_settings import (
    SettingValue,
    look_at_site,
    profile_settings,
    setting_named,
    unknown_keys,
)
from backstay.jobs.profiles import copy_profile, edit_profile
from backstay.jobs.schedules import find_profile

Number = Annotated[str, typer.Argument(metavar="PROFILE", help="Number or name of the profile or site.")]


def settings(
    number: Number,
    changed: Annotated[bool, typer.Option("--changed", help="Only those that differ from their defaults.")] = False,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List the settings of a profile in groups, with their defaults, limits and meaning; secrets are not shown.

    Examples:
        backstay profile settings 2 --changed

        backstay profile settings 2 --json
    """
    with options.opened(home) as installation:
        profile = installation.catalogue.profiles.get(find_profile(installation, number))
    groups = [
        (title, [one for one in values if one.is_set or not changed]) for title, values in profile_settings(profile)
    ]
    if json_output:
        print_json([{**_json(one), "group": title} for title, values in groups for one in values])
        return
    for title, values in groups:
        if not values:
            continue
        rows = table(title, "Value", "Default", "Meaning")
        for one in values:
            rows.add_row(one.fact.name, _shown(one), Text(shown(one.fact.default or "-")), one.fact.description)
        console.print(rows)
        console.print()
    if unknown := unknown_keys(profile):
        say(f"Kept for another server, and not honoured here: {', '.join(unknown)}.")


def set_command(
    number: Number,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a setting, or its dotted key.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its value; empty: back to the default.")],
    home: options.Home = None,
) -> None:
    """Set one setting of a profile. Other users can see command lines: give secrets on the page or in a file.

    Examples:
        backstay profile set 2 compression small

        backstay profile set 2 compression ''
    """
    fact = setting_named(name)
    with options.opened(home) as installation:
        edit_profile(installation, find_profile(installation, number), values={fact.key: value})
    shown_value = "(secret)" if fact.kind == "secret" else shown(value)
    what = f"is {shown_value}" if value else f"has its default again: {fact.default or 'empty'}"
    console.print(f"The setting {fact.name} of profile {number} {what}.", markup=False)


def look(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of a site.")], json_output: options.Json = False
) -> None:
    """Look what a folder is, and which databases its configuration names; nothing is stored.

    Example:
        backstay profile look /var/www/shop
    """
    root, site = look_at_site(path)
    databases = [{"url": one.address.redacted(), "source": one.source} for one in site.databases]
    if json_output:
        values = {"kind": site.kind, "name": site.name, "version": site.version, "address": site.address or site.host}
        print_json({"path": str(root), **values, "databases": databases, "warnings": site.warnings})
        return
    address = f" at {site.address or site.host}" if site.address or site.host else ""
    console.print(shown(f"{root} is {site.kind} {site.version}".rstrip() + f": {site.name}{address}."), markup=False)
    for one in databases:
        console.print(shown(f"Database: {one['url']} (of {one['source']})."), markup=False)
    for sentence in site.warnings:
        warn(sentence)


def copy_command(
    number: Number,
    name: Annotated[str, typer.Option("--name", help="Name of the copy.", show_default="Copy of …")] = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Copy a profile with its settings and filters; schedules are not copied.

    Example:
        backstay profile copy 2 --name 'Shop, test'
    """
    with options.opened(home) as installation:
        made: Profile = copy_profile(installation, find_profile(installation, number), name)
    if json_output:
        print_json({"id": made.id, "name": made.description})
    else:
        console.print(f"Profile {made.id} ({shown(made.description)}) is made.", markup=False)


def _shown(one: SettingValue) -> Text:
    if one.fact.kind == "secret":
        return Text("(secret)" if one.is_set else "-", style="" if one.is_set else "dim")
    return Text(shown(one.value) or "-", style="" if one.is_set else "dim")


def _json(one: SettingValue) -> dict[str, Any]:
    fact = one.fact
    values: dict[str, Any] = {"name": fact.name, "key": fact.key, "kind": fact.kind, "changed": one.is_set}
    if fact.kind != "secret":
        values |= {"value": one.value, "default": fact.default}
    if fact.choices:
        values["choices"] = list(fact.choices)
    return {**values, "minimum": fact.minimum, "maximum": fact.maximum, "description": fact.description}
