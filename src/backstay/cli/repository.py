"""``backstay repository``: many backups in one place that share what is the same in them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import bar, console, counted, moment, print_json, say, shown, size, table, warn
from backstay.cli.repository_transfer import Name, adopt, export, import_command
from backstay.errors import UsageError, VerificationError

_HELP = """Keep many backups in one place, where what is the same in them is stored once.

Archives of Backstay's own and of the vendor's are imported, and every backup is written as a JPA, ZIP or JPS again.
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.command()
def create(
    name: Name,
    at: Annotated[
        str, typer.Option("--at", metavar="STORAGE", help="Storage where it lies.", show_default="on this machine")
    ] = "",
    encrypt: Annotated[
        bool | None,
        typer.Option("--encrypt/--no-encrypt", help="Encrypt it.", show_default="yes at storages that are no folders"),
    ] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="Take up one that another installation has made under this name.")
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", help="File whose first line is the passphrase; else it is asked for."
        ),
    ] = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Make a repository. The passphrase of an encrypted one is needed again on another machine, and nowhere kept.

    Examples:
        backstay repository create sites

        backstay repository create offsite --at box --passphrase-file /etc/backstay/passphrase.txt

        backstay repository create offsite --at box --existing
    """
    from backstay.jobs.repositories import add_repository, is_encrypted, is_off_this_machine

    with options.opened(home) as installation:
        if existing:
            wanted = is_encrypted(installation, name, at)
        elif encrypt is None:
            wanted = passphrase_file is not None or is_off_this_machine(installation, at)
        else:
            wanted = encrypt
        passphrase = _passphrase(passphrase_file, new=not existing) if wanted else None
        made = add_repository(installation, name, storage=at, passphrase=passphrase, existing=existing)
    if json_output:
        print_json({"name": made.name, "storage": made.destination or None, "encrypted": bool(made.secret)})
        return
    how = "encrypted" if made.secret else "not encrypted"
    console.print(f"The repository {name} is {'taken up' if existing else 'made'}, {how}.", markup=False)
    if existing:
        say(f"Its backups get their records with 'backstay repository adopt {name}'.")
    if made.secret and not existing:
        say("Keep the passphrase where a fire does not reach it: without it, no other machine can read the backups.")


def _passphrase(file: Path | None, *, new: bool) -> str:
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} can't be read: check its path.") from error
        given = lines[0] if lines else ""
    elif sys.stdin.isatty():
        given = str(typer.prompt("Passphrase of the repository", hide_input=True, confirmation_prompt=new))
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise UsageError(
            "The repository is to be encrypted and no passphrase was given: name a file with --passphrase-file, type "
            "one, or give --no-encrypt."
        )
    return given


@app.command("list")
def list_command(home: options.Home = None, json_output: options.Json = False) -> None:
    """List the repositories.

    Example:
        backstay repository list --json
    """
    with options.opened(home) as installation:
        found = installation.catalogue.repositories.all()
    if json_output:
        print_json(
            [
                {
                    "name": one.name,
                    "storage": one.destination or None,
                    "encrypted": bool(one.secret),
                    "created": moment(one.created),
                }
                for one in found
            ]
        )
        return
    if not found:
        console.print("There is no repository yet: make one with 'backstay repository create NAME'.")
        return
    rows = table("Name", "Storage", "Encrypted", "Added (UTC)")
    for one in found:
        rows.add_row(one.name, one.destination or "this machine", "yes" if one.secret else "no", moment(one.created))
    console.print(rows)


@app.command()
def show(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show the backups of a repository, what they take, and what deleting each would give back.

    Example:
        backstay repository show sites
    """
    from backstay.jobs.repositories import opened_repository
    from backstay.jobs.repository_usage import count_usage

    with options.opened(home) as installation, opened_repository(installation, name) as repository:
        used = count_usage(installation, name, repository)
        records = {row.snapshot: row.backup_id for row in installation.catalogue.snapshots.at(name)}
        where, encrypted = repository.store.url, repository.description.encrypted
    backups = [
        {
            "id": snapshot.id,
            "backup": records.get(snapshot.id),
            "created": moment(snapshot.created),
            "description": str(snapshot.record.get("description", "")),
            "entries": snapshot.entries,
            "size": snapshot.size,
            "added": snapshot.added,
            "frees": freed,
        }
        for snapshot, freed in zip(used.snapshots, used.frees, strict=True)
    ]
    if json_output:
        print_json(
            {
                "name": name,
                "url": where,
                "encrypted": encrypted,
                "size": used.size,
                "stored": used.stored,
                "damaged": used.damaged,
                "backups": backups,
            }
        )
        return
    console.print(Text(f"{name}: {shown(where)}", style="bold"))
    ratio = f", {used.size / used.stored:.1f} to 1" if used.stored else ""
    console.print(
        f"{counted(len(backups), 'backup')} with files of {size(used.size)} take {size(used.stored)}{ratio}; "
        f"{'encrypted' if encrypted else 'not encrypted'}.",
        markup=False,
    )
    rows = table(
        "Backup", "ID", "Taken in (UTC)", "Entries", "Size", "Added", "Deleting frees", "Description",
        right=["ID", "Entries", "Size", "Added", "Deleting frees"],
    )  # fmt: skip
    for backup in backups:
        rows.add_row(
            str(backup["id"]),
            str(backup["backup"] or ""),
            str(backup["created"]),
            str(backup["entries"]),
            *(size(_number(backup[field])) for field in ("size", "added", "frees")),
            Text(shown(str(backup["description"]))),
        )
    if backups:
        console.print(rows)
    for identity in used.damaged:
        warn(f"The backup {identity} is damaged: see 'backstay repository check {name}'.")


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


