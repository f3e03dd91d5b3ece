"""``backstay profile``: what is backed up, and how."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import ROOT_KEY, Profile, write_private
from backstay.cli import options, profile_filters, profile_settings
from backstay.cli.output import console, print_json, say, shown, table, warn
from backstay.errors import UsageError
from backstay.jobs.encrypted_settings import decrypted_settings
from backstay.jobs.profiles import (
    DATABASE_KEY,
    create_profile,
    delete_profile,
    edit_profile,
    export_profile,
    import_profile,
)
from backstay.jobs.schedules import find_profile
from backstay.profiles import SettingFact, setting_facts

app = typer.Typer(help="Make and change profiles: one for each site.", no_args_is_help=True)

Number = Annotated[str, typer.Argument(metavar="PROFILE", help="Number or name of the profile or site.")]
Root = Annotated[Path | None, typer.Option("--root", metavar="PATH", help="Folder of the site.")]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="BACKSTAY_DATABASE",
        help="Database of the site, or none; left out: read from the site's configuration.",
    ),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting, by its name or dotted key; see 'backstay profile show'."
    ),
]


def _json(profile: Profile) -> dict[str, Any]:
    # What is kept for another server may be a secret there: the keys of its storages, for example.
    open_keys = {fact.key for fact in setting_facts() if fact.kind != "secret"}
    values = {key: value if key in open_keys else "(secret)" for key, value in profile.configuration.items()}
    return {"id": profile.id, "name": profile.description, "configuration": values}


def _values(settings: list[str] | None, root: Path | None, database: str | None) -> dict[str, str]:
    values = setting_values(settings)
    if root is not None:
        values[ROOT_KEY] = str(root)
    if database is not None:
        values[DATABASE_KEY] = database
    return values


def setting_values(settings: list[str] | None) -> dict[str, str]:
    """Return what ``--set`` was given, by dotted key.

    Raises:
        UsageError: it is no setting.
    """
    keys = {fact.name: fact.key for fact in setting_facts()}
    values: dict[str, str] = {}
    for setting in settings or []:
        name, separator, value = setting.partition("=")
        if not separator:
            raise UsageError(f"--set takes NAME=VALUE, not {setting!r}.")
        if name not in keys and name not in keys.values():
            raise UsageError(f"There is no setting {name!r}: see them with 'backstay profile show 1'.")
        values[keys.get(name, name)] = value
    return values


@app.command("list")
def list_profiles(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the profiles."""
    with options.opened(home) as installation:
        found = installation.catalogue.profiles.all()
    if json_output:
        print_json([_json(profile) for profile in found])
        return
    rows = table("ID", "Name", "Root", right=["ID"])
    for profile in found:
        rows.add_row(
            str(profile.id), Text(shown(profile.description)), Text(shown(profile.configuration.get(ROOT_KEY, "")))
        )
    console.print(rows)


@app.command()
def show(number: Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show every setting of a profile; secrets are not shown."""
    with options.opened(home) as installation:
        profile = installation.catalogue.profiles.get(find_profile(installation, number))
    if json_output:
        print_json(_json(profile))
        return
    console.print(Text(f"Profile {profile.id}: {shown(profile.description)}", style="bold"))
    rows = table("Setting", "Value", "Key in the API", "Meaning")
    for fact in setting_facts():
        rows.add_row(fact.name, _value(profile, fact), fact.key, fact.description)
    console.print(rows)


def _value(profile: Profile, fact: SettingFact) -> Text:
    if fact.key not in profile.configuration:
        return Text(fact.default or "-", style="dim")
    return Text("(secret)" if fact.kind == "secret" else shown(profile.configuration[fact.key]))


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Name for a person.")],
    root: Root = None,
    database: Database = None,
    settings: Setting = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make a profile.

    Example:
        backstay profile create --name Shop --root /var/www/shop --set part_size=52428800
    """
    with options.opened(home) as installation:
        profile = create_profile(installation, name=name, values=_values(settings, root, database))
    if json_output:
        print_json(_json(profile))
    else:
        console.print(
            f"Profile {profile.id} is made: take its first backup with 'backstay backup --profile {profile.id}'."
        )


@app.command()
def edit(
    number: Number,
    name: Annotated[str | None, typer.Option("--name", help="Name for a person.")] = None,
    root: Root = None,
    database: Database = None,
    settings: Setting = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a profile; a setting with an empty value goes back to its default.

    Example:
        backstay profile edit 2 --set compression=small --set count_enabled=1 --set count=7
    """
    with options.opened(home) as installation:
        profile = edit_profile(
            installation, find_profile(installation, number), name=name, values=_values(settings, root, database)
        )
    if json_output:
        print_json(_json(profile))
    else:
        console.print(f"Profile {profile.id} is changed.")


@app.command()
def export(
    number: Number,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="File to write; left out: standard output.")
    ] = None,
    home: options.Home = None,
) -> None:
    """Export a profile as JSON, for this or any other server of the API. It holds passwords in clear.

    Example:
        backstay profile export 2 --to shop.json
    """
    with options.opened(home) as installation:
        exported = export_profile(installation, find_profile(installation, number))
    if to is None:
        print_json(exported)
        return
    if not write_private(to, json.dumps(exported, indent=2).encode()):
        raise UsageError(f"{to} is there already: choose another name.")
    console.print(f"Profile {number} is in {to}; only you can read it, and it holds passwords.", markup=False)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported profile; - for standard input.")],
    key: Annotated[
        str,
        typer.Option(
            "--key", envvar="BACKSTAY_IMPORT_KEY", metavar="TEXT", help="Server key of an encrypted configuration."
        ),
    ] = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Import a profile that this or any other server of the API exported. It becomes a new one.

    Example:
        backstay profile import shop.json
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
        exported = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is not an exported profile: {error}.") from error
    if not isinstance(exported, dict):
        raise UsageError(f"{file} is not an exported profile: it holds no JSON object.")
    with options.opened(home) as installation:
        profile, unknown = import_profile(
            installation, exported, (lambda stored: decrypted_settings(stored, key)) if key else None
        )
        # Imported here: what sends and reads stored backups is slow to load.
        from backstay.jobs.storage import adopt_storage

        storage, lacking = adopt_storage(installation, profile)
    if lacking:
        warn(lacking)
    if unknown:
        warn(f"Kept, but not honoured by Backstay: {', '.join(unknown)}.")
    if json_output:
        print_json({**_json(profile), "not_honoured": unknown, "storage": storage.name if storage else None})
    else:
        console.print(f"Profile {profile.id} ({shown(profile.description)}) is imported.", markup=False)
        if storage is not None:
            say(f"Its backups go to {storage.name}: try it with 'backstay storage test {storage.name}'.")
        if not profile.configuration.get(ROOT_KEY):
            say(f"Say which folder it backs up: backstay profile edit {profile.id} --root PATH.")


app.command()(profile_settings.settings)
app.command("set")(profile_settings.set_command)
app.command()(profile_settings.look)
app.command("copy")(profile_settings.copy_command)
app.command()(profile_filters.filters)
app.command()(profile_filters.tree)
app.command()(profile_filters.tables)
app.command()(profile_filters.exclude)
app.command()(profile_filters.include)
app.command("add-folder")(profile_filters.add_folder_command)
app.command("remove-folder")(profile_filters.remove_folder_command)


@app.command()
def delete(number: Number, home: options.Home = None) -> None:
    """Delete a profile and its schedules; its backups stay."""
    with options.opened(home) as installation:
        delete_profile(installation, find_profile(installation, number))
    console.print(f"Profile {number} is deleted.")
