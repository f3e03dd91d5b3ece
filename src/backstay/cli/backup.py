"""``backstay backup``: take a backup here and now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.catalogue import Backup, Profile
from backstay.cli import options
from backstay.cli.copies import copy_json
from backstay.cli.output import bar, console, print_json, say, shown, size, warn
from backstay.engine import Plan, Survey
from backstay.errors import BackupFailedError, UsageError
from backstay.jobs.backup import StepState, acknowledge, start_backup, step_backup, survey_backup
from backstay.jobs.installation import Installation
from backstay.jobs.launch import stop
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup


def backup(
    path: Annotated[Path | None, typer.Argument(help="Folder of the site.", show_default=False)] = None,
    *,
    profile: Annotated[int | None, typer.Option("--profile", help="Number of the profile to use.")] = None,
    resume: Annotated[
        int | None, typer.Option("--resume", metavar="ID", help="Go on with a backup that was stopped.")
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            envvar="BACKSTAY_DATABASE",
            help="mysql://user:password@host/name?prefix=abc_, postgresql://…, sqlite:///path or none. "
            "Left out: read from the site's configuration. Other users can see command lines: prefer the variable.",
        ),
    ] = "",
    backup_type: Annotated[
        Literal["full", "dbonly", "fileonly", "alldb", "incfile", "incfull"] | None,
        typer.Option("--type", help="What to take.", show_default="full"),
    ] = None,
    archive_format: Annotated[
        Literal["jpa", "jps", "zip"] | None, typer.Option("--format", help="Format of the archive.", show_default="jpa")
    ] = None,
    part_size: Annotated[
        str | None, typer.Option("--part-size", metavar="SIZE", help="Split the archive, for example 50MiB.")
    ] = None,
    compression: Annotated[
        Literal["fast", "balanced", "small"] | None,
        typer.Option("--compression", help="Less time or a smaller archive.", show_default="balanced"),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Leave out paths, as in .gitignore: cache/, *.log, /tmp."),
    ] = None,
    description: Annotated[str, typer.Option("--description", help="For the list of backups.")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Folder for the archive.", show_default="archives in the home"),
    ] = None,
    storage: Annotated[
        list[str] | None,
        typer.Option("--storage", metavar="NAME", help="Send it to this storage; give it several times."),
    ] = None,
    password: options.Password = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where a database does not give one object, rather than warn.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be taken and what each filter leaves out.")
    ] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take a backup of a site: its files and its database, in one archive, proven.

    The backup runs in a process of its own and goes on if this terminal goes away.

    Examples:
        backstay backup /var/www/site

        backstay backup /var/www/site --database mysql://user@localhost/site --exclude 'cache/'

        backstay backup --profile 2 --format zip --part-size 50MiB

        backstay backup /var/www/site --storage nas --storage offsite
    """
    with options.opened(home) as installation:
        if resume is not None:
            record = get_backup(installation, resume)
            with _stoppable(installation, record.profile_id):
                finished = _watch(installation, step_backup(installation, record.backupid or ""), quiet=as_json)
        else:
            chosen = _profile(installation, path, profile, database)
            overrides = _overrides(
                {
                    "akeeba.basic.backup_type": backup_type,
                    "akeeba.advanced.archiver_engine": archive_format,
                    "engine.archiver.common.part_size": None if part_size is None else _part_size(part_size),
                    "backstay.archiver.compression": compression,
                    "backstay.scan.exclude": "\n".join(exclude) if exclude else None,
                    "akeeba.basic.output_directory": str(output.absolute()) if output else None,
                    "engine.archiver.jps.key": password,
                    "backstay.site.database": database or None,
                    "backstay.storage.destinations": _destinations(installation, storage),
                    "backstay.database.strict": True if strict else None,
                }
            )
            if dry_run:
                _tell_survey(*survey_backup(installation, chosen.id, overrides), as_json=as_json)
                return
            with _stoppable(installation, chosen.id):
                state = start_backup(
                    installation,
                    profile_id=chosen.id,
                    description=description,
                    overrides=overrides,
                    origin="cli",
                    tag="cli",
                )
                finished = _watch(installation, state, quiet=as_json)
        _tell(installation, finished, as_json=as_json)


def parse_size(text: str) -> int:
    """Return the bytes that a size like ``50MiB``, ``2G`` or ``65536`` means; units are powers of 1024.

    Raises:
        UsageError: it is not a size.
    """
    units = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
    cleaned = text.strip().lower().removesuffix("ib").removesuffix("b")
    unit = cleaned[-1:] if cleaned[-1:].isalpha() else ""
    number = cleaned.removesuffix(unit).strip()
    try:
        size = int(float(number) * 1024 ** units[unit])
    except (KeyError, ValueError, OverflowError):
        size = -1
    if size < 0:
        raise UsageError(f"{text!r} is not a size: write 50MiB, 2GiB or a number of bytes.")
    return size