@app.command()
def check(
    name: Name,
    read_data: Annotated[
        str,
        typer.Option(
            "--read-data",
            metavar="SHARE",
            help="Read so much of it, those parts first that were not read for longest: for example 10% or 100%.",
        ),
    ] = "0%",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Check that all that the backups need is there, and name the backups and files that damage hits.

    Examples:
        backstay repository check sites

        backstay repository check sites --read-data 100%
    """
    from backstay.jobs.repository_proofs import check_repository

    share = _share(read_data)
    with options.opened(home) as installation, bar("Check", quiet=json_output) as progress:
        report = check_repository(installation, name, share, on_step=progress.update)
    if json_output:
        damages = [
            {"backup": found.backup, "path": found.path and shown(found.path), "message": shown(found.message)}
            for found in report.damages
        ]
        print_json(
            {"ok": report.ok, "backups": report.backups, "packs": report.packs, "read": report.read, "damages": damages}
        )
    if not report.ok:
        for found in report.damages if not json_output else ():
            warn(found.message)
        raise VerificationError(
            f"The repository {name} is damaged: {counted(len(report.damages), 'problem')}, "
            f"first: {shown(report.damages[0].message)}"
        )
    if not json_output:
        console.print(
            f"The repository {name} is good: {counted(report.backups, 'backup')}, {counted(report.packs, 'pack')}, "
            f"{size(report.read)} of them read.",
            markup=False,
        )


def _share(text: str) -> float:
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is no share: write 10% or 100%.")
    return share


@app.command()
def prune(name: Name, home: options.Home = None, json_output: options.Json = False) -> None:
    """Give back the space of what no backup needs any more, while others may write.

    Example:
        backstay repository prune sites
    """
    from backstay.jobs.repositories import opened_repository
    from backstay.repository.pruning import prune as prune_repository

    with (
        options.opened(home) as installation,
        opened_repository(installation, name) as repository,
        bar("Prune", quiet=json_output) as progress,
    ):
        done = prune_repository(repository, on_step=lambda text: progress.update(text, 0, None))
    if json_output:
        print_json(
            {
                "deleted": done.deleted,
                "freed": done.freed,
                "rewritten": done.rewritten,
                "copied": done.copied,
                "waiting": done.waiting,
                "locked": done.locked,
                "kept": done.kept,
            }
        )
        return
    console.print(
        f"{counted(done.deleted, 'pack')} deleted, {size(done.freed)}; {size(done.copied)} of them copied before.",
        markup=False,
    )
    if done.waiting:
        say(f"{counted(done.waiting, 'pack')} will be deleted by the next 'prune' after the end of what writes now.")
    if done.locked:
        say(f"{counted(done.locked, 'pack')} can't be deleted yet: the storage has locked them.")
    for pack in done.kept:
        warn(f"The pack {pack} is damaged and still needed, and was kept: see 'backstay repository check {name}'.")


app.command("import")(import_command)
app.command()(export)
app.command()(adopt)


@app.command()
def remove(
    name: Name,
    backups: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BACKUP]...", help="Backups, or the first digits of each.", show_default=False),
    ] = None,
    *,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the repository; what is in it stays where it is.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Delete the repository with all backups in it.")
    ] = False,
    yes: options.Yes = False,
    home: options.Home = None,
) -> None:
    """Let go of backups of a repository; 'prune' gives their space back. Or of the whole repository.

    Examples:
        backstay repository remove sites 3f2a

        backstay repository remove sites --everything --yes
    """
    from backstay.jobs.repositories import delete_repository, forget_repository, remove_backups

    if [bool(backups), forget, everything].count(True) != 1:
        raise UsageError("Say what to let go of: a BACKUP, or the repository itself with --forget or --everything.")
    with options.opened(home) as installation:
        installation.catalogue.repositories.get(name)
        if forget:
            forget_repository(installation, name)
            console.print(f"The repository {name} is forgotten; what is in it stays.", markup=False)
        elif everything:
            if not yes:
                typer.confirm(f"Delete the repository {name} with all backups in it?", abort=True)
            delete_repository(installation, name)
            console.print(f"The repository {name} is deleted.", markup=False)
        else:
            for identity in remove_backups(installation, name, backups or ()):
                console.print(f"The backup {identity} is let go of.", markup=False)
            say(f"Give the space back with 'backstay repository prune {name}'.")
