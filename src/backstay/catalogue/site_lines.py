"""What says how sites stand: little of each and of its newest backups, in one query however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Engine, ScalarSelect, case, func, literal, select

from backstay.catalogue.schema import alarms, backups, groups, remote_runs, sites

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class SiteLine(NamedTuple):
    """One site with its newest backups.

    Attributes:
        id, name, kind, profile_id, host, paused, created, heard, tags: as in ``Site``.
        group: name of its group; None: it is in none.
        backup_id, good, size, warnings: number, end, bytes and warnings of the complete backup that ended last.
        failed_id, failed_begun, failed: number, beginning and end of the failed backup that ended last.
        failing_since: end of the first failed backup after the last complete one; None: none failed after it.
        reason: why the last one failed; empty where a complete one ended after it.
    """

    id: int
    name: str
    kind: Literal["local", "remote"]
    profile_id: int
    host: str
    paused: bool
    created: datetime
    heard: datetime | None
    tags: list[str]
    group: str | None
    backup_id: int | None
    good: datetime | None
    size: int | None
    warnings: int | None
    failed_id: int | None
    failed_begun: datetime | None
    failed: datetime | None
    failing_since: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class OpenAlarmOfProfile:
    """An alarm that is open: of which profile, its kind, since when, and whether a person knows of it."""

    profile_id: int
    kind: str
    since: datetime
    acknowledged: bool


class SiteLines:
    """Reads how sites stand."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, group_id: int | None = None) -> list[SiteLine]:
        """Return all sites, or those of a group, by name."""
        good, bad = backups.alias("good"), backups.alias("bad")
        is_failing = bad.c.id.is_not(None) & (good.c.id.is_(None) | (bad.c.backupend > good.c.backupend))
        first = (
            select(func.min(backups.c.backupend))
            .where(
                backups.c.profile_id == sites.c.profile_id,
                backups.c.status == "fail",
                backups.c.backupend > func.coalesce(good.c.backupend, literal(_LONG_AGO, backups.c.backupend.type)),
            )
            .correlate(sites, good)
            .scalar_subquery()
        )
        own = [sites.c[name] for name in SiteLine._fields[:9]]
        query = (
            select(
                *own,
                groups.c.name,
                good.c.id,
                good.c.backupend,
                good.c.total_size,
                good.c.warning_count,
                bad.c.id,
                bad.c.backupstart,
                bad.c.backupend,
                case((is_failing, first), else_=None).label("failing_since"),
                case((is_failing, bad.c.error), else_="").label("reason"),
            )
            .select_from(
                sites.outerjoin(groups, groups.c.id == sites.c.group_id)
                .outerjoin(good, good.c.id == _newest("complete"))
                .outerjoin(bad, bad.c.id == _newest("fail"))
            )
            .order_by(sites.c.name)
        )
        if group_id is not None:
            query = query.where(sites.c.group_id == group_id)
        with self._engine.connect() as connection:
            return [SiteLine._make(row) for row in connection.execute(query)]

    def running(self) -> set[int]:
        """Return the numbers of the sites of which a remote run waits or runs."""
        query = select(remote_runs.c.site_id).where(remote_runs.c.ended.is_(None))
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def open_alarms(self) -> list[OpenAlarmOfProfile]:
        """Return the alarms about profiles that are open, the oldest first."""
        columns = (alarms.c.profile_id, alarms.c.kind, alarms.c.since, alarms.c.acknowledged.is_not(None))
        query = select(*columns).where(alarms.c.closed.is_(None), alarms.c.profile_id.is_not(None))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(alarms.c.id))
            return [OpenAlarmOfProfile(row[0], row[1], row[2], bool(row[3])) for row in rows]

    def any(self) -> bool:
        """Return whether there is a site."""
        with self._engine.connect() as connection:
            return connection.execute(select(sites.c.id).limit(1)).first() is not None


def _newest(status: str) -> ScalarSelect[Any]:
    """Return the number of the backup of a site that ended last with a status; an index alone finds it."""
    newest = backups.alias("newest")
    return (
        select(newest.c.id)
        .where(newest.c.profile_id == sites.c.profile_id, newest.c.status == status, newest.c.backupend.is_not(None))
        .order_by(newest.c.backupend.desc(), newest.c.id.desc())
        .limit(1)
        .correlate(sites)
        .scalar_subquery()
    )
