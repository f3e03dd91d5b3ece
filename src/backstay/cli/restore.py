"""``backstay restore``: bring a site back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from backstay.archives import open_archive
from backstay.cli import options
from backstay.cli.output import bar, console, print_json, say, shown, size, warn
from backstay.databases import DatabaseAddress, ExistingTables
from backstay.errors import BackstayError, NotFoundError, UsageError
from backstay.jobs import Installation, backup_files, get_backup
from backstay.restore import MAIN_DUMP, RestoreProgress, RestoreReport, restore_site


def restore(
    source: Annotated[str, typer.Argument(metavar="ID|ARCHIVE", help="Number of a backup, or an archive's main file.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to bring the files back to.")],
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
            "--existing-tables", metavar="refuse|replace|backup", help="What to do with tables that are there already."
        ),
    ] = "refuse",
    only: Annotated[list[str] | None, typer.Option("--only", metavar="GLOB", help="Only these paths.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write over what is there without asking.")] = False,
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Bring a site back from a backup: its files into a folder, its databases into servers.

    Nothing of the backup itself is left among the site's files.

    Examples:
        backstay restore 12 --to /var/www/site --database mysql://user:password@localhost/site

        backstay restore site.jpa --to /var/www/copy --only 'images/**'
    """
    databases = _databases(database or [])
    policies = {"refuse": ExistingTables.REFUSE, "replace": ExistingTables.REPLACE, "backup": ExistingTables.BACK_UP}
    if existing not in policies:
        raise UsageError(f"--existing-tables takes refuse, replace or backup, not {existing!r}.")
    path, secret = _archive(source, home, password)
    occupied = to.is_dir() and any(to.iterdir())
    if occupied and not yes:
        if not sys.stdin.isatty() or json_output:
            raise UsageError(f"{to} is not empty: choose another folder, or add --yes to write over what is there.")
        typer.confirm(f"{to} is not empty. Write over files of the same names?", abort=True)
    started = time.monotonic()
    warnings: list[str] = []
    report: RestoreReport | None = None
    with open_archive(path, password=secret) as archive, bar("Restore", quiet=json_output) as progress:
        for step in restore_site(
            archive,
            to.absolute(),
            databases=databases,
            existing=policies[existing],
            replace_files=occupied,
            only=only or (),
            on_warning=warnings.append,
        ):
            if isinstance(step, RestoreProgress):
                progress.update(f"{step.stage} {step.what}", step.done, step.total)
            else:
                report = step
    if report is not None:
        _tell(report, warnings, time.monotonic() - started, json_output=json_output)


def _databases(values: list[str]) -> dict[str, DatabaseAddress]:
    found = {}
    for value in values:
        before, separator, after = value.partition("=")
        named = bool(separator) and before.endswith(".sql")
        found[before if named else MAIN_DUMP] = DatabaseAddress.parse(after if named else value)
    return found


def _archive(source: str, home: Path | None, password: str | None) -> tuple[Path, str | None]:
    if not source.isdigit():
        path = Path(source)
        if not path.is_file():
            raise NotFoundError(
                f"There is no archive {shown(source)}: give the path of its main file, or a backup's number."
            )
        return path, password
    with options.opened(home) as installation:
        backup = get_backup(installation, int(source))
        files = backup_files(installation, backup)
        if not files:
            raise NotFoundError(f"Backup {backup.id} has no files (its state is {backup.meta}): choose another one.")
        return files[-1].path, password or _password(installation, backup.profile_id)


def _password(installation: Installation, profile_id: int) -> str | None:
    try:
        return installation.catalogue.profiles.get(profile_id).settings().archive_password.get_secret_value() or None
    except BackstayError:
        return None


def _tell(report: RestoreReport, warnings: list[str], seconds: float, *, json_output: bool) -> None:
    if json_output:
        print_json(
            {
                "target": str(report.target),
                "files": report.files,
                "bytes": report.bytes,
                "databases": {
                    name: {"tables": len(summary.tables), "rows": summary.rows, "backups": dict(summary.backups)}
                    for name, summary in report.databases.items()
                },
                "not_restored": list(report.not_restored),
                "seconds": round(seconds, 3),
                "warnings": warnings,
            }
        )
        return
    for warning in warnings:
        warn(warning)
    console.print(f"{report.files} entries, {size(report.bytes)}, are back in {report.target}.", markup=False)
    for name, summary in report.databases.items():
        console.print(f"{name}: {len(summary.tables)} tables, {summary.rows} rows are back.", markup=False)
    for name in report.not_restored:
        option = "--database URL" if name == MAIN_DUMP else f"--database {name}=URL"
        say(f"The archive also holds the database dump {name}, which was not loaded: give {option} to load it.")
    console.print(f"{seconds:.1f} s")
