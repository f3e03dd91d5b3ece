"""What a backup holds, counted: so that one that held nothing where there was something is noticed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median_low
from typing import Any, Self

from blake3 import blake3

from backstay.archives import ArchiveSummary, EntryType, Source
from backstay.catalogue import Backup, Catalogue, Counts, Earlier, Emptied, Usual
from backstay.databases import row_count
from backstay.databases.metadata import table_summaries
from backstay.engine.dumping import Dumped

_DEPTH = 3
_COMPARED = 5
_LEAST_ROWS = 10
# Of what is kept for the comparison: so many in all, and so many that lie in the same folder or database.
_MOST = 300
_MOST_BESIDE = 40
# Folders and tables that are empty now and then, and nobody misses what was in them.
_PASSING = {
    *("cache", "caches", "cached", "transient", "transients"),
    *("tmp", "temp", "temporary", "spool", "queue", "lock", "locks"),
    *("log", "logs", "session", "sessions"),
}
_WORDS = re.compile(r"[a-z]+")


class FolderCounts:
    """Counts the files in each folder of the trees, down to the third level."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._depth = _DEPTH
        self._root = ""
        self._folder: str | None = None
        self._pending = 0
        self._sums = [0, 0, 0]

    def begin(self, prefix: str) -> None:
        """Go on with another tree, that has this folder in the archive; it counts though it may not be there."""
        self._flush()
        self._root = prefix
        self._files.setdefault(prefix, 0)

    def add(self, source: Source) -> None:
        """Count what was found next in the tree."""
        self._sums[0] += 1
        self._sums[1] += source.size
        self._sums[2] += source.mtime
        if source.type is EntryType.DIRECTORY:
            if self._below(source.path).count("/") < _DEPTH:
                self._files.setdefault(source.path, 0)
            return
        folder = source.path.rpartition("/")[0]
        if folder != self._folder:
            self._flush()
            self._folder = folder
        self._pending += 1

    def _below(self, path: str) -> str:
        return path[len(self._root) + 1 :] if self._root else path

    def _flush(self) -> None:
        if self._folder is None:
            return
        names = self._below(self._folder).split("/")[:_DEPTH] if self._folder != self._root else []
        folder = self._root
        self._files[folder] = self._files.get(folder, 0) + self._pending
        for name in names:
            folder = f"{folder}/{name}" if folder else name
            self._files[folder] = self._files.get(folder, 0) + self._pending
        self._folder, self._pending = None, 0

    def held(self, before: Counts | None) -> Held:
        """Return what was counted, as far as the next backup is compared with it.

        Args:
            before: the counts of the backup before.
        """
        self._flush()
        return Held.of(self._files, _before(before, "folder"), self._sums)


