"""The newest backups of every profile, read with few queries however many records there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Join, ScalarSelect, select

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
    """The newest failed backup of a profile: number of its record, when it began and ended, and why it failed."""

    id: int
    begun: datetime
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
            profiles.c.id,
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
        source = _profiles_with("complete").outerjoin(counts, counts.c.backup_id == backups.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).select_from(source))
            return {row[7]: _complete(row) for row in rows if row[0] is not None}

    def failed(self) -> dict[int, FailedBackup]:
        """Return the failed backup of each profile that ended last, where no complete one ended after it."""
        good = backups.alias("good")
        columns = (backups.c.id, backups.c.backupstart, backups.c.backupend, backups.c.error)
        source = _profiles_with("fail").outerjoin(good, good.c.id == _newest("complete"))
        query = select(profiles.c.id, *columns).select_from(source)
        query = query.where(good.c.id.is_(None) | (good.c.backupend < backups.c.backupend))
        with self._engine.connect() as connection:
            return {row[0]: FailedBackup(*row[1:]) for row in connection.execute(query) if row[1] is not None}

    def archives(self) -> list[Backup]:
        """Return the whole records of what ``complete`` returns, by the number of the profile."""
        query = select(*BACKUP_COLUMNS).select_from(_profiles_with("complete")).order_by(profiles.c.id)
        with self._engine.connect() as connection:
            return [Backup(**row._asdict()) for row in connection.execute(query) if row.id is not None]

    def stored(self) -> dict[int, dict[str, bool]]:
        """Return the storages that have the backups of ``complete``, and whether each copy is proven."""
        # The state is not asked for: SQLite would look for its index first, and at every copy for each profile.
        source = profiles.outerjoin(copies, copies.c.backup_id == _newest("complete")).outerjoin(
            destinations, destinations.c.id == copies.c.destination_id
        )
        columns = (profiles.c.id, destinations.c.name, copies.c.state, copies.c.proven_at.is_not(None))
        found: dict[int, dict[str, bool]] = {}
        with self._engine.connect() as connection:
            for profile, name, state, proven in connection.execute(select(*columns).select_from(source)):
                if state == "stored":
                    found.setdefault(profile, {})[name] = bool(proven)
        return found


def _profiles_with(status: str) -> Join:
    """Return each profile with its backup of a status that ended last.

    An outer join, for profiles without one too: so SQLite looks each backup up, and never reads all of them first.
    """
    return profiles.outerjoin(backups, backups.c.id == _newest(status))


def _newest(status: str) -> ScalarSelect[int]:
    """Return the number of the record of a profile that ended last with a status; an index alone answers it."""
    inner = backups.alias("newest")
    return (
        select(inner.c.id)
        .where(inner.c.profile_id == profiles.c.id, inner.c.status == status, inner.c.backupend.is_not(None))
        .order_by(inner.c.backupend.desc(), inner.c.id.desc())
        .limit(1)
        .correlate(profiles)
        .scalar_subquery()
    )


def _complete(row: Any) -> CompleteBackup:
    number, started, ended, size, warnings, here, remote, *rest = row
    profile_id, kind, entries, content, tables, rows, state, unchanged, emptied, usual = rest
    counted = None
    if entries is not None:
        before = Usual(**usual) if usual else None
        gone = tuple(Emptied(**one) for one in emptied)
        counted = Counts(number, profile_id, kind, entries, content, tables, rows, state, unchanged, gone, before)
    return CompleteBackup(number, started, ended, size, warnings, here, bool(remote), counted)