def _part_size(text: str) -> int:
    size = parse_size(text)
    if 0 < size < MINIMUM_PART_SIZE:
        raise UsageError(f"Parts of {text} are too small: give at least 64KiB, or 0 for one file.")
    return size


def _profile(installation: Installation, path: Path | None, number: int | None, database: str) -> Profile:
    if (path is None) == (number is None):
        raise UsageError("Give the folder of a site, or --profile with a number: see 'backstay profile list'.")
    if path is not None:
        return profile_of_site(installation, path, database)
    return installation.catalogue.profiles.get(number or 1)


def _destinations(installation: Installation, names: list[str] | None) -> str | None:
    for name in names or []:
        installation.catalogue.destinations.get(name)
    return ",".join(names) if names else None


def _overrides(values: dict[str, Any]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _watch(installation: Installation, state: StepState, *, quiet: bool) -> StepState:
    """Follow a backup to its end."""
    with bar("Backup", quiet=quiet) as line:
        while True:
            acknowledge(installation, state)
            for warning in () if quiet else state.warnings:
                warn(warning)
            if not state.has_run:
                return state
            counts = state.report
            text = f"{state.domain} {state.step} {state.substep}".strip()
            line.update(
                text, counts.bytes_read if counts else 0, counts.bytes_expected if counts else None, state.progress
            )
            state = step_backup(installation, state.backupid)


@contextmanager
def _stoppable(installation: Installation, profile_id: int) -> Iterator[None]:
    """Let Ctrl-C, from the moment the backup was started, stop it so that it can be taken up again."""
    try:
        yield
    except KeyboardInterrupt:
        running = installation.catalogue.backups.newest(0, 1, status="run", profile_id=profile_id)
        if not running:
            raise
        number = running[0].id
        stop(installation, number)
        if get_backup(installation, number).status != "run":
            say(f"Backup {number} had ended before it could be stopped: see it with 'backstay show {number}'.")
            raise
        raise BackupFailedError(
            f"Backup {number} was stopped. Go on with 'backstay backup --resume {number}', "
            f"or remove it with 'backstay delete {number}'."
        ) from None


def _tell_survey(plan: Plan, found: Survey, warnings: list[str], *, as_json: bool) -> None:
    databases = [database.address().redacted() for database in plan.databases]
    if as_json:
        print_json({**asdict(found), "type": plan.settings.backup_type, "databases": databases, "warnings": warnings})
        return
    for warning in warnings:
        warn(warning)
    console.print(
        f"A {plan.settings.backup_type} backup would take {found.files} files of {size(found.size)}, "
        f"{found.folders} folders and {found.links} links.",
        markup=False,
    )
    for database in databases:
        console.print(f"  Database: {shown(database)}", markup=False)
    for reason, count in sorted(found.excluded.items()):
        console.print(f"  Left out by {shown(reason)}: {count}", markup=False)


def _tell(installation: Installation, state: StepState, *, as_json: bool) -> None:
    if state.error:
        raise BackupFailedError(f"Backup {state.backup_id} failed. {state.error}")
    record = get_backup(installation, state.backup_id)
    files = backup_files(installation, record)
    copies = installation.catalogue.copies.of(record.id)
    seconds = (record.backupend - record.backupstart).total_seconds() if record.backupend else 0.0
    if as_json:
        print_json(
            {
                "id": record.id,
                "status": record.status,
                "profile": record.profile_id,
                "archive": str(files[-1].path) if files else "",
                "parts": [str(file.path) for file in files],
                "size": record.total_size,
                "copies": [copy_json(copy) for copy in copies],
                "seconds": round(seconds, 3),
                "warnings": [message for _number, message in installation.catalogue.backups.warnings(record.id)],
                "proof": record.proof,
            }
        )
        return
    console.print(f"Backup {record.id} is complete: {_proven(record)}.", markup=False)
    for file in files:
        console.print(f"  {file.path}  {size(file.size)}", markup=False)
    for copy in copies:
        if copy.state == "stored":
            console.print(f"  Stored at {copy.destination}, proven by {copy.proven_how}", markup=False)
    console.print(f"  {_rate(seconds, state)}", markup=False)
    if record.warning_count:
        say(f"{record.warning_count} warnings: see them with 'backstay show {record.id}'.")


def _proven(record: Backup) -> str:
    level = record.proof.get("level")
    if level == "content":
        return "read back from the disk, every file's content equals what was read from the site"
    return "read back from the disk, its structure is whole" if level == "structure" else "not verified"


def _rate(seconds: float, state: StepState) -> str:
    counts = state.report
    if counts is None or not counts.bytes_read:
        return f"{seconds:.1f} s"
    return f"{counts.files} entries, {size(counts.bytes_read)} in {seconds:.1f} s"
