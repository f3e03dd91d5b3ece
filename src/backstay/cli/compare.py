"""``backstay compare``: what has changed between two backups."""

from __future__ import annotations

from typing import Annotated

import typer

from backstay.cli import options
from backstay.cli.output import bar, console, counted, print_json, shown, size
from backstay.jobs.comparing import Changes, Comparison, compare_backups
from backstay.steps import finished

_SHOWN = 20


def compare(
    first: Annotated[int, typer.Argument(metavar="ID", help="Number of the earlier backup.")],
    second: Annotated[int, typer.Argument(metavar="ID", help="Number of the later backup.")],
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Compare two backups: files added, changed and removed, tables and their rows.

    Only what the archives say of their content is read, here or at a storage, and no file of them.

    Examples:
        backstay compare 11 12

        backstay compare 11 12 --json
    """
    with options.opened(home) as installation, bar("Compare", quiet=json_output) as progress:
        found = finished(
            compare_backups(installation, first, second, password=password),
            lambda step: progress.update(f"backup {step.backup_id}, {counted(step.entries, 'path')}", 0, None),
        )
    if json_output:
        values = found.to_json()
        for kind in ("added", "changed", "removed"):
            values[kind]["paths"] = [shown(path) for path in values[kind]["paths"]]
        print_json(values)
        return
    _print(found)


def _print(found: Comparison) -> None:
    if found.files:
        for word, changes in (("added", found.added), ("changed", found.changed), ("removed", found.removed)):
            _print_changes(word, changes)
        console.print(f"{counted(found.unchanged, 'path is', 'paths are')} the same in both.", markup=False)
    for table in found.tables:
        if table.before is None or table.after is None:
            what = "is new" if table.before is None else "is gone"
            console.print(f"Table {shown(table.name)} {what}.", markup=False)
        else:
            rows = (
                f"{table.before} rows before, {table.after} after" if table.before != table.after else "other content"
            )
            console.print(f"Table {shown(table.name)}: {rows}.", markup=False)
    console.print(f"{counted(found.same_tables, 'table is', 'tables are')} the same in both.", markup=False)
    for note in found.notes:
        console.print(f"Note: {shown(note)}", markup=False)


def _print_changes(word: str, changes: Changes) -> None:
    paths = counted(changes.count, "path")
    console.print(f"{paths} {word}, {size(changes.bytes)}" + (":" if changes.count else "."), markup=False)
    for path in changes.paths[:_SHOWN]:
        console.print(f"  {shown(path)}", markup=False)
    if changes.count > _SHOWN:
        console.print(f"  and {changes.count - _SHOWN} more", markup=False)
