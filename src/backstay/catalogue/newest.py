"""The newest backups of every profile, read with few queries however many records there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, ScalarSelect, select

from backstay.catalogue.counts import Counts, Emptied, Usual
from backstay.catalogue.records import BACKUP_COLUMNS, Backup
from backstay.catalogue.schema import backups, copies, counts, destinations, profiles


@dataclass(frozen=True, slots=True)
class CompleteBackup:
    """The newest complete backup of a profile.

    Attributes:
        id: number of its record.
        started, ended: moments.
        size: bytes of its archive.
        warnings: how many it gave.
        copied: it lies at a storage, as its record says.
        here: its archive lies on this machine, as its record says.
        counts: of it; None where nothing was counted. Their holdings are left out.
    """

    id: int
    started: datetime
    ended: datetime
    size: int
    warnings: int
    here: bool
    copied: bool
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class FailedBackup:
    """The newest failed backup of a profile: number of its record, moment of its end, and why it failed."""

    id: int
    ended: datetime
    error: str


class NewestBackups:
    """Reads the newest backups, all profiles at once; each method returns them by the number of the profile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def complete(self) -> dict[int, CompleteBackup]:
        """Return the complete backup of each profile that ended last."""
        columns = (
            backups.c.id,
            backups.c.backupstart,
            backups.c.backupend,
            backups.c.total_size,
            backups.c.warning_count,
            backups.c.filesexist,
            backups.c.remote_filename,
            backups.c.type,
            counts.c.entries,
            counts.c.bytes,
            counts.c.tables,
            counts.c.rows,
            counts.c.state,
            counts.c.unchanged,
            counts.c.emptied,
            counts.c.usual,
        )
        query = select(profiles.c.id.label("profile_id"), *columns).select_from(
            profiles.join(backups, backups.c.id == _newest("complete")).outerjoin(
                counts, counts.c.backup_id == backups.c.id
            )
        )
        with self._engine.connect() as connection:
            return {row.profile_id: _complete(row) for row in connection.execute(query)}

    def failed(self) -> dict[int, FailedBackup]:
        """Return the failed backup of each profile that ended last."""
        columns = (backups.c.id, backups.c.backupend, backups.c.error)
        query = select(profiles.c.id.label("profile_id"), *columns).select_from(
            profiles.join(backups, backups.c.id == _newest("fail"))
        )
        with self._engine.connect() as connection:
            return {row[0]: FailedBackup(*row[1:]) for row in connection.execute(query)}

    def archives(self) -> list[Backup]:
        """Return the whole records of what ``complete`` returns, by the number of the profile."""
        query = select(*BACKUP_COLUMNS).select_from(profiles.join(backups, backups.c.id == _newest("complete")))
        with self._engine.connect() as connection:
            return [Backup(**row._asdict()) for row in connection.execute(query.order_by(profiles.c.id))]

    def stored(self) -> dict[int, dict[str, bool]]:
        """Return the storages that have the backups of ``complete``, and whether each copy is proven."""
        query = select(profiles.c.id, destinations.c.name, copies.c.proven_at).select_from(
            profiles.join(copies, copies.c.backup_id == _newest("complete")).join(
                destinations, destinations.c.id == copies.c.destination_id
            )
        )
        found: dict[int, dict[str, bool]] = {}
        with self._engine.connect() as connection:
            for profile, name, proven in connection.execute(query.where(copies.c.state == "stored")):
                found.setdefault(profile, {})[name] = proven is not None
        return found


def _newest(status: str) -> ScalarSelect[int]:
    """Return the number of the record of a profile that ended last with a status; an index alone answers it."""
    inner = backups.alias("newest")
    return (
        select(inner.c.id)
        .where(inner.c.profile_id == profiles.c.id, inner.c.status == status)
        .order_by(inner.c.backupend.desc(), inner.c.id.desc())
        .limit(1)
        .correlate(profiles)
        .scalar_subquery()
    )


def _complete(row: Any) -> CompleteBackup:
    counted = None
    if row.entries is not None:
        counted = Counts(
            row.id,
            row.profile_id,
            row.type,
            row.entries,
            row.bytes,
            row.tables,
            row.rows,
            row.state,
            row.unchanged,
            tuple(Emptied(**one) for one in row.emptied),
            Usual(**row.usual) if row.usual else None,
        )
    return CompleteBackup(
        row.id,
        row.backupstart,
        row.backupend,
        row.total_size,
        row.warning_count,
        row.filesexist,
        bool(row.remote_filename),
        counted,
    )
