"""Counts: what each complete backup held, so that the next can be compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sqlalchemy import Engine, delete, insert, select, update

from backstay.catalogue.schema import backups, counts


@dataclass(frozen=True, slots=True)
class Emptied:
    """Something that held content in an earlier backup, and holds none now.

    Attributes:
        kind: a folder (path in the archive; empty: the site's own), a database (name of its dump), or a table (name of
            the dump, a slash, name of the table).
        name: of it.
        before: files or rows that it held.
        backup_id: the last backup in which it held them.
    """

    kind: Literal["folder", "database", "table"]
    name: str
    before: int
    backup_id: int


@dataclass(frozen=True, slots=True)
class Usual:
    """What was usual before a backup: of the last five complete ones of its profile and type, or as many as there are.

    Attributes:
        backups: how many these are.
        entries, bytes, rows: their medians.
        warnings: the most that one of them gave. A number that was unusual itself does not count as long as it lasts.
    """

    backups: int
    entries: int
    bytes: int
    rows: int
    warnings: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """A complete backup before another: what it held, and how many warnings it gave."""

    entries: int
    bytes: int
    rows: int
    warnings: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What one backup held.

    Attributes:
        backup_id: number of its record.
        profile_id, type: as in its record.
        entries: files, folders and links in the archive.
        bytes: of their content.
        tables, rows: of all databases.
        state: a short text that is the same as long as no file and no row is added, removed or changed.
        unchanged: how many backups of this profile and type before this one, one after the other, had the same state.
        emptied: what holds nothing any more.
        usual: what was usual before it; None where there was no backup before.
        holdings: files of each folder and rows of each table by kind and name, for the comparison with the next
            backup; kept for the newest backups only.
    """

    backup_id: int
    profile_id: int
    type: str
    entries: int
    bytes: int
    tables: int
    rows: int
    state: str
    unchanged: int = 0
    emptied: Sequence[Emptied] = ()
    usual: Usual | None = None
    holdings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class CountTable:
    """Reads and writes counts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def get(self, backup_id: int) -> Counts | None:
        """Return the counts of a backup, or None."""
        return self._first(counts.c.backup_id == backup_id)

    def before(self, backup_id: int, profile_id: int, type: str) -> Counts | None:  # noqa: A002 - the column's name
        """Return the counts of the backup of a profile and type that came before one, or None."""
        return self._first(counts.c.profile_id == profile_id, counts.c.type == type, counts.c.backup_id < backup_id)

    def earlier(self, backup_id: int, profile_id: int, type: str, limit: int) -> list[Earlier]:  # noqa: A002 - the same
        """Return the complete backups of a profile and type that came before one and were counted, newest first."""
        query = (
            select(counts.c.entries, counts.c.bytes, counts.c.rows, backups.c.warning_count)
            .join(backups, backups.c.id == counts.c.backup_id)
            .where(counts.c.profile_id == profile_id, counts.c.type == type, counts.c.backup_id < backup_id)
            .where(backups.c.status == "complete")
            .order_by(counts.c.backup_id.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Earlier(*row) for row in connection.execute(query)]

    def keep(self, found: Counts) -> None:
        """Keep the counts of a backup, in place of those that were kept of it before.

        Holdings of backups before the one that came before it go: nothing is compared with them any more.
        """
        same = (counts.c.profile_id == found.profile_id, counts.c.type == found.type)
        earlier = select(counts.c.backup_id).where(*same, counts.c.backup_id < found.backup_id)
        with self._writer.begin() as connection:
            newest = earlier.order_by(counts.c.backup_id.desc()).limit(2)
            outdated = connection.execute(newest).scalars().all()[1:]
            connection.execute(update(counts).where(counts.c.backup_id.in_(outdated)).values(holdings={}))
            connection.execute(delete(counts).where(counts.c.backup_id == found.backup_id))
            connection.execute(insert(counts).values(_values(found)))

    def _first(self, *conditions: Any) -> Counts | None:
        query = select(counts).where(*conditions).order_by(counts.c.backup_id.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        values = row._asdict()
        usual = Usual(**values["usual"]) if values["usual"] else None
        return Counts(**{**values, "usual": usual, "emptied": tuple(Emptied(**one) for one in values["emptied"])})


def _values(found: Counts) -> dict[str, Any]:
    return {
        "backup_id": found.backup_id,
        "profile_id": found.profile_id,
        "type": found.type,
        "entries": found.entries,
        "bytes": found.bytes,
        "tables": found.tables,
        "rows": found.rows,
        "state": found.state,
        "unchanged": found.unchanged,
        "emptied": [asdict(one) for one in found.emptied],
        "usual": asdict(found.usual) if found.usual else {},
        "holdings": {kind: dict(names) for kind, names in found.holdings.items()},
    }
