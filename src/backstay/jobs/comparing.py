"""What has changed between two backups: their files by the manifests, their tables by the counts of their dumps."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.archives.entries import ManifestLine
from backstay.archives.reader import ArchiveReader
from backstay.databases.metadata import table_summaries
from backstay.errors import UsageError
from backstay.jobs.archive_of import open_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.restore.layout import Layout, read_layout

LISTED: Final = 500
"""So many paths of each kind of change, and so many tables, are named; all are counted."""
_STEP: Final = 5000
_CACHE_KIBIBYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """How far a comparison is.

    Attributes:
        backup_id: which of the two is read.
        entries: so many of its entries were read.
    """

    backup_id: int
    entries: int


@dataclass(slots=True)
class Changes:
    """Paths that were changed in one way.

    Attributes:
        count: how many there are.
        bytes: of their content; of changed ones as they are in the second backup.
        paths: the first of them.
    """

    count: int = 0
    bytes: int = 0
    paths: list[str] = field(default_factory=list)

    def add(self, path: str, size: int) -> None:
        """Count one."""
        self.count += 1
        self.bytes += size
        if len(self.paths) < LISTED:
            self.paths.append(path)


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table that is not in both backups with the same rows.

    Attributes:
        name: of its dump and its own, with a slash between.
        before, after: rows; None: it is not in that backup.
    """

    name: str
    before: int | None
    after: int | None


@dataclass(slots=True)
class Comparison:
    """What has changed from one backup to another.

    Attributes:
        first, second: numbers of their records.
        files: whether the files could be compared.
        added, changed, removed: paths of the site.
        unchanged: how many paths are the same in both.
        tables: tables that changed; those of equal rows are left out.
        same_tables: how many tables are the same in both.
        notes: what could not be compared, a sentence each.
    """

    first: int
    second: int
    files: bool = True
    added: Changes = field(default_factory=Changes)
    changed: Changes = field(default_factory=Changes)
    removed: Changes = field(default_factory=Changes)
    unchanged: int = 0
    tables: list[TableChange] = field(default_factory=list)
    same_tables: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def compare_backups(
    installation: Installation, first: int, second: int, *, password: str | None = None
) -> Generator[CompareProgress, None, Comparison]:
    """Compare two backups, without reading the content of their files.

    A path has changed where its type, its content or its target has; permissions and times alone are no change.
    However many files there are, they are held on the disk and not in memory.

    Args:
        installation: whose.
        first: number of the earlier record.
        second: number of the later one.
        password: of both archives; None: those of their profiles.

    Yields:
        How far it is.

    Raises:
        NotFoundError: there is no such backup, or nothing is left of it.
        UsageError: one of them is no complete archive.
        ArchiveError: an archive cannot be read.
    """
    for number in (first, second):
        backup = get_backup(installation, number)
        if backup.status != "complete" or backup.type == "dbonly":
            raise UsageError(f"Backup {number} can't be compared: it is no complete archive.")
    found = Comparison(first, second)
    with (
        open_backup(installation, first, "", password) as before,
        open_backup(installation, second, "", password) as after,
    ):
        layouts = read_layout(before), read_layout(after)
        yield CompareProgress(first, 0)
        for number, archive in ((first, before), (second, after)):
            if not archive.has_manifest:
                found.files = False
                found.notes.append(
                    f"The archive of backup {number} has no manifest, so its files can't be compared: it was not taken "
                    "by Backstay."
                )
        if found.files:
            yield from _compare_files(installation.home.jobs, found, (before, after), layouts)
        _compare_tables(found, layouts)
    return found


def _compare_files(
    folder: Path, found: Comparison, archives: tuple[ArchiveReader, ArchiveReader], layouts: tuple[Layout, Layout]
) -> Generator[CompareProgress, None, None]:
    with (
        tempfile.TemporaryDirectory(prefix="compare-", dir=folder) as place,
        closing(sqlite3.connect(Path(place) / "paths.sqlite", isolation_level=None)) as paths,
    ):
        # Nothing in it is needed after this: it is neither synced nor taken back.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
            paths.execute(f"PRAGMA {pragma}")
        paths.execute("CREATE TABLE paths (path BLOB PRIMARY KEY, size INTEGER, state TEXT) WITHOUT ROWID")
        paths.execute("BEGIN")
        for count, line in enumerate(_lines(archives[0], layouts[0]), 1):
            paths.execute("INSERT OR REPLACE INTO paths VALUES (?, ?, ?)", (_key(line), line.size, _state(line)))
            if count % _STEP == 0:
                yield CompareProgress(found.first, count)
        for count, line in enumerate(_lines(archives[1], layouts[1]), 1):
            _take(paths, found, line)
            if count % _STEP == 0:
                yield CompareProgress(found.second, count)
        for path, size in paths.execute("SELECT path, size FROM paths ORDER BY path"):
            found.removed.add(path.decode("utf-8", "surrogateescape"), size)


def _take(paths: sqlite3.Connection, found: Comparison, line: ManifestLine) -> None:
    """Hold a path of the second backup to that of the first."""
    earlier = paths.execute("SELECT state FROM paths WHERE path = ?", (_key(line),)).fetchone()
    if earlier is None:
        found.added.add(line.path, line.size)
        return
    paths.execute("DELETE FROM paths WHERE path = ?", (_key(line),))
    if earlier[0] == _state(line):
        found.unchanged += 1
    else:
        found.changed.add(line.path, line.size)


def _lines(archive: ArchiveReader, layout: Layout) -> Iterator[ManifestLine]:
    return (line for line in archive.manifest() if not layout.is_own(line.path))


def _key(line: ManifestLine) -> bytes:
    return line.path.encode("utf-8", "surrogateescape")


def _state(line: ManifestLine) -> str:
    return f"{line.type.value} {line.blake3 or ''} {line.target or ''!a}"


def _compare_tables(found: Comparison, layouts: tuple[Layout, Layout]) -> None:
    sides: list[dict[str, tuple[int, int]]] = []
    for number, layout in zip((found.first, found.second), layouts, strict=True):
        side: dict[str, tuple[int, int]] = {}
        for database in layout.databases:
            name = database.dump_file.rpartition(".")[0]
            tables = table_summaries(database.metadata)
            if not tables:
                found.notes.append(f"Backup {number} does not say how many rows the tables of {name} have.")
            side |= {f"{name}/{table}": (one.rows, one.checksum) for table, one in tables.items()}
        sides.append(side)
    before, after = sides
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table), after.get(table)
        if old == new:
            found.same_tables += 1
        elif len(found.tables) < LISTED:
            found.tables.append(TableChange(table, old[0] if old else None, new[0] if new else None))
