"""``backstay backup``: take a backup here and now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from backstay.catalogue import ANY_MACHINE, Backup, Profile
from backstay.cli import backup_options, options, site_selection
from backstay.cli.backup_options import BackupOptions
from backstay.cli.copies import copy_json
from backstay.cli.output import bar, console, counted, print_json, say, shown, size, warn
from backstay.engine import Plan, Survey
from backstay.errors import BackupFailedError, UsageError
from backstay.jobs.backup import (
    StepState,
    acknowledge,
    pause_backup,
    start_backup,
    step_backup,
    survey_backup,
)
from backstay.jobs.installation import Installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.records import backup_files, get_backup

if TYPE_CHECKING:
    from backstay.fleet.selection import Selection


def backup(
    path: backup_options.Site = None,
    *,
    profile: backup_options.Profile = None,
    resume: backup_options.Resume = None,
    database: backup_options.Database = "",
    backup_type: backup_options.Type = None,
    archive_format: backup_options.Format = None,
    part_size: backup_options.PartSize = None,
    compression: backup_options.Compression = None,
    exclude: backup_options.Exclude = None,
    description: backup_options.Description = "",
    output: backup_options.Output = None,
    storage: backup_options.Storage = None,
    repository: backup_options.Repository = None,
    read_all: backup_options.ReadAll = False,
    installer: backup_options.Installer = None,
    password: options.Password = None,
    strict: backup_options.Strict = False,
    dry_run: backup_options.DryRun = False,
    site: site_selection.Sites = None,
    group: site_selection.Groups = None,
    tag: site_selection.Tags = None,
    state: site_selection.States = None,
    all_sites: backup_options.AllSites = False,
    background: backup_options.Background = False,
    cancel: backup_options.Cancel = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take a backup of a site: its files and its database, in one archive, proven.

    The backup runs in a process of its own and goes on if this terminal goes away. Of sites that 'backstay site' knows,
    many are backed up at a time, those on other servers too: by this command, beside the workers there may be.

    Examples:
        backstay backup /var/www/site

        backstay backup /var/www/site --database mysql://user@localhost/site --exclude 'cache/'

        backstay backup --profile 2 --format zip --part-size 50MiB

        backstay backup /var/www/site --storage nas --storage offsite

        backstay backup /var/www/site --repository house

        backstay backup --site shop.example --site blog.example

        backstay backup --group clients --background
    """
    given = BackupOptions(
        type=backup_type,
        format=archive_format,
        part_size=part_size,
        compression=compression,
        exclude=tuple(exclude or ()),
        output=output,
        storages=tuple(storage or ()),
        installers=tuple(installer or ()),
        password=password,
        database=database,
        strict=strict,
        repository=repository,
        read_all=read_all,
    )
    selection = site_selection.selection_of(site, group, tag, state)
    many = all_sites or not selection.is_empty
    if many:
        _refuse_options(given, database, more=bool(path or profile is not None or resume or dry_run))
    if (background or cancel) and not many:
        raise UsageError("Say which sites are meant, with --site, --group, --tag, --state or --all-sites.")
    with options.opened(home) as installation:
        if many:
            _back_up_sites(installation, selection, description, background=background, cancel=cancel, as_json=as_json)
            return
        if resume is not None:
            finished = _resume(installation, resume, quiet=as_json)
        else:
            chosen = _profile(installation, path, profile, database)
            if profile is not None and _is_elsewhere(installation, chosen):
                _refuse_options(given, database, more=dry_run)
            _check_places(installation, given)
            if dry_run:
                _print_survey(*survey_backup(installation, chosen.id, given.overrides()), as_json=as_json)
                return
            finished = _take(installation, chosen, description, given, quiet=as_json)
        _print(installation, finished, as_json=as_json)


def _refuse_options(given: BackupOptions, database: str, *, more: bool) -> None:
    """Refuse what is said of one backup of this machine, and of none of a site elsewhere."""
    if more or given != BackupOptions(database=database):
        raise UsageError(
            "How sites are backed up is said by their profiles: give --description with them, and no more."
        )


def _is_elsewhere(installation: Installation, profile: Profile) -> bool:
    site = installation.catalogue.sites.find_by_profile(profile.id)
    return site is not None and site.kind == "remote"


def _back_up_sites(
    installation: Installation,
    selection: Selection,
    description: str,
    *,
    background: bool,
    cancel: bool,
    as_json: bool,
) -> None:
    # Imported here: the backup of one site begins sooner without.
    from backstay.cli import backup_sites

    if cancel:
        backup_sites.cancel(installation, selection)
    else:
        backup_sites.back_up(installation, selection, description, background=background, as_json=as_json)


def _resume(installation: Installation, number: int, *, quiet: bool) -> StepState:
    record = get_backup(installation, number)
    with _stoppable(installation, record.profile_id), _performed_here(installation, number):
        return _watch(installation, step_backup(installation, record.backupid or ""), quiet=quiet)


