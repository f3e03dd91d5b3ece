"""The options of ``backstay backup``: each declared once, and what was given as overrides of a profile's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from backstay.archives.parts import MINIMUM_PART_SIZE
from backstay.errors import UsageError
from backstay.jobs.sizes import parse_size

Site = Annotated[Path | None, typer.Argument(help="Folder of the site.", show_default=False)]
Profile = Annotated[int | None, typer.Option("--profile", help="Number of the profile to use.")]
Resume = Annotated[int | None, typer.Option("--resume", metavar="ID", help="Resume a backup that was stopped.")]
Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="BACKSTAY_DATABASE",
        help="mysql://user:password@host/name?prefix=abc_, postgresql://…, sqlite:///path or none. "
        "Left out: read from the site's configuration. Other users can see command lines: prefer the variable.",
    ),
]
Type = Annotated[
    Literal["full", "dbonly", "fileonly", "alldb", "incfile", "incfull"] | None,
    typer.Option("--type", help="What to take.", show_default="full"),
]
Format = Annotated[
    Literal["jpa", "jps", "zip"] | None, typer.Option("--format", help="Format of the archive.", show_default="jpa")
]
PartSize = Annotated[
    str | None, typer.Option("--part-size", metavar="SIZE", help="Split the archive, for example 50MiB.")
]
Compression = Annotated[
    Literal["fast", "balanced", "small"] | None,
    typer.Option("--compression", help="Less time or a smaller archive.", show_default="balanced"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Leave out paths, as in .gitignore: cache/, *.log, /tmp."),
]
Description = Annotated[str, typer.Option("--description", help="For the list of backups.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Folder for the archive.", show_default="archives in the home"),
]
Storage = Annotated[
    list[str] | None,
    typer.Option("--storage", metavar="NAME", help="Send it to this storage; give it several times."),
]
Repository = Annotated[
    str | None,
    typer.Option("--repository", metavar="NAME", help="Put it into this repository, in place of an archive."),
]
ReadAll = Annotated[
    bool, typer.Option("--read-all", help="Read every file for a repository, also those that did not change.")
]
Installer = Annotated[
    list[Path] | None,
    typer.Option(
        "--installer",
        metavar="FILE.jpa",
        help="Put this package of a PHP restoration script into the archive; give it several times, later ones win.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail where a database does not give one object, rather than warn.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only report what would be taken and what each filter leaves out.")
]
AllSites = Annotated[bool, typer.Option("--all-sites", help="All sites, on this machine and on other servers.")]
Background = Annotated[
    bool, typer.Option("--background", help="Leave the backups of sites to a worker or server, and do not wait.")
]
Cancel = Annotated[
    bool, typer.Option("--cancel", help="End the backups of sites on other servers that wait or are under way.")
]


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """How a backup differs from what its profile says, as it was given; None, or empty: as the profile says."""

    type: str | None = None
    format: str | None = None
    part_size: str | None = None
    compression: str | None = None
    exclude: tuple[str, ...] = ()
    output: Path | None = None
    storages: tuple[str, ...] = ()
    installers: tuple[Path, ...] = ()
    password: str | None = field(default=None, repr=False)
    database: str = field(default="", repr=False)
    strict: bool = False
    repository: str | None = None
    read_all: bool = False

    def overrides(self) -> dict[str, object]:
        """Return settings by their dotted keys.

        Raises:
            UsageError: the size of the parts is none, or too small.
        """
        values: dict[str, object] = {
            "akeeba.basic.backup_type": self.type,
            "akeeba.advanced.archiver_engine": self.format,
            "engine.archiver.common.part_size": None if self.part_size is None else _part_size(self.part_size),
            "backstay.archiver.compression": self.compression,
            "backstay.scan.exclude": "\n".join(self.exclude) or None,
            "akeeba.basic.output_directory": str(self.output.absolute()) if self.output else None,
            "engine.archiver.jps.key": self.password,
            "backstay.site.database": self.database or None,
            "backstay.storage.destinations": ",".join(self.storages) or None,
            "akeeba.advanced.embedded_installer": ",".join(map(_package, self.installers)) or None,
            "backstay.database.strict": True if self.strict else None,
            "backstay.repository": self.repository,
            "backstay.repository_read_all": True if self.read_all else None,
        }
        return {key: value for key, value in values.items() if value is not None}


def _package(path: Path) -> str:
    """Return how the setting names a package: a file that is not here is looked for by its name in the home."""
    return str(path.absolute()) if path.exists() or len(path.parts) > 1 else str(path)


def _part_size(text: str) -> int:
    size = parse_size(text)
    if 0 < size < MINIMUM_PART_SIZE:
        raise UsageError(f"Parts of {text} are too small: give at least 64KiB, or 0 for one file.")
    return size
