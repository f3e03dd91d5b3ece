"""``backstay restore``: bring a site back, and finish, take back or confirm what was begun."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import bar, console, moment, print_json, say, shown, table, warn
from backstay.cli.restore_plan import RestoreOptions, make_plan, preview, resolve_source
from backstay.cli.restore_report import report_preview, report_result
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.restore import (
    RestoreSource,
    begin_restore,
    confirm_overdue,
    confirm_restore,
    fetched,
    pending_restores,
    resume_restore,
    run_restore,
    undo_restore,
)
from backstay.restore import RestorePlan, RestoreProgress, RestoreReport, RestoreRun

if TYPE_CHECKING:
    from backstay.client import DownloadProgress


def restore(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|ARCHIVE|URL",
            help="Number of a backup, an archive's main file, or the address of a server. "
            "With --resume, --undo and --confirm: the name of a restore.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Folder to bring the files back to.",
            show_default="where the backup's site was",
        ),
    ] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(
            "--database",
            metavar="[DUMP=]URL",
            help="Database to load the site's dump into, for example mysql://user:password@localhost/new?prefix=new_. "
            "For another dump of the archive put its name before it: forum.sql=mysql://…",
        ),
    ] = None,
    existing: Annotated[
        str,
        typer.Option(
            "--existing-tables",
            metavar="ask|refuse|replace|backup",
            help="What to do with tables that are there already: replaced ones can come back until the restore is "
            "confirmed, and with backup stay beside the new ones for good.",
        ),
    ] = "ask",
    replace: Annotated[
        list[str] | None,
        typer.Option(
            "--replace",
            metavar="OLD=NEW",
            help="Replace a text, such as an address or a path, in the databases and files; may be given often.",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="URL",
            help="New address of the site: the old one is replaced by it, in all its forms, in the configuration, the "
            "databases and the files, and the old folder by the new one.",
        ),
    ] = None,
    old_address: Annotated[
        list[str] | None,
        typer.Option(
            "--old-address",
            metavar="URL",
            help="Old address of the site, where neither its configuration nor its backup tells it; may be given "
            "often.",
            show_default="read from the site",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="GLOB", help="Only these paths; what else is there stays. May be given often."),
    ] = None,
    only_tables: Annotated[
        list[str] | None,
        typer.Option("--only-tables", metavar="GLOB", help="Only these tables, such as '#__users' or 'users*'."),
    ] = None,
    no_files: Annotated[bool, typer.Option("--no-files", help="Databases only.")] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Keep files that the folder holds and the backup does not.")
    ] = False,
    keep_configuration: Annotated[
        bool, typer.Option("--keep-configuration", help="Leave the site's own configuration as it was backed up.")
    ] = False,
    rename_server_files: Annotated[
        bool,
        typer.Option(
            "--rename-server-files",
            help="Give .htaccess, web.config, php.ini and .user.ini in the root other names, as Akeeba's restore does.",
        ),
    ] = False,
    special_modes: Annotated[
        bool, typer.Option("--special-modes", help="Give files setuid, setgid and sticky bits too.")
    ] = False,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="USER[:GROUP]",
            help="Give the files to this user; needs root.",
            show_default="root gives back the owners of the backup, or those of the folder that is replaced",
        ),
    ] = None,
    keep_days: Annotated[
        float,
        typer.Option("--keep-days", min=0, help="Days for which what was replaced is kept unless it is confirmed."),
    ] = 7.0,
    backup: Annotated[
        int | None,
        typer.Option("--backup", metavar="ID", help="Of a server: which backup.", show_default="the newest"),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="TEXT",
            help="Of a server: its secret word or a token. Other users can see command lines: prefer the variable "
            "BACKSTAY_SECRET, --secret-file, or the prompt.",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="File whose first line is the secret.")
    ] = None,
    connections: Annotated[
        int,
        typer.Option(
            "--connections",
            min=1,
            max=32,
            help="Of a server: connections at once. Files are made ready as they come over one, and part by part over "
            "more.",
        ),
    ] = 1,
    storage: options.Storage = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a restore that was interrupted.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take a restore back: what was there before is again.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Remove what a restore replaced, for good.")] = False,
    pending: Annotated[bool, typer.Option("--pending", help="List restores that can be finished or undone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace what is there without asking.")] = False,
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Bring a site back: its files into a folder, its databases into servers, its configuration to fit.

    Everything is made ready beside the old site and changes places in a moment at the end. What it replaces is kept
    for seven days or until --confirm; until then --undo brings it back. Nothing is replaced without being asked about.

    Examples:
        backstay restore 12 --to /var/www/site --database mysql://user:password@localhost/site

        backstay restore site.jpa --to /var/www/copy --only 'images/**'

        backstay restore 12 --to /var/www/new --database mysql://… --address https://new.example

        backstay restore --undo
    """
    if sum((resume, undo, confirm, pending)) > 1:
        raise UsageError("Give one of --resume, --undo, --confirm and --pending.")
    with options.opened(home) as installation:
        for name in confirm_overdue(installation, warn):
            say(f"What the restore {name} replaced was kept long enough and is removed now.")
        if pending:
            _list(installation, json_output=json_output)
            return
        if undo or confirm:
            _end(installation, source or "", undo=undo, json_output=json_output)
            return
        if resume:
            run(resume_restore(installation, source or ""), json_output=json_output)
            return
        if source is None:
            raise UsageError("Say what to restore: the number of a backup, an archive's main file, or an address.")
        wanted = RestoreOptions(
            to=to,
            databases=tuple(database or ()),
            existing=existing,
            replacements=tuple(replace or ()),
            address=address,
            old_addresses=tuple(old_address or ()),
            only=tuple(only or ()),
            only_tables=tuple(only_tables or ()),
            files=not no_files,
            merge=merge,
            configuration=not keep_configuration,
            rename_server_files=rename_server_files,
            special_modes=special_modes,
            owner=owner,
            keep_days=keep_days,
        )
        wanted.check()
        found = resolve_source(installation, source, backup, (secret, secret_file), password, connections, storage)
        if dry_run:
            _report_preview(installation, found, wanted, json_output=json_output)
            return
        restoring = begin(installation, make_plan(found, wanted), existing=existing, yes=yes, json_output=json_output)
        run(restoring, json_output=json_output)


