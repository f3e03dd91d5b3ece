"""Which backup is which snapshot of a repository, and the archive as which it is handed out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, func, insert, select, update

from backstay.catalogue.schema import backups, repositories, snapshots
from backstay.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """One part of the archive as which a snapshot is handed out.

    Attributes:
        name: base name; the same for ever.
        size: in bytes.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A backup that lies in a repository.

    Attributes:
        backup_id: number of the backup's record.
        repository: name of the repository.
        snapshot: its identity there.
        form: of the archive as which it is handed out: ``format``, ``part_size`` in bytes (0: one file), ``comment``.
        parts: of that archive, in order, the main file last.
        added: bytes that were added to the repository for it.
    """

    backup_id: int
    repository: str
    snapshot: str
    form: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[SnapshotPart, ...] = ()
    added: int = 0


@dataclass(frozen=True, slots=True)
class RepositoryFigures:
    """What the catalogue knows of the backups of a repository.

    Attributes:
        backups: how many there are.
        size: bytes of the archives as which they are handed out.
        newest: when the newest was begun.
    """

    backups: int
    size: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class ListedSnapshot:
    """A backup of a repository in a list.

    Attributes:
        backup_id: number of its record.
        snapshot: its identity in the repository.
        backupstart: when it was begun, in UTC.
        description: of the record.
        size: bytes of the archive as which it is handed out.
        added: bytes that were added to the repository for it.
        frozen: it is protected.
    """

    backup_id: int
    snapshot: str
    backupstart: datetime
    description: str
    size: int
    added: int
    frozen: bool


class SnapshotTable:
    """Reads and writes which backups are snapshots. A record's ``filesexist`` is true while its snapshot is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def of(self, backup_id: int) -> SnapshotRow | None:
        """Return the snapshot of a backup; None where it is an archive, or has no files."""
        return self.of_many([backup_id]).get(backup_id)

    def of_many(self, backup_ids: Iterable[int]) -> dict[int, SnapshotRow]:
        """Return the snapshots of several backups by the numbers of these; a backup without one is left out."""
        wanted = list(backup_ids)
        found = self._found(snapshots.c.backup_id.in_(wanted)) if wanted else []
        return {row.backup_id: row for row in found}

    def at(self, repository: str) -> list[SnapshotRow]:
        """Return the backups that lie in a repository, oldest first."""
        return self._found(repositories.c.name == repository)

    def figures(self) -> dict[str, RepositoryFigures]:
        """Return what is known of each repository that has backups, by its name."""
        query = (
            select(
                repositories.c.name,
                func.count().label("backups"),
                func.sum(backups.c.total_size).label("size"),
                func.max(backups.c.backupstart).label("newest"),
            )
            .join(snapshots, snapshots.c.repository_id == repositories.c.id)
            .join(backups, backups.c.id == snapshots.c.backup_id)
            .group_by(repositories.c.name)
        )
        with self._engine.connect() as connection:
            return {
                row.name: RepositoryFigures(row.backups, int(row.size), row.newest) for row in connection.execute(query)
            }

    def newest_at(self, repository: str, offset: int, limit: int) -> list[ListedSnapshot]:
        """Return backups of a repository, newest first."""
        query = (
            select(
                snapshots.c.backup_id,
                snapshots.c.snapshot,
                backups.c.backupstart,
                backups.c.description,
                backups.c.total_size,
                snapshots.c.added,
                backups.c.frozen,
            )
            .join(repositories, repositories.c.id == snapshots.c.repository_id)
            .join(backups, backups.c.id == snapshots.c.backup_id)
            .where(repositories.c.name == repository)
            .order_by(snapshots.c.backup_id.desc())
            .offset(offset)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [ListedSnapshot(*row) for row in connection.execute(query)]

    def create(self, row: SnapshotRow) -> None:
        """Note that a backup is a snapshot; what was noted of the same backup before is replaced.

        Raises:
            NotFoundError: there is no repository of that name.
        """
        with self._writer.begin() as connection:
            number = connection.execute(
                select(repositories.c.id).where(repositories.c.name == row.repository)
            ).scalar_one_or_none()
            if number is None:
                raise NotFoundError(f"The repository {row.repository} was removed meanwhile.")
            connection.execute(delete(snapshots).where(snapshots.c.backup_id == row.backup_id))
            connection.execute(
                insert(snapshots).values(
                    backup_id=row.backup_id,
                    repository_id=number,
                    snapshot=row.snapshot,
                    form=dict(row.form),
                    parts=[{"name": part.name, "size": part.size} for part in row.parts],
                    added=row.added,
                )
            )

    def delete(self, backup_id: int) -> bool:
        """Forget the snapshot of a backup, which has no files any more; return whether there was one."""
        with self._writer.begin() as connection:
            gone = connection.execute(delete(snapshots).where(snapshots.c.backup_id == backup_id)).rowcount > 0
            if gone:
                connection.execute(update(backups).where(backups.c.id == backup_id).values(filesexist=False))
        return gone

    def _found(self, condition: Any) -> list[SnapshotRow]:
        query = (
            select(snapshots, repositories.c.name.label("repository"))
            .join(repositories, repositories.c.id == snapshots.c.repository_id)
            .where(condition)
            .order_by(snapshots.c.backup_id)
        )
        with self._engine.connect() as connection:
            return [_row(row) for row in connection.execute(query)]


def _row(row: Row[Any]) -> SnapshotRow:
    parts = tuple(SnapshotPart(part["name"], part["size"]) for part in row.parts)
    return SnapshotRow(row.backup_id, row.repository, row.snapshot, row.form, parts, row.added)
