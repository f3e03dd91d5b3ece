"""``backstay list``, ``show``, ``log``, ``verify`` and ``delete``: the backups that were taken."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from backstay.catalogue import Backup, BackupSearch
from backstay.cli import options
from backstay.cli.copies import copy_json, copy_line
from backstay.cli.output import bar, console, moment, print_json, shown, size, table
from backstay.errors import UsageError
from backstay.jobs.machines import lies_elsewhere
from backstay.jobs.records import (
    ListedBackup,
    delete_backup,
    delete_backup_files,
    describe_backup,
    freeze_backup,
    get_backup,
    list_backups,
    read_log,
)
from backstay.steps import finished

if TYPE_CHECKING:
    from backstay.jobs.installation import Installation

Number = Annotated[int, typer.Argument(metavar="ID", help="Number of the backup, as 'backstay list' shows it.")]
_DRILL_STYLES = {"passed": "green", "failed": "red", "impossible": "yellow"}
_STYLES = {"ok": "green", "fail": "red", "pending": "yellow", "obsolete": "dim", "remote": "cyan"}


def as_json(listed: ListedBackup) -> dict[str, Any]:
    """Return a record as the commands print it with ``--json``."""
    record = asdict(listed.backup)
    record["backupstart"], record["backupend"] = moment(listed.backup.backupstart), moment(listed.backup.backupend)
    record["absolute_path"] = shown(listed.backup.absolute_path)
    return {**record, "meta": listed.backup.meta, "size": listed.size}


class ShownState(StrEnum):
    """Which backups a list shows."""

    RUNNING = "running"
    HERE = "here"
    ELSEWHERE = "elsewhere"
    GONE = "gone"
    FAILED = "failed"
    FROZEN = "frozen"


def _number_of(installation: Installation, profile: str) -> int:
    # Imported here: a list of everything loads no more than it needs.
    from backstay.jobs.schedules import find_profile

    return find_profile(installation, profile)


def list_command(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest to show.")] = 50,
    search: Annotated[
        str, typer.Option("--search", metavar="TEXT", help="Only those whose description or comment has this text.")
    ] = "",
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="PROFILE", help="Only those of this profile or site.")
    ] = None,
    state: Annotated[ShownState | None, typer.Option("--state", help="Only those in this state.")] = None,
    storage: Annotated[
        str, typer.Option("--storage", metavar="NAME", help="Only those with a copy at this storage.")
    ] = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List the backups that were taken, newest first.

    Examples:
        backstay list

        backstay list --limit 5 --json

        backstay list --search "before the update" --state here

        backstay list --profile shop.example
    """
    with options.opened(home) as installation:
        number = None if profile is None else _number_of(installation, profile)
        matching = BackupSearch(search, number, state.value if state else "", storage)
        found = list_backups(installation, 0, limit, matching)
        names = installation.catalogue.profiles.names_of({listed.backup.profile_id for listed in found})
    if json_output:
        print_json([as_json(listed) for listed in found])
        return
    if not found:
        is_all = matching == BackupSearch()
        console.print(
            "There are no backups yet: take one with 'backstay backup PATH'." if is_all else "There is no such backup."
        )
        return
    rows = table(
        "ID",
        "Started (UTC)",
        "State",
        "Type",
        "Profile",
        "Size",
        "Warnings",
        "Verified",
        "Drill",
        "Description",
        right=["ID", "Size", "Warnings"],
    )
    for listed in found:
        backup = listed.backup
        rows.add_row(
            str(backup.id),
            moment(backup.backupstart),
            Text(backup.meta, style=_STYLES[backup.meta]),
            backup.type,
            Text(_profile(backup, names)),
            size(listed.size),
            Text(str(backup.warning_count), style="yellow") if backup.warning_count else "",
            str(backup.proof.get("level", "")),
            Text(_drill_verdict(backup), style=_DRILL_STYLES.get(_drill_verdict(backup), "")),
            Text(shown(backup.description)),
        )
    console.print(rows)


