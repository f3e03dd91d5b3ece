"""``backstay drill``: prove a backup by restoring it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backstay.cli import options
from backstay.cli.output import bar, console, counted, print_json, shown
from backstay.errors import VerificationError
from backstay.jobs.drill import drill_backup, drill_error
from backstay.restore import DrillReport


def drill(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number of the backup, as 'backstay list' shows it.")],
    database: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            help="Any database of a server on which a scratch one may be made, used and dropped.",
            show_default="the server of the site's own database",
        ),
    ] = "",
    scratch: Annotated[
        Path | None,
        typer.Option(
            "--scratch", metavar="DIR", help="Folder with space for the site.", show_default="in Backstay's own folder"
        ),
    ] = None,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Restore a backup into a scratch folder and a scratch database, compare everything, and remove them again.

    Every file is compared with the manifest, every table with the number of rows and the checksum that were taken in
    the dump's snapshot. The verdict is kept with the backup: 'backstay list' shows it.

    Example:
        backstay drill 12 --database mysql://root@localhost/mysql
    """
    report: DrillReport | None = None
    with options.opened(home) as installation, bar("Drill", quiet=json_output) as progress:
        steps = drill_backup(installation, number, server=database, scratch=scratch, password=password, storage=storage)
        for step in steps:
            if isinstance(step, DrillReport):
                report = step
            else:
                progress.update(f"{step.stage} {step.what}", step.done, step.total or None)
    if report is None:
        return
    if json_output:
        print_json({"id": number, **report.to_json(), "problems": [shown(problem) for problem in report.problems]})
    if report.verdict != "passed":
        raise VerificationError(shown(str(drill_error(number, report))))
    if not json_output:
        console.print(
            f"Backup {number} passed its drill: {counted(report.files, 'entry', 'entries')} and "
            f"{counted(report.tables, 'table')} with {counted(report.rows, 'row')} came back as they were, "
            f"in {report.seconds:.1f} s.",
            markup=False,
        )
        for note in report.notes:
            console.print(f"Note: {shown(note)}", markup=False)