@dataclass(frozen=True, slots=True)
class Held:
    """What one kind of things held.

    Attributes:
        names: name → files or rows; the most important ones.
        empty: what the backup before knew, and is there and holds nothing.
        sums: numbers that change whenever something is added, removed or changed.
    """

    names: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, found: Mapping[str, int], before: Iterable[str], sums: Iterable[int]) -> Self:
        """Return what of all that was found is to be kept."""
        empty = sorted(name for name in before if found.get(name) == 0)
        return cls(_chosen(found), empty, list(sums))


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is counted while a backup runs; kept in its checkpoint, so that no death loses it.

    Attributes:
        files: of the trees; None where none were walked over in full.
        databases: rows of each.
        tables: rows of each table, under the name of its dump and a slash.
        table_count, rows: of all databases.
        sqlite: path in the site → rows, of SQLite databases that are archived in their place.
    """

    files: Held | None = None
    databases: Held = field(default_factory=Held)
    tables: Held = field(default_factory=Held)
    table_count: int = 0
    rows: int = 0
    sqlite: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        """Return what ``to_json`` gave; nothing for nothing."""
        if not stored:
            return cls()
        held = {name: Held(**stored[name]) if stored[name] else None for name in ("files", "databases", "tables")}
        return cls(**{**stored, **held})


def with_dumps(
    holdings: Holdings, dumps: Iterable[Dumped], before: Counts | None, *, missing: Iterable[str] = ()
) -> Holdings:
    """Return holdings with what is known of databases.

    Args:
        holdings: what was counted so far.
        dumps: those that are whole.
        before: the counts of the backup before.
        missing: names of dumps that should be there, and for which no database was found.
    """
    databases = dict.fromkeys(missing, 0)
    tables: dict[str, int] = {}
    checksum = 0
    for dumped in dumps:
        summaries = table_summaries(dumped.metadata)
        databases[dumped.dump_file] = dumped.rows
        checksum += sum(one.checksum for one in summaries.values())
        tables |= {f"{dumped.dump_file}/{table}": one.rows for table, one in summaries.items()}
    rows = sum(databases.values())
    large = {name: count for name, count in tables.items() if count >= _LEAST_ROWS or count == 0}
    return replace(
        holdings,
        databases=Held.of(databases, _before(before, "database"), [rows, checksum]),
        tables=Held.of(large, _before(before, "table"), [len(tables)]),
        table_count=len(tables),
        rows=rows,
    )


def with_sqlite(holdings: Holdings, path: str, copy: Path) -> Holdings:
    """Return holdings with the rows of a SQLite database that is archived in its place.

    Args:
        holdings: what was counted so far.
        path: of the database in the site.
        copy: of it, to which nobody writes.
    """
    if _is_passing(path) or len(holdings.sqlite) == _MOST_BESIDE or (rows := row_count(copy)) is None:
        return holdings
    return replace(holdings, sqlite={**holdings.sqlite, path: rows})


def keep_counts(
    catalogue: Catalogue, backup: Backup, holdings: Holdings, summary: ArchiveSummary | None, *, compared: bool
) -> None:
    """Keep what a backup held in the catalogue, compared with the ones before.

    Args:
        catalogue: of the installation.
        backup: its record.
        holdings: what was counted.
        summary: of its archive; None where it is no archive.
        compared: it holds its folders in full, and not what is newer than some moment.
    """
    before = catalogue.counts.before(backup.id, backup.profile_id, backup.type)
    earlier = catalogue.counts.earlier(backup.id, backup.profile_id, backup.type, _COMPARED)
    files = holdings.files or Held()
    state = _state(holdings)
    kinds = {"folder": files, "database": _all_databases(holdings, before), "table": holdings.tables}
    if not compared:
        kinds.pop("folder")
    counted = summary is not None and summary.entries > 0
    catalogue.counts.keep(
        Counts(
            backup_id=backup.id,
            profile_id=backup.profile_id,
            type=backup.type,
            # An archive that a process closed just before it died does not say.
            entries=summary.entries if summary and counted else sum(files.sums[:1]),
            bytes=summary.uncompressed_size if summary and counted else sum(files.sums[1:2]),
            tables=holdings.table_count,
            rows=holdings.rows + sum(holdings.sqlite.values()),
            state=state,
            unchanged=before.unchanged + 1 if before is not None and before.state == state else 0,
            emptied=_emptied(kinds, before),
            usual=_usual(earlier, before),
            holdings={kind: held.names for kind, held in kinds.items()},
        )
    )


def _all_databases(holdings: Holdings, before: Counts | None) -> Held:
    """Return what the databases held that were dumped, and those that were archived in their place."""
    dumped, sqlite = holdings.databases, Held.of(holdings.sqlite, _before(before, "database"), ())
    return Held({**dumped.names, **sqlite.names}, [*dumped.empty, *sqlite.empty])


def _state(holdings: Holdings) -> str:
    files = holdings.files.sums if holdings.files is not None else []
    return blake3(json.dumps([files, holdings.databases.sums, holdings.tables.sums]).encode()).hexdigest()


def _before(counts: Counts | None, kind: str) -> set[str]:
    """Return what a backup held something in, or was empty already in it."""
    if counts is None:
        return set()
    return {*counts.holdings.get(kind, {}), *(one.name for one in counts.emptied if one.kind == kind)}


def _emptied(kinds: Mapping[Any, Held], before: Counts | None) -> list[Emptied]:
    """Return what is empty and was not; what was empty before already stays so, with what it held then."""
    if before is None:
        return []
    known = {(one.kind, one.name): one for one in before.emptied}
    found = {
        (kind, name): known.get((kind, name))
        or Emptied(kind, name, before.holdings.get(kind, {}).get(name, 0), before.backup_id)
        for kind, held in kinds.items()
        for name in held.empty
    }
    return [one for one in found.values() if one.before and not any(key in found for key in _around(one))]


def _around(one: Emptied) -> Iterable[tuple[str, str]]:
    """Yield what an emptied thing lies in: where that is empty too, it says all."""
    if one.kind == "table":
        yield "database", one.name.partition("/")[0]
    elif one.kind == "folder" and one.name:
        parent = one.name
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            yield "folder", parent
        yield "folder", ""


def _usual(earlier: list[Earlier], before: Counts | None) -> Usual | None:
    if not earlier:
        return None
    warnings = max(one.warnings for one in earlier)
    if before is not None and before.usual is not None and earlier[0].warnings > before.usual.warnings:
        # More than usual does not become usual by lasting.
        warnings = before.usual.warnings
    return Usual(
        len(earlier),
        median_low(one.entries for one in earlier),
        median_low(one.bytes for one in earlier),
        median_low(one.rows for one in earlier),
        warnings,
    )


def _chosen(found: Mapping[str, int]) -> dict[str, int]:
    """Return what is kept of names that may be many: the shallow ones first, of those the ones that hold most."""
    chosen: dict[str, int] = {}
    beside: dict[str, int] = {}
    for name in sorted(found, key=lambda name: (name.count("/"), -found[name], name)):
        parent = name.rpartition("/")[0]
        if not found[name] or _is_passing(name) or beside.get(parent, 0) == _MOST_BESIDE:
            continue
        beside[parent] = beside.get(parent, 0) + 1
        chosen[name] = found[name]
        if len(chosen) == _MOST:
            break
    return chosen


def _is_passing(name: str) -> bool:
    return any(word in _PASSING for word in _WORDS.findall(name.lower()))