def show(number: Number, home: options.Home = None, json_output: options.Json = False) -> None:
    """Show all that is known of one backup: its files, its proof, its warnings.

    Example:
        backstay show 12
    """
    # Imported here: what lists backups reads no archive.
    from backstay.engine import BackupFile
    from backstay.jobs.archive_of import own_parts

    with options.opened(home) as installation:
        backup = get_backup(installation, number)
        files = own_parts(installation, backup)
        stored = installation.catalogue.snapshots.of(number)
        warnings = [message for _number, message in installation.catalogue.backups.warnings(number)]
        copies = installation.catalogue.copies.of(number)
        names = installation.catalogue.profiles.names_of([backup.profile_id])
        elsewhere = backup.filesexist and lies_elsewhere(installation, backup)
    if json_output:
        record = as_json(ListedBackup(backup, backup.total_size if files else None))
        record["filenames"] = [{"part": file.part, "name": file.name, "size": file.size} for file in files]
        record["repository"] = {"name": stored.repository, "backup": stored.snapshot} if stored else None
        print_json({**record, "copies": [copy_json(copy) for copy in copies], "warnings": warnings})
        return
    rows = table("", "")
    rows.show_header = False
    for name, value in (
        ("Backup", str(backup.id)),
        ("State", backup.meta),
        ("Error", backup.error),
        ("Description", backup.description),
        ("Comment", backup.comment),
        ("Type", backup.type),
        ("Profile", _profile(backup, names)),
        ("Machine", backup.machine),
        ("Started (UTC)", moment(backup.backupstart)),
        ("Ended (UTC)", moment(backup.backupend)),
        ("Taken by", backup.origin),
        ("Name in the API", backup.backupid or ""),
        ("Size", size(backup.total_size) if backup.total_size else ""),
        ("Repository", f"{stored.repository}, backup {stored.snapshot}, {size(stored.added)} new" if stored else ""),
        ("Verified", _proof(backup)),
        ("Read again", _read_again(backup)),
        ("Left out", _left_out(backup)),
        ("Drill", _drill(backup)),
    ):
        if value:
            rows.add_row(Text(name, style="bold"), Text(shown(value)))
    console.print(rows)
    if elsewhere:
        console.print(f"Its files lie on the disk of the machine {backup.machine} alone.", markup=False)
    for file in files:
        where = str(file.path) if isinstance(file, BackupFile) else f"{file.name} of {file.place}"
        console.print(f"Part {file.part}: {shown(where)}  {size(file.size)}", markup=False)
    for copy in copies:
        console.print(copy_line(copy), markup=False)
    for warning in warnings:
        console.print(Text("Warning: ", style="yellow") + Text(shown(warning)))


def _profile(backup: Backup, names: Mapping[int, str]) -> str:
    """Name a backup's profile, or its site, as far as that exists still."""
    return f"{backup.profile_id} {shown(names.get(backup.profile_id, ''))}".rstrip()


def _proof(backup: Backup) -> str:
    proof = backup.proof
    if "level" not in proof:
        # Not taken here, and not read since.
        return ""
    if proof["level"] == "none":
        return "no"
    return f"{proof['level']} of {proof.get('entries', 0)} entries at {proof['at'][:19].replace('T', ' ')}"


def _read_again(backup: Backup) -> str:
    found = sorted(backup.proof.get("verifications", {}).items())
    return "; ".join(
        f"{f'at {place}' if place else 'here'} {one['at'][:19].replace('T', ' ')}: "
        + ("good" if one["ok"] else "damaged, " + " ".join(one["problems"][:1]))
        for place, one in found
    )


def _left_out(backup: Backup) -> str:
    count = int(backup.proof.get("skipped_objects", 0))
    what = "1 database object" if count == 1 else f"{count} database objects"
    return f"{what} that the server did not give: the warnings name what" if count else ""


def _drill_verdict(backup: Backup) -> str:
    return str(backup.proof.get("drill", {}).get("verdict", ""))


