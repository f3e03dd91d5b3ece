"""The options of ``restore``, which ``migrate`` shares: each declared once; and the archive that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from backstay.errors import UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.restore_sources import RestoreSource, source_of_archive, source_of_backup, source_of_server

Source = Annotated[
    str | None,
    typer.Argument(
        metavar="ID|ARCHIVE|URL",
        help="Number of a backup, an archive's main file, or the address of a server. "
        "With --resume, --undo and --confirm: the name of a restore.",
        show_default=False,
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="DIR", help="Folder to bring the files back to.", show_default="where the backup's site was"
    ),
]
Database = Annotated[
    list[str] | None,
    typer.Option(
        "--database",
        metavar="[DUMP=]URL",
        help="Database to load the site's dump into, for example mysql://user:password@localhost/new?prefix=new_. "
        "For another dump of the archive put its name before it: forum.sql=mysql://…. With none nothing is loaded.",
        show_default="the site's own, where all of it goes back to its place",
    ),
]
Existing = Annotated[
    str,
    typer.Option(
        "--existing-tables",
        metavar="ask|refuse|replace|backup",
        help="What to do with tables that are there already: replaced ones can come back until the restore is "
        "confirmed, and with backup stay beside the new ones for good.",
    ),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="OLD=NEW",
        help="Replace a text, such as an address or a path, in the databases and files; may be given often.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="New address of the site: the old one is replaced by it, in all its forms, in the configuration, the "
        "databases and the files, and the old folder by the new one.",
    ),
]
OldAddress = Annotated[
    list[str] | None,
    typer.Option(
        "--old-address",
        metavar="URL",
        help="Old address of the site, where neither its configuration nor its backup names it; may be given often.",
        show_default="read from the site",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Only these paths; what else is there stays. May be given often."),
]
OnlyTables = Annotated[
    list[str] | None,
    typer.Option("--only-tables", metavar="GLOB", help="Only these tables, such as '#__users' or 'users*'."),
]
NoFiles = Annotated[bool, typer.Option("--no-files", help="Databases only.")]
Merge = Annotated[bool, typer.Option("--merge", help="Keep files that the folder holds and the backup does not.")]
KeepConfiguration = Annotated[
    bool, typer.Option("--keep-configuration", help="Leave the site's own configuration as it was backed up.")
]
RenameServerFiles = Annotated[
    bool,
    typer.Option(
        "--rename-server-files",
        help="Give .htaccess, web.config, php.ini and .user.ini in the root other names, as Akeeba's restore does.",
    ),
]
SpecialModes = Annotated[bool, typer.Option("--special-modes", help="Give files setuid, setgid and sticky bits too.")]
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner",
        metavar="USER[:GROUP]",
        help="Give the files to this user; needs root.",
        show_default="root gives back the owners of the backup, or those of the folder that is replaced",
    ),
]
KeepDays = Annotated[
    float,
    typer.Option("--keep-days", min=0, help="Days for which what was replaced is kept unless it is confirmed."),
]
BackupId = Annotated[
    int | None,
    typer.Option("--backup", metavar="ID", help="Of a server: which backup.", show_default="the newest"),
]
Connections = Annotated[
    int,
    typer.Option(
        "--connections",
        min=1,
        max=32,
        help="Of a server: connections at once. Files are made ready as they come over one, and part by part over "
        "more.",
    ),
]
Background = Annotated[
    bool,
    typer.Option(
        "--background",
        help="Let a process of its own do it, and print its number: 'backstay task show' tells how far it is.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]
Resume = Annotated[bool, typer.Option("--resume", help="Finish a restore that was interrupted.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take a restore back: what was there before is again.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Remove what a restore replaced, for good.")]
Pending = Annotated[bool, typer.Option("--pending", help="List restores that can be finished or undone.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Replace what is there without asking.")]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Which archive is restored, as it was given.

    Attributes:
        source: a backup's number, an archive's main file, or a server's address.
        backup: of a server: number of the backup; None: the newest.
        secret: of a server: its secret; None: from elsewhere.
        secret_file: of a server: the file whose first line is the secret.
        password: of the archive.
        connections: of a server: how many at once.
        storage: of a backup's number: the storage whose copy is read; empty: any.
    """

    source: str
    backup: int | None = None
    secret: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 1
    storage: str = ""


def resolve_source(installation: Installation, options: SourceOptions) -> RestoreSource:
    """Return the archive that a number, a path or an address names; what lies elsewhere is not downloaded yet."""
    source = options.source
    if source.isdigit():
        return source_of_backup(installation, int(source), options.password, options.storage)
    if options.storage:
        raise UsageError("--storage chooses among the copies of a backup: give its number.")
    if source.startswith(("http://", "https://")):
        from backstay.cli.remote_connection import read_secret
        from backstay.client import Client

        word = read_secret(options.secret, options.secret_file)
        with Client(source, word) as client:
            return source_of_server(client, (source, word), options.backup, options.password, options.connections)
    return source_of_archive(Path(source), options.password)
