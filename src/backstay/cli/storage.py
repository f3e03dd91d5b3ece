"""``backstay storage``: the places outside this machine that backups are sent to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import NamedDestination
from backstay.catalogue.destinations import DestinationOptions
from backstay.cli import options
from backstay.cli.copies import copy_json
from backstay.cli.output import console, moment, print_json, say, shown, size, table, warn
from backstay.cli.storage_options import StorageOptions, with_storage_options
from backstay.jobs.storage import (
    add_destination,
    edit_destination,
    measure_destination,
    remove_destination,
)

app = typer.Typer(help="Name the places that backups are sent to: folders, S3, SFTP, WebDAV …", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the storage, for example nas or offsite.")]


@app.command()
@with_storage_options
def add(
    name: Name,
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="folder:///mnt/nas, s3://bucket/prefix?endpoint=…, sftp://user@host/path, rclone:…"
        ),
    ],
    *,
    given: StorageOptions,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Add a storage. Its secrets come from the usual variables (AWS_ACCESS_KEY_ID …), files or a prompt.

    Examples:
        backstay storage add nas folder:///mnt/nas/backups

        backstay storage add offsite 's3://bucket/site?endpoint=https://s3.example.com&region=eu' --lock-days 30

        backstay storage add box sftp://u1234@u1234.example.com:23/backups --secret-file password=/etc/backstay/box.txt
    """
    with options.opened(home) as installation:
        made = add_destination(installation, name, url, given.secrets(url), given.over(DestinationOptions()))
    if json_output:
        print_json(_json(made))
    else:
        console.print(f"The storage {name} is added: {shown(made.url)}.", markup=False)
        say(f"See that it works with 'backstay storage test {name}'.")


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the storages, and how many backups lie at each.

    Example:
        backstay storage list --json
    """
    with options.opened(home) as installation:
        found = [
            (destination, _counts(installation.catalogue.copies.at(destination.name)))
            for destination in installation.catalogue.destinations.all()
        ]
    if json_output:
        print_json([{**_json(destination), "copies": counts} for destination, counts in found])
        return
    if not found:
        console.print("There is no storage yet: add one with 'backstay storage add NAME URL'.")
        return
    rows = table("Name", "Address", "Backups", "Unfinished", "Added (UTC)", right=["Backups", "Unfinished"])
    for destination, counts in found:
        rows.add_row(
            destination.name,
            Text(shown(destination.url)),
            str(counts["stored"]),
            str(counts["sending"] + counts["failed"] + counts["deleting"]),
            moment(destination.created),
        )
    console.print(rows)


@app.command()
def show(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show a storage and the backups that lie there; secrets are not shown.

    Example:
        backstay storage show nas
    """
    with options.opened(home) as installation:
        destination = installation.catalogue.destinations.get(name)
        copies = installation.catalogue.copies.at(name)
    if json_output:
        print_json({**_json(destination), "copies": [copy_json(copy) for copy in copies]})
        return
    console.print(Text(f"{destination.name}: {shown(destination.url)}", style="bold"))
    used = destination.options
    console.print(
        f"Bandwidth: {size(used.bandwidth) + '/s' if used.bandwidth else 'no limit'}; "
        f"{used.parts_at_once} parts at once; "
        f"{f'locked for {used.lock_days} days' if used.lock_days else 'not locked'}; "
        f"proven by {'reading back' if used.read_back else 'checksum where the service has one'}.",
        markup=False,
    )
    rows = table(
        "Backup", "State", "Size", "Arrived (UTC)", "Proven by", "Locked until", "Error", right=["Backup", "Size"]
    )
    for copy in copies:
        rows.add_row(
            str(copy.backup_id),
            copy.state,
            size(sum(part.size for part in copy.parts)),
            moment(copy.sent_at),
            copy.proven_how,
            moment(copy.locked_until),
            Text(shown(copy.error)),
        )
    if copies:
        console.print(rows)


@app.command("test")
def measure(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Write a file of 4 MiB at a storage, read it back, delete it, and say how long each took.

    Example:
        backstay storage test nas
    """
    with options.opened(home) as installation:
        found = measure_destination(installation, name)
    if json_output:
        print_json({"name": name, "ok": True, **asdict(found)})
        return
    console.print(
        f"The storage {name} works: {size(found.size)} sent in {found.sent:.2f} s ({size(found.size / found.sent)}/s), "
        f"read back equal in {found.read:.2f} s ({size(found.size / found.read)}/s), deleted in {found.deleted:.2f} s; "
        f"copies are proven by {found.proof or 'reading them back'}.",
        markup=False,
    )


@app.command()
@with_storage_options
def edit(
    name: Name,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Another address of the same place.")] = None,
    *,
    from_environment: Annotated[
        bool, typer.Option("--environment", help="Take new secrets from the usual variables.")
    ] = False,
    given: StorageOptions,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Change a storage; what is not given stays.

    Examples:
        backstay storage edit offsite --bandwidth 2MiB

        backstay storage edit box --secret-file password=/etc/backstay/new.txt
    """
    with options.opened(home) as installation:
        found = installation.catalogue.destinations.get(name)
        secrets = given.secrets(url or found.url, known=found.secrets, environment=from_environment)
        edited = edit_destination(installation, name, url=url, secrets=secrets, options=given.over(found.options))
    if json_output:
        print_json(_json(edited))
    else:
        console.print(f"The storage {name} is changed: {shown(edited.url)}.", markup=False)


@app.command()
def remove(
    name: Name,
    forget: Annotated[
        bool, typer.Option("--forget", help="Also where backups are stored there, or profiles send to it.")
    ] = False,
    home: options.Home = None,
) -> None:
    """Remove a storage from the catalogue; what is stored there stays.

    Example:
        backstay storage remove nas
    """
    with options.opened(home) as installation:
        copies = remove_destination(installation, name, forget=forget)
    stay = f" Copies that stay there: {copies}; 'backstay storage import' finds them again." if copies else ""
    console.print(f"The storage {name} is removed.{stay}", markup=False)


@app.command("import")
def import_command(
    name: Name,
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make the records of all backups that lie at a storage, as on a new machine that has nothing but the storage.

    What the catalogue knows is left as it is. The small document beside each backup says what it is; where there is
    none, the archive itself does, and an encrypted one needs its password.

    Example:
        backstay storage import nas
    """
    from backstay.jobs.storage_import import import_storage

    with options.opened(home) as installation:
        report = import_storage(installation, name, password)
    if json_output:
        imported = [
            {"id": backup.id, "archive": shown(backup.archivename), "backupstart": moment(backup.backupstart)}
            for backup in report.imported
        ]
        refused = [shown(sentence) for sentence in report.refused]
        print_json({"imported": imported, "known": report.known, "refused": refused})
        return
    for sentence in report.refused:
        warn(shown(sentence))
    console.print(f"Backups imported: {len(report.imported)}; known already: {report.known}.", markup=False)
    if report.imported:
        say("See them with 'backstay list', and bring one back with 'backstay restore ID --to DIR'.")


def _counts(copies: list[Any]) -> dict[str, int]:
    return {state: sum(copy.state == state for copy in copies) for state in ("stored", "sending", "failed", "deleting")}


def _json(destination: NamedDestination) -> dict[str, Any]:
    return {
        "name": destination.name,
        "url": destination.url,
        "secrets": sorted(destination.secrets),
        "created": moment(destination.created),
        **asdict(destination.options),
    }
