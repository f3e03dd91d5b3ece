"""``backstay archive``: archives as files, of whatever origin."""

from __future__ import annotations

import re
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from backstay.archives import ArchiveReader, Entry, EntryType, open_archive
from backstay.cli import options
from backstay.cli.output import bar, console, counted, print_json, say, shown, size, table, warn
from backstay.errors import NotFoundError, VerificationError

_HELP = """List, verify and extract archives: JPA, JPS and ZIP, whole or in parts.

They cannot be mounted, because no well-kept FUSE binding would keep that small: list, cat and extract --only reach
every file.
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)

_IN_REPOSITORY = re.compile(r"repository:(?P<name>[^:]+):(?P<backup>[0-9a-fA-F]+)")

Archive = Annotated[
    str,
    typer.Argument(
        metavar="ARCHIVE|ID|NAME:FILE",
        help="The main file: .jpa, .jps or .zip, beside its parts. Or the number of a backup, a storage's name and "
        "the main file's name there, or repository:NAME:BACKUP.",
    ),
]


def _opened(archive: str, password: str | None, storage: str, home: Path | None) -> ArchiveReader:
    """Open an archive that lies here, or at a storage; there only what is needed of it is read."""
    stored = archive.isascii() and (archive.isdigit() or ":" in archive)
    if not storage and (not stored or Path(archive).exists()):
        return open_archive(archive, password=password)
    from backstay.jobs.archive_of import open_backup
    from backstay.jobs.stored_backups import open_named

    with options.opened(home) as installation:
        if in_repository := _IN_REPOSITORY.fullmatch(archive):
            from backstay.jobs.repositories import open_stored

            return open_stored(installation, in_repository["name"], in_repository["backup"])
        if archive.isdigit():
            return open_backup(installation, int(archive), storage, password)
        return open_named(installation, f"{storage}:{archive}" if storage else archive, password)


@app.command("list")
def list_entries(
    archive: Archive,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """List what is in an archive.

    Example:
        backstay archive list site.jpa --json
    """
    with _opened(archive, password, storage, home) as opened:
        entries = list(opened)
    if json_output:
        print_json([_plain(entry) for entry in entries])
        return
    rows = table("Mode", "Size", "Modified (UTC)", "Path", right=["Size"])
    for entry in entries:
        when = datetime.fromtimestamp(entry.mtime, UTC).strftime("%Y-%m-%d %H:%M:%S") if entry.mtime else ""
        target = f" -> {shown(entry.target)}" if entry.target else ""
        slash = "/" if entry.type is EntryType.DIRECTORY else ""
        rows.add_row(_mode(entry), str(entry.size), when, Text(shown(entry.path) + slash + target))
    console.print(rows)
    console.print(f"{len(entries)} entries, {size(sum(entry.size for entry in entries))}")


def _plain(entry: Entry) -> dict[str, object]:
    return {
        "path": entry.path.encode("utf-8", "backslashreplace").decode(),
        "type": entry.type.value,
        "size": entry.size,
        "compressed_size": entry.compressed_size,
        "mode": None if entry.mode is None else oct(stat.S_IMODE(entry.mode)),
        "mtime": entry.mtime,
        "target": None if entry.target is None else entry.target.encode("utf-8", "backslashreplace").decode(),
    }


def _mode(entry: Entry) -> str:
    kind = {EntryType.DIRECTORY: stat.S_IFDIR, EntryType.FILE: stat.S_IFREG, EntryType.SYMLINK: stat.S_IFLNK}
    return stat.filemode(kind[entry.type] | stat.S_IMODE(entry.mode or 0))


@app.command()
def verify(
    archive: Archive,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Read all of an archive and say what is wrong with which entry.

    Example:
        backstay archive verify site.jpa
    """
    with _opened(archive, password, storage, home) as opened, bar("Verify", quiet=json_output) as progress:
        report = opened.verify(on_progress=lambda done: progress.update(done.path, done.bytes, done.total))
    problems = [problem.message for problem in report.problems]
    if json_output:
        print_json(
            {
                "ok": report.ok,
                "entries": report.entries,
                "bytes": report.bytes,
                "manifest": report.used_manifest,
                "problems": problems,
            }
        )
    if problems:
        for problem in problems if not json_output else ():
            warn(problem)
        raise VerificationError(f"{archive} is damaged: {len(problems)} problems, first: {problems[0]}")
    if not json_output:
        how = "every content equals its hash" if report.used_manifest else "its structure is whole; it has no manifest"
        console.print(f"{archive} is good: {report.entries} entries, {size(report.bytes)}; {how}.", markup=False)


@app.command()
def extract(
    archive: Archive,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write to; made where it is missing.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GLOB", help="Only paths that match, for example 'images/**'.")
    ] = None,
    special_modes: Annotated[
        bool, typer.Option("--special-modes", help="Give files their setuid, setgid and sticky bits too.")
    ] = False,
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Write everything that is in an archive into a folder, the backup's own pages and dumps included.

    Example:
        backstay archive extract site.jpa --to /tmp/site --only 'images/**'
    """
    with _opened(archive, password, storage, home) as opened, bar("Extract", quiet=json_output) as progress:
        warnings: list[str] = []
        report = opened.extract(
            to,
            only=only or (),
            special_modes=special_modes,
            on_warning=warnings.append,
            on_progress=lambda done: progress.update(done.path, done.bytes, done.total),
        )
    if json_output:
        print_json({"entries": report.entries, "bytes": report.bytes, "refused": report.refused, "warnings": warnings})
        return
    for warning in warnings:
        warn(warning)
    console.print(f"{report.entries} entries, {size(report.bytes)}, are in {to}.", markup=False)
    if report.refused:
        say(f"Left out because they are not safe: {counted(report.refused, 'entry', 'entries')}.")


@app.command()
def cat(
    archive: Archive,
    path: Annotated[str, typer.Argument(help="Path of one file in the archive.")],
    storage: options.Storage = "",
    password: options.Password = None,
    home: options.Home = None,
) -> None:
    """Write one file of an archive to standard output.

    Examples:
        backstay archive cat site.jpa configuration.php

        backstay archive cat repository:sites:3f2a configuration.php
    """
    with _opened(archive, password, storage, home) as opened:
        try:
            for piece in opened.read_path(path.strip("/")):
                sys.stdout.buffer.write(piece)
        except NotFoundError as error:
            raise NotFoundError(
                f"There is no file {shown(path)} in {archive}: see what is in it with 'backstay archive list'."
            ) from error
