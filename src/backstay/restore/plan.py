"""What one restore is to do, settled before it begins, and what it reports on its way: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from backstay.archives.attributes import WhichXattrs
from backstay.databases import DatabaseAddress, ExistingTables, LoadSummary
from backstay.restore.configuration import Rewritten

MAIN_DUMP = "site.sql"
SERVER_FILES: Mapping[str, str] = {
    ".htaccess": "htaccess.bak",
    "web.config": "web.config.bak",
    "php.ini": "php.ini.bak",
    ".user.ini": ".user.ini.bak",
}
"""Names that the reference restore gives to files of the web server in the site's root (archive-formats, 1.8)."""

Strategy = Literal["whole", "merge"]


@dataclass(frozen=True, slots=True)
class RemoteArchive:
    """An archive on a server of the API, which a restore downloads itself.

    Attributes:
        url: address of the server.
        secret: its secret word, or a token.
        backup_id: number of the record there.
        parts: name and size of each part, in order; the main file last.
        connections: how many connections at once. What comes over one is staged as it comes, else part by part.
        storage: name of the destination where it lies; the above are its address and secrets then. Empty: on a server.
        folder: what stands before the names of the parts at the destination.
        hashes: BLAKE3 of each part as it was sent there, in hexadecimal digits; empty where that is not known.
    """

    url: str
    secret: str = field(repr=False)
    backup_id: int
    parts: tuple[tuple[str, int], ...]
    connections: int = 1
    storage: str = ""
    folder: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it lies, for a person."""
        return (
            f"backup {self.backup_id} at {self.storage}" if self.storage else f"backup {self.backup_id} of {self.url}"
        )

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(size for _name, size in self.parts)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what ``asdict`` gave."""
        parts = tuple((name, size) for name, size in stored["parts"])
        return cls(**{**stored, "parts": parts, "hashes": tuple(stored.get("hashes", ()))})


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """One restore.

    Attributes:
        archive: main file of the archive; what to call it where it is on a server.
        target: folder of the site, absolute; links in it resolved.
        databases: dump file (``site.sql`` for the site's own) → URL it is loaded to.
        password: of the archive, where it needs one.
        files: bring files back at all.
        strategy: ``whole``: the folder becomes what the archive holds; ``merge``: what has no namesake there stays.
        only: patterns of paths; empty: everything.
        only_tables: patterns of tables' names; empty: every table.
        existing: what becomes of tables that are replaced: refused, dropped in the end, or kept under other names.
        replacements: old and new texts, for databases and files.
        configuration: change the site's own configuration for its new place.
        address: new address of the site, which replaces the old one everywhere; None: it keeps its own.
        rename_server_files: give ``.htaccess`` and its like other names, as the reference restore does.
        owner: number of the user and of the group that files are given to; None: whoever restores.
        owners_of_archive: give files the owners that the archive names, where it names any; ``owner`` is for archives
            that do not.
        keep_days: how long what was replaced is kept unless it is confirmed before.
        special_modes: give files setuid, setgid and sticky bits too.
        remote: where the archive is downloaded from; None where it lies here.
        repository, snapshot: name of the repository in which it lies, and its identity there; empty where in none.
        moved_from: address of the server that the site moves from, whose texts are found out and replaced; empty for
            a site that does not move.
        old_addresses: of a site that gets a new one; empty: found in the archive.
        own_database: nobody named the databases, they are the site's own: those of which the archive holds no dump are
            left out.
        xattrs: which extended attributes files are given: ``all`` only of an archive that was made and kept here, for
            some give rights to programs.
    """

    archive: str
    target: str
    databases: Mapping[str, str] = field(default_factory=dict, repr=False)
    password: str | None = field(default=None, repr=False)
    files: bool = True
    strategy: Strategy = "whole"
    only: tuple[str, ...] = ()
    only_tables: tuple[str, ...] = ()
    existing: str = ExistingTables.REPLACE.value
    replacements: tuple[tuple[str, str], ...] = ()
    configuration: bool = True
    address: str | None = None
    rename_server_files: bool = False
    owner: tuple[int, int] | None = None
    keep_days: float = 7.0
    special_modes: bool = False
    remote: RemoteArchive | None = None
    moved_from: str = ""
    old_addresses: tuple[str, ...] = ()
    owners_of_archive: bool = False
    xattrs: WhichXattrs = "harmless"
    own_database: bool = False
    repository: str = ""
    snapshot: str = ""

    @property
    def policy(self) -> ExistingTables:
        """What becomes of tables that are replaced."""
        return ExistingTables(self.existing)

    def database(self, dump_file: str) -> DatabaseAddress | None:
        """Return where a dump is loaded to; None where it is not."""
        url = self.databases.get(dump_file)
        return DatabaseAddress.parse(url) if url else None

    def addresses(self) -> list[DatabaseAddress]:
        """Return all databases that are loaded."""
        return [address for name in self.databases if (address := self.database(name)) is not None]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON, secrets in it."""
        values = asdict(self)
        # The name that journals of earlier versions have.
        return {"way": values.pop("strategy"), **values}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave, of an earlier version too."""
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        values["strategy"] = stored["way"]
        for name in ("only", "only_tables", "old_addresses"):
            values[name] = tuple(values.get(name, ()))
        values["replacements"] = tuple((old, new) for old, new in values["replacements"])
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        values["remote"] = RemoteArchive.from_json(values["remote"]) if values.get("remote") else None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is.

    Attributes:
        stage: what is being done.
        what: the path or table in hand.
        done: bytes of content or SQL done.
        total: bytes of it in all; 0 where that is not known.
    """

    stage: Literal["download", "files", "database", "swap"]
    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore gave back.

    Attributes:
        target: where the files are.
        files: entries written.
        bytes: bytes of their content.
        databases: dump file → what was loaded.
        not_restored: dump files for which no database was given.
        configuration: files of the site's configuration that were changed.
        addresses: old addresses of the site, and the new one of each.
        replaced_in_files: path → texts' places: 1 for a file, rows for a SQLite database.
        replaced_in_databases: dump file → ``table.column`` → values changed.
        window: seconds between the first thing that changed places and the last; None where nothing was there before.
        name: what the restore is called, for ``confirm`` and ``undo``; empty where it is over.
        refused: warnings of what the servers refused to make; the statements are kept.
        kept_until: moment (ISO 8601) until which what was replaced is kept; empty where nothing was.
    """

    target: Path
    files: int = 0
    bytes: int = 0
    databases: Mapping[str, LoadSummary] = field(default_factory=dict)
    not_restored: tuple[str, ...] = ()
    configuration: tuple[Rewritten, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    replaced_in_files: Mapping[str, int] = field(default_factory=dict)
    replaced_in_databases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    window: float | None = None
    name: str = ""
    kept_until: str = ""


def summary_json(summary: LoadSummary) -> dict[str, Any]:
    """Return what a load made as plain JSON."""
    return {
        "tables": list(summary.tables),
        "entities": list(summary.entities),
        "rows": summary.rows,
        "bytes": summary.bytes,
        "backups": dict(summary.backups),
    }


def read_summary(stored: Mapping[str, Any]) -> LoadSummary:
    """Read what :func:`summary_json` gave."""
    return LoadSummary(
        tuple(stored["tables"]), tuple(stored["entities"]), stored["rows"], stored["bytes"], stored["backups"]
    )
