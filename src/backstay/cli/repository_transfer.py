"""``backstay repository import`` and ``export``: archives into repositories, and out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backstay.cli import options
from backstay.cli.output import bar, console, counted, print_json, shown, size, warn
from backstay.errors import UsageError
from backstay.jobs.sizes import parse_size

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the repository.")]


def import_command(
    name: Name,
    archive: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE|ID|NAME:FILE",
            help="The main file: .jpa, .jps or .zip, beside its parts. Or the number of a backup, or a storage's name "
            "and the main file's name there.",
        ),
    ],
    description: Annotated[
        str,
        typer.Option("--description", metavar="TEXT", help="What to call it.", show_default="as it is called now"),
    ] = "",
    record: Annotated[
        bool, typer.Option("--record", help="Make it a backup that 'backstay list' shows, used like any other.")
    ] = False,
    profile: Annotated[
        int | None,
        typer.Option("--profile", metavar="ID", help="With --record: whose backup it is."),
    ] = None,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Put an archive into a repository, Backstay's own or the vendor's. The archive stays where it is.

    Examples:
        backstay repository import sites site.jpa

        backstay repository import sites 12

        backstay repository import sites nas:site.jpa --record --profile 3
    """
    from backstay.jobs.repositories import import_backup
    from backstay.jobs.repository_records import import_as_backup

    if profile is not None and not record:
        raise UsageError("--profile says whose record it becomes: give --record too.")
    number = None
    with options.opened(home) as installation, bar("Import", quiet=json_output) as progress:
        given: dict[str, Any] = {
            "storage": storage,
            "password": password,
            "description": description,
            "on_step": lambda path, done: progress.update(path, done, None),
        }
        if record:
            snapshot, made = import_as_backup(installation, name, archive, profile_id=profile, **given)
            number = made.id
        else:
            snapshot = import_backup(installation, name, archive, **given)
    if json_output:
        facts = {"id": snapshot.id, "entries": snapshot.entries, "size": snapshot.size, "added": snapshot.added}
        print_json({**facts, "backup": number})
        return
    console.print(
        f"The backup {snapshot.id} is in {name}: {counted(snapshot.entries, 'entry', 'entries')} of "
        f"{size(snapshot.size)}, {size(snapshot.added)} of them new." + (f" It is backup {number}." if number else ""),
        markup=False,
    )


def export(
    name: Name,
    backup: Annotated[str, typer.Argument(metavar="BACKUP", help="The backup, or the first digits of it.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write to; made where it is missing.")],
    format_name: Annotated[str, typer.Option("--format", metavar="FORMAT", help="jpa, zip or jps.")] = "jpa",
    part_size: Annotated[
        str, typer.Option("--part-size", metavar="SIZE", help="Size of a part, for example 50MiB; 0: one file.")
    ] = "0",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Write a backup of a repository as an archive that everything reads: the same bytes every time, but for JPS.

    Examples:
        backstay repository export sites 3f2a --to /tmp --format zip

        backstay repository export sites 3f2a --to /tmp --format jps --part-size 50MiB
    """
    from backstay.jobs.repositories import export_backup, opened_repository

    with (
        options.opened(home) as installation,
        opened_repository(installation, name) as repository,
        bar("Export", quiet=json_output) as progress,
    ):
        parts = export_backup(
            repository,
            name,
            backup,
            to,
            format=format_name.lower(),
            part_size=parse_size(part_size),
            # The variable may be set for other archives.
            password=password if format_name.lower() == "jps" else None,
            on_step=lambda done, total: progress.update(to.name, done, total),
        )
        total = sum(path.stat().st_size for path in parts)
    if json_output:
        print_json({"parts": [str(path) for path in parts], "size": total})
        return
    console.print(f"{shown(str(parts[-1]))} is written: {counted(len(parts), 'part')}, {size(total)}.", markup=False)


def adopt(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Make the records of all backups in a repository that this catalogue does not know, as on a new machine.

    Example:
        backstay repository adopt sites
    """
    from backstay.jobs.repository_adoption import adopt_backups

    with options.opened(home) as installation:
        found = adopt_backups(installation, name)
    if json_output:
        made = [{"backup": one.id, "description": one.description} for one in found.adopted]
        print_json({"adopted": made, "known": found.known, "refused": found.refused})
        return
    for sentence in found.refused:
        warn(sentence)
    console.print(
        f"{counted(len(found.adopted), 'backup')} of {name} can be used by number now: see 'backstay list'. "
        f"Known already: {found.known}.",
        markup=False,
    )
