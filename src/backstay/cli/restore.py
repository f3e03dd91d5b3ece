"""``backstay restore``: bring a site back, and finish, take back or confirm what was begun."""

from __future__ import annotations

import enum
import getpass
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import typer
from rich.text import Text

from backstay.cli import options, restore_options
from backstay.cli.output import bar, console, moment, print_json, say, shown, table, warn
from backstay.cli.restore_options import SourceOptions, resolve_source
from backstay.cli.restore_report import report_preview, report_result
from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.restore import (
    begin_restore,
    confirm_overdue,
    confirm_restore,
    name_of_restore,
    pending_restores,
    resume_restore,
    run_restore,
    undo_restore,
)
from backstay.jobs.restore_plan import RestoreOptions, make_plan
from backstay.jobs.restore_preview import preview
from backstay.jobs.restore_sources import RestoreSource, fetched
from backstay.jobs.restore_tasks import work_in_background
from backstay.restore import RestorePlan, RestoreProgress, RestoreReport, RestoreRun

if TYPE_CHECKING:
    from backstay.client import DownloadProgress


def restore(
    source: restore_options.Source = None,
    to: restore_options.To = None,
    database: restore_options.Database = None,
    existing: restore_options.Existing = "ask",
    replace: restore_options.Replace = None,
    address: restore_options.Address = None,
    old_address: restore_options.OldAddress = None,
    only: restore_options.Only = None,
    only_tables: restore_options.OnlyTables = None,
    no_files: restore_options.NoFiles = False,
    merge: restore_options.Merge = False,
    keep_configuration: restore_options.KeepConfiguration = False,
    rename_server_files: restore_options.RenameServerFiles = False,
    special_modes: restore_options.SpecialModes = False,
    owner: restore_options.Owner = None,
    keep_days: restore_options.KeepDays = 7.0,
    backup: restore_options.BackupId = None,
    secret: options.Secret = None,
    secret_file: options.SecretFile = None,
    connections: restore_options.Connections = 1,
    storage: options.Storage = "",
    background: restore_options.Background = False,
    dry_run: restore_options.DryRun = False,
    resume: restore_options.Resume = False,
    undo: restore_options.Undo = False,
    confirm: restore_options.Confirm = False,
    pending: restore_options.Pending = False,
    yes: restore_options.Yes = False,
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
    action = _action(resume=resume, undo=undo, confirm=confirm, pending=pending)
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
    given = SourceOptions(source or "", backup, secret, secret_file, password, connections, storage)
    with options.opened(home) as installation:
        for name in confirm_overdue(installation, warn):
            say(f"What the restore {name} replaced was kept long enough and is removed now.")
        if action is _Action.BEGIN:
            how = _How(dry_run, background, yes, json_output)
            _restore(installation, given, wanted, how)
        elif action is not _Action.LIST and background:
            _in_background(installation, given.source, action, json_output=json_output)
        elif action is _Action.RESUME:
            run(resume_restore(installation, given.source), json_output=json_output)
        elif action is _Action.LIST:
            _list(installation, json_output=json_output)
        else:
            _end(installation, given.source, undo=action is _Action.UNDO, json_output=json_output)


class _Action(enum.Enum):
    """What ``backstay restore`` is asked to do."""

    BEGIN = enum.auto()
    RESUME = enum.auto()
    UNDO = enum.auto()
    CONFIRM = enum.auto()
    LIST = enum.auto()


_TASKS: dict[_Action, Literal["restore", "undo", "confirm"]] = {
    _Action.BEGIN: "restore",
    _Action.RESUME: "restore",
    _Action.UNDO: "undo",
    _Action.CONFIRM: "confirm",
}


def _action(*, resume: bool, undo: bool, confirm: bool, pending: bool) -> _Action:
    flags = {_Action.RESUME: resume, _Action.UNDO: undo, _Action.CONFIRM: confirm, _Action.LIST: pending}
    chosen = [action for action, given in flags.items() if given]
    if len(chosen) > 1:
        raise UsageError("Give one of --resume, --undo, --confirm and --pending.")
    return chosen[0] if chosen else _Action.BEGIN


@dataclass(frozen=True, slots=True)
class _How:
    """How a restore is done, as it was given."""

    dry_run: bool
    background: bool
    yes: bool
    json_output: bool


def _restore(installation: Installation, given: SourceOptions, wanted: RestoreOptions, how: _How) -> None:
    """Restore an archive, or say what that would change."""
    if not given.source:
        raise UsageError("Say what to restore: the number of a backup, an archive's main file, or an address.")
    wanted.check()
    source = resolve_source(installation, given)
    if how.dry_run:
        _report_preview(installation, source, wanted, json_output=how.json_output)
        return
    plan = make_plan(source, wanted)
    begun = begin(installation, plan, existing=wanted.existing, yes=how.yes, json_output=how.json_output)
    if not how.background:
        run(begun, json_output=how.json_output)
        return
    begun.journal.close()
    backup_id = int(given.source) if given.source.isdigit() else None
    _in_background(installation, begun.journal.name, _Action.BEGIN, backup_id, json_output=how.json_output)


def _in_background(
    installation: Installation, name: str, action: _Action, backup_id: int | None = None, *, json_output: bool
) -> None:
    """Let a task go on with a restore, take it back or confirm it, and print its number."""
    name = name_of_restore(installation, name)
    task = work_in_background(installation, name, _TASKS[action], started_by=getpass.getuser(), backup_id=backup_id)
    if json_output:
        print_json({"name": name, "task": task.id})
        return
    console.print(f"Task {task.id} does it: see 'backstay task show {task.id}'. The restore is called {name}.")


def _report_preview(
    installation: Installation, source: RestoreSource, wanted: RestoreOptions, *, json_output: bool
) -> None:
    with ExitStack() as stack:
        with bar("Download", transfer=True, quiet=json_output or source.remote is None) as progress:

            def report(arrived: DownloadProgress) -> None:
                progress.update(arrived.name, arrived.done, arrived.total)

            here = stack.enter_context(fetched(installation, source, report))
        report_preview(preview(installation, make_plan(here, wanted), in_detail=True), json_output=json_output)


def begin(installation: Installation, plan: RestorePlan, *, existing: str, yes: bool, json_output: bool) -> RestoreRun:
    """Begin a restore, when it was asked whether what is there may be replaced."""
    looked = preview(installation, plan)
    looked.check(existing)
    if looked.replaces and not yes:
        ask(looked.question(), json_output=json_output)
    elif left := looked.not_loaded():
        say(f"This restore is not all of the backup. {left}")
    restoring = begin_restore(installation, looked.decided(existing, asked=looked.replaces))
    restoring.layout = looked.layout
    return restoring


def ask(question: str, *, json_output: bool) -> None:
    """Ask whether what is there may be replaced; where nobody can be asked, refuse."""
    if not sys.stdin.isatty() or json_output:
        raise UsageError(f"{question} Add --yes to replace it, or choose another place.")
    typer.confirm(f"{question} Replace it?", abort=True)


def run(restoring: RestoreRun, *, json_output: bool) -> None:
    """Do a restore, from wherever it is, and print what came of it."""
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