def _report_preview(
    installation: Installation, source: RestoreSource, wanted: RestoreOptions, *, json_output: bool
) -> None:
    with ExitStack() as stack:
        with bar("Download", transfer=True, quiet=json_output or source.remote is None) as progress:

            def told(arrived: DownloadProgress) -> None:
                progress.update(arrived.name, arrived.done, arrived.total)

            here = stack.enter_context(fetched(installation, source, told))
        report_preview(preview(make_plan(here, wanted), in_detail=True), json_output=json_output)


def begin(installation: Installation, plan: RestorePlan, *, existing: str, yes: bool, json_output: bool) -> RestoreRun:
    """Begin a restore, when it was asked whether what is there may be replaced."""
    looked = preview(plan)
    looked.check(existing)
    if looked.replaces and not yes:
        ask(looked.question(), json_output=json_output)
    restoring = begin_restore(installation, looked.decided(plan, existing, asked=looked.replaces))
    restoring.layout = looked.layout
    return restoring


def ask(question: str, *, json_output: bool) -> None:
    """Ask whether what is there may be replaced; where nobody can be asked, refuse."""
    if not sys.stdin.isatty() or json_output:
        raise UsageError(f"{question} Add --yes to replace it, or choose another place.")
    typer.confirm(f"{question} Replace it?", abort=True)


def run(restoring: RestoreRun, *, json_output: bool) -> None:
    """Do a restore, from wherever it is, and tell what came of it."""
    started = time.monotonic()
    warnings: list[str] = []
    report: RestoreReport | None = None
    try:
        with bar("Restore", quiet=json_output) as progress:
            for step in run_restore(restoring, warnings.append):
                if isinstance(step, RestoreProgress):
                    progress.update(f"{step.stage} {step.what}", step.done, step.total or None)
                else:
                    report = step
    except KeyboardInterrupt:
        say(
            f"Interrupted: finish it with 'backstay restore --resume {restoring.journal.name}', "
            f"or take it back with 'backstay restore --undo {restoring.journal.name}'."
        )
        raise
    if report is not None:
        report_result(report, warnings, time.monotonic() - started, json_output=json_output)


def _end(installation: Installation, name: str, *, undo: bool, json_output: bool) -> None:
    restoring = resume_restore(installation, name)
    name, target = restoring.journal.name, restoring.plan.target
    if undo:
        undo_restore(installation, restoring, warn)
    else:
        confirm_restore(restoring)
    if json_output:
        print_json({"name": name, "target": target, "undone": undo, "confirmed": not undo})
        return
    done = "is taken back: what was there before is there again" if undo else "is confirmed: what it replaced is gone"
    console.print(f"The restore {name} of {shown(target)} {done}.", markup=False)


def _list(installation: Installation, *, json_output: bool) -> None:
    found = pending_restores(installation)
    if json_output:
        print_json(
            [
                {
                    "name": one.name,
                    "target": shown(one.target),
                    "archive": shown(one.archive),
                    "state": one.state,
                    "begun": one.begun,
                    "kept_until": one.kept_until.isoformat() if one.kept_until else None,
                }
                for one in found
            ]
        )
        return
    if not found:
        console.print("All restores are over: there is nothing to finish or to take back.")
        return
    rows = table("Name", "State", "Folder", "Kept until (UTC)")
    for one in found:
        rows.add_row(one.name, one.state, Text(shown(one.target)), moment(one.kept_until))
    console.print(rows)