def _take(
    installation: Installation, profile: Profile, description: str, given: BackupOptions, *, quiet: bool
) -> StepState:
    overrides = given.overrides()
    with _stoppable(installation, profile.id):
        state = start_backup(
            installation, profile_id=profile.id, description=description, overrides=overrides, origin="cli", tag="cli"
        )
        with _performed_here(installation, state.backup_id):
            return _watch(installation, state, quiet=quiet)


@contextmanager
def _performed_here(installation: Installation, backup_id: int) -> Iterator[None]:
    """Let this process take the backup of a site on another server, unless a worker is quicker."""
    run = installation.catalogue.remote_runs.of_backup(backup_id)
    if run is None or run.ended is not None:
        yield
        return
    # Imported here: few backups need it.
    from backstay.queue.foreground import performing

    with performing(installation, [run.id]):
        yield


def _profile(installation: Installation, path: Path | None, number: int | None, database: str) -> Profile:
    if (path is None) == (number is None):
        raise UsageError("Give the folder of a site, or --profile with a number: see 'backstay profile list'.")
    if path is not None:
        return profile_of_site(installation, path, database)
    return installation.catalogue.profiles.get(number or 1)


def _check_places(installation: Installation, given: BackupOptions) -> None:
    for name in given.storages:
        installation.catalogue.destinations.get(name)
    if given.repository:
        installation.catalogue.repositories.get(given.repository)


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
    """Let Ctrl-C, from the moment the backup was started, stop it so that it can be resumed."""
    try:
        yield
    except KeyboardInterrupt:
        running = installation.catalogue.backups.newest(0, 1, status="run", profile_id=profile_id)
        if not running:
            raise
        number = running[0].id
        if running[0].machine == ANY_MACHINE:
            raise BackupFailedError(
                f"Backup {number} is left to the next worker, or to 'backstay backup --resume {number}'; end it with "
                f"'backstay delete {number}'."
            ) from None
        pause_backup(installation, number)
        if get_backup(installation, number).status != "run":
            say(f"Backup {number} had ended before it could be stopped: see it with 'backstay show {number}'.")
            raise
        raise BackupFailedError(
            f"Backup {number} was stopped. Resume it with 'backstay backup --resume {number}', "
            f"or remove it with 'backstay delete {number}'."
        ) from None


def _print_survey(plan: Plan, found: Survey, warnings: list[str], *, as_json: bool) -> None:
    databases = [database.address().redacted() for database in plan.databases]
    if as_json:
        print_json({**asdict(found), "type": plan.settings.backup_type, "databases": databases, "warnings": warnings})
        return
    for warning in warnings:
        warn(warning)
    console.print(
        f"A {plan.settings.backup_type} backup would take {counted(found.files, 'file')} of {size(found.size)}, "
        f"{counted(found.folders, 'folder')} and {counted(found.links, 'link')}.",
        markup=False,
    )
    for database in databases:
        console.print(f"  Database: {shown(database)}", markup=False)
    for reason, count in sorted(found.excluded.items()):
        console.print(f"  Left out by {shown(reason)}: {count}", markup=False)


def _print(installation: Installation, state: StepState, *, as_json: bool) -> None:
    if state.error:
        raise BackupFailedError(f"Backup {state.backup_id} failed. {state.error}")
    record = get_backup(installation, state.backup_id)
    files = backup_files(installation, record)
    snapshot = installation.catalogue.snapshots.of(record.id)
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
                "repository": snapshot.repository if snapshot else "",
                "snapshot": snapshot.snapshot if snapshot else "",
                "added": snapshot.added if snapshot else 0,
                "seconds": round(seconds, 3),
                "warnings": [message for _number, message in installation.catalogue.backups.warnings(record.id)],
                "proof": record.proof,
            }
        )
        return
    console.print(f"Backup {record.id} is complete: {_proven(record)}.", markup=False)
    for file in files:
        console.print(f"  {file.path}  {size(file.size)}", markup=False)
    if snapshot is not None:
        console.print(
            f"  Snapshot {snapshot.snapshot} of the repository {snapshot.repository}: {size(snapshot.added)} were new",
            markup=False,
        )
    for copy in copies:
        if copy.state == "stored":
            console.print(f"  Stored at {copy.destination}, proven by {copy.proven_how}", markup=False)
    console.print(f"  {_rate(seconds, state)}", markup=False)
    if record.warning_count:
        say(f"{counted(record.warning_count, 'warning')}: see all with 'backstay show {record.id}'.")


def _proven(record: Backup) -> str:
    level = record.proof.get("level")
    if level == "new":
        return "what is new was read back from its repository"
    if level == "content":
        return "read back from the disk, every file's content equals what was read from the site"
    return "read back from the disk, its structure is whole" if level == "structure" else "not verified"


def _rate(seconds: float, state: StepState) -> str:
    counts = state.report
    if counts is None or not counts.bytes_read:
        return f"{seconds:.1f} s"
    return f"{counted(counts.files, 'entry', 'entries')}, {size(counts.bytes_read)} in {seconds:.1f} s"
