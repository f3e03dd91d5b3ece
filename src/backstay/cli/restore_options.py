"""The options of ``restore``, which ``migrate`` shares: each declared once, and what was given as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from backstay.databases import DatabaseAddress, ExistingTables
from backstay.errors import UsageError
from backstay.restore import MAIN_DUMP, Place

POLICIES = {"refuse": ExistingTables.REFUSE, "replace": ExistingTables.REPLACE, "backup": ExistingTables.BACK_UP}

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
        "For another dump of the archive put its name before it: forum.sql=mysql://…",
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


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What becomes of an archive, as it was given."""

    to: Path | None = None
    databases: tuple[str, ...] = field(default=(), repr=False)
    existing: str = "ask"
    replacements: tuple[str, ...] = ()
    address: str | None = None
    old_addresses: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    only_tables: tuple[str, ...] = ()
    files: bool = True
    merge: bool = False
    configuration: bool = True
    rename_server_files: bool = False
    special_modes: bool = False
    owner: str | None = None
    keep_days: float = 7.0

    def check(self) -> None:
        """Refuse what makes no sense, before anything is downloaded.

        Raises:
            UsageError: an option cannot be used.
        """
        if self.existing not in (*POLICIES, "ask"):
            raise UsageError(f"--existing-tables takes ask, refuse, replace or backup, not {self.existing!r}.")
        if self.address is not None and not _is_whole_address(self.address):
            raise UsageError(f"--address takes a whole address such as https://example.com, not {self.address!r}.")
        if self.old_addresses and self.address is None:
            raise UsageError("--old-address is replaced by the new one: give that with --address.")
        for old in self.old_addresses:
            Place.parse(old)
        pairs(self.replacements)
        named_databases(self.databases)


def _is_whole_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        Place.parse(address)
    except (ValueError, UsageError):
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.query and not parts.fragment


def named_databases(values: tuple[str, ...]) -> dict[str, str]:
    """Return the URL for each dump; one without a name is for the site's own.

    Raises:
        UsageError: a URL makes no sense, or a dump is given two.
    """
    found: dict[str, str] = {}
    for value in values:
        before, separator, after = value.partition("=")
        named = bool(separator) and before.endswith(".sql")
        name = before if named else MAIN_DUMP
        if name in found:
            raise UsageError(f"--database is given twice for {name}: give one.")
        found[name] = DatabaseAddress.parse(after if named else value).url()
    return found


def pairs(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return old and new texts of ``OLD=NEW``; the first equals sign parts them.

    Raises:
        UsageError: one has no equals sign, or no old text.
    """
    found = []
    for value in values:
        old, separator, new = value.partition("=")
        if not separator or not old:
            raise UsageError(
                f"--replace takes OLD=NEW, such as https://old.example=https://new.example, not {value!r}."
            )
        found.append((old, new))
    return tuple(found)