def _drill(backup: Backup) -> str:
    found = backup.proof.get("drill")
    if not found:
        return ""
    text = f"{found['verdict']} at {found['at'][:19].replace('T', ' ')}, in {found['seconds']:.1f} s"
    return text + "".join(f"; {problem}" for problem in found["problems"][:3])


def log(number: Number, home: options.Home = None) -> None:
    """Print the log of a backup.

    Example:
        backstay log 12 | grep WARNING
    """
    with options.opened(home) as installation:
        text = read_log(installation, get_backup(installation, number))
    sys.stdout.write(text.replace("\r\n", "\n").encode("utf-8", "backslashreplace").decode())


def verify(
    number: Number,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Read a backup's archive, from the disk or from a storage, and prove that it is what was written.

    Examples:
        backstay verify 12

        backstay verify 12 --storage nas
    """
    # Imported here: what lists and shows reads no archive.
    from backstay.jobs.verification import damage_error, verify_backup

    with options.opened(home) as installation:
        with bar("Verify", quiet=json_output) as progress:
            found = finished(
                verify_backup(installation, number, storage=storage, password=password),
                lambda done: progress.update(done.path, done.bytes, done.total),
            )
        if json_output:
            facts = {"entries": found.entries, "bytes": found.bytes, "problems": found.problems}
            print_json({"id": number, "ok": not found.problems, **facts})
        if found.problems:
            raise damage_error(installation, found)
    if not json_output:
        how = "every content equals its hash" if found.compared else "its structure is whole; it has no manifest"
        console.print(f"Backup {number} is good: {found.entries} entries, {size(found.bytes)}; {how}.", markup=False)


def freeze(
    number: Number,
    off: Annotated[bool, typer.Option("--off", help="End the protection.")] = False,
    home: options.Home = None,
) -> None:
    """Protect a backup from being deleted, by hand or by retention.

    Example:
        backstay freeze 12
    """
    with options.opened(home) as installation:
        freeze_backup(installation, number, frozen=not off)
    console.print(f"Backup {number} is {'no longer ' if off else ''}protected.")


def edit(
    number: Number,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="A new description.")] = None,
    comment: Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="A new comment.")] = None,
    home: options.Home = None,
) -> None:
    """Change the description or the comment of a backup.

    Example:
        backstay edit 12 --comment "before the update to 6.5"
    """
    if description is None and comment is None:
        raise UsageError("Nothing is to be changed: give --description or --comment.")
    with options.opened(home) as installation:
        describe_backup(installation, number, description=description, comment=comment)
    console.print(f"Backup {number} is described anew.")


def delete(
    number: Number,
    files_only: Annotated[bool, typer.Option("--files-only", help="Keep the record.")] = False,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Delete its copies at storages too.")] = False,
    yes: options.Yes = False,
    home: options.Home = None,
) -> None:
    """Delete a backup: its archive here, its log and its record. One that is running is stopped.

    Its copies at storages stay, unless --everywhere says otherwise.

    Examples:
        backstay delete 12 --files-only

        backstay delete 12 --everywhere
    """
    with options.opened(home) as installation:
        backup = get_backup(installation, number)
        if not yes and sys.stdin.isatty():
            what = "the files of backup" if files_only else "backup"
            typer.confirm(f"Delete {what} {number} ({shown(backup.description)})?", abort=True)
        if everywhere:
            # Imported here: what sends and reads stored backups is slow to load.
            from backstay.jobs.storage import delete_copies

            delete_copies(installation, number)
        left = [copy.destination for copy in installation.catalogue.copies.of(number) if copy.state == "stored"]
        (delete_backup_files if files_only else delete_backup)(installation, number)
    again = "--everywhere deletes them too" if files_only else "'backstay storage import' finds them again"
    console.print(
        f"{'The files of backup' if files_only else 'Backup'} {number} {'are' if files_only else 'is'} deleted."
        + (f" Its copies stay at {', '.join(left)}: {again}." if left else ""),
        markup=False,
    )
