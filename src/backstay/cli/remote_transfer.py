"""``backstay remote backup`` and ``download``: the long work, with a bar on terminals and plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from backstay.api.replies import StepReply
from backstay.cli.output import bar, console, counted, print_json, say, shown, size, stderr, warn
from backstay.cli.remote_connection import Remote, connected
from backstay.client import DownloadMethod, DownloadProgress
from backstay.errors import BackupFailedError, UsageError

Connections = Annotated[
    int, typer.Option("--connections", min=1, max=32, help="Connections at once, where the server answers ranges.")
]
ChunkSize = Annotated[
    int,
    typer.Option("--chunk-size", metavar="MIB", min=1, max=64, help="Size of a segment; old servers only get 1 right."),
]
HowToFetch = Annotated[
    DownloadMethod, typer.Option("--way", help="direct: files as they are; segments: piece by piece; auto: what works.")
]


@connected
def backup(
    remote: Remote,
    profile: Annotated[int, typer.Option("--profile", help="Number of the profile on the server.")] = 1,
    description: Annotated[str | None, typer.Option("--description", help="Title of the record.")] = None,
    comment: Annotated[str | None, typer.Option("--comment", help="Comment of the record.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--override", metavar="KEY=VALUE", help="Setting for this backup only; needs the right to configure."
        ),
    ] = None,
    download_to: Annotated[
        Path | None, typer.Option("--download", metavar="DIR", help="Download the archive when it is complete.")
    ] = None,
    delete_files: Annotated[
        bool, typer.Option("--delete-files", help="Delete the files on the server after they were downloaded.")
    ] = False,
) -> None:
    """Take a backup on the server and wait for its end.

    Examples:
        backstay remote backup --url https://example.com --description "Before the update"

        backstay remote backup --url https://example.com --download backups --delete-files
    """
    if delete_files and download_to is None:
        raise UsageError("--delete-files deletes what was downloaded: give --download as well.")
    settings = dict(pair(override) for override in overrides or ())
    warnings: list[str] = []
    last: StepReply | None = None
    try:
        with _steps(quiet=remote.as_json) as show:
            for reply in remote.client.backup(profile, description, comment, settings):
                last = reply
                warnings += reply.warnings
                for warning in () if remote.as_json else reply.warnings:
                    warn(warning)
                show(reply)
    except KeyboardInterrupt:
        if last is not None:
            say(f"The server may go on without you: look with 'backstay remote show {last.backup_id}'.")
        raise
    if last is None:
        raise BackupFailedError("The server answered the start of the backup with nothing.")
    files = _fetch(remote, last.backup_id, download_to) if download_to else []
    if delete_files:
        remote.client.delete_files(last.backup_id)
    _print(remote, last, warnings, files, deleted=delete_files)


def _print(remote: Remote, last: StepReply, warnings: list[str], files: list[Path], *, deleted: bool) -> None:
    if remote.as_json:
        print_json(
            {
                "id": last.backup_id,
                "backupid": last.backupid,
                "profile": last.profile,
                "archive": last.archive,
                "warnings": warnings,
                "files": [str(file) for file in files],
                "deleted": deleted,
            }
        )
        return
    console.print(f"Backup {last.backup_id} is complete on the server: {shown(last.archive)}", markup=False)
    for file in files:
        console.print(f"  {shown(str(file))}  {size(file.stat().st_size)}", markup=False)
    if warnings:
        say(f"{counted(len(warnings), 'warning')}.")


@connected
def download(
    remote: Remote,
    backup_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the backup.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the files.")] = Path(),
    part: Annotated[list[int] | None, typer.Option("--part", help="Only this part; may be given often.")] = None,
    way: HowToFetch = DownloadMethod.AUTO,
    connections: Connections = 4,
    chunk_size: ChunkSize = 1,
) -> None:
    """Download a backup; asked for again after a break, go on where it was.

    Examples:
        backstay remote download 25 --url https://example.com --to backups

        backstay remote download 25 --url https://example.com --part 1 --way segments
    """
    files = _fetch(remote, backup_id, to, part or (), way, connections, chunk_size)
    if remote.as_json:
        print_json([{"path": str(file), "size": file.stat().st_size} for file in files])
        return
    for file in files:
        console.print(f"{shown(str(file))}  {size(file.stat().st_size)}", markup=False)


def _fetch(
    remote: Remote,
    backup_id: int,
    folder: Path,
    parts: list[int] | tuple[int, ...] = (),
    way: DownloadMethod = DownloadMethod.AUTO,
    connections: int = 4,
    chunk_size: int = 1,
) -> list[Path]:
    with bar("Download", transfer=True, quiet=remote.as_json) as progress:

        def show(arrived: DownloadProgress) -> None:
            progress.update(arrived.name, arrived.done, arrived.total)

        return remote.client.download(
            backup_id,
            folder,
            parts=parts,
            way=way,
            connections=connections,
            chunk_size=chunk_size,
            on_progress=show,
        )


def pair(text: str) -> tuple[str, str]:
    """Return the key and the value of ``key=value``.

    Raises:
        UsageError: there is no equals sign, or no key.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"{text!r} is not of the form KEY=VALUE.")
    return key, value


@contextmanager
def _steps(*, quiet: bool) -> Iterator[Callable[[StepReply], None]]:
    """Show how far a backup is, in percent: a bar on a terminal, elsewhere a line for each new percentage or domain."""
    if quiet:
        yield lambda _reply: None
        return
    if not stderr.is_terminal:
        yield _Lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]Backup"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("", total=100)

        def show(reply: StepReply) -> None:
            text = shown(f"{reply.domain} {reply.step} {reply.substep}".strip())
            progress.update(task, completed=reply.progress, description=text[-60:])

        yield show


class _Lines:
    """Prints a line whenever the domain or the percentage is a new one."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", -1)

    def __call__(self, reply: StepReply) -> None:
        now = (reply.domain, reply.progress)
        if now != self._last:
            self._last = now
            stderr.print(shown(f"Backup: {reply.progress} %, {reply.domain} {reply.step}".rstrip()), markup=False)
