"""What says how sites stand, beside what is known of their profiles: read with few queries, however many there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Engine, ScalarSelect, Select, Text, cast, func, literal, select

from backstay.catalogue.schema import alarms, backups, groups, profiles, remote_runs, sites

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MOST_VALUES: Final = 10_000


class SiteLine(NamedTuple):
    """What says of a site who it is; the attributes are those of ``Site``, with the name of its group, or None."""

    id: int
    name: str
    kind: Literal["local", "remote"]
    profile_id: int
    host: str
    paused: bool
    created: datetime
    heard: datetime | None
    not_before: datetime | None
    tags: tuple[str, ...]
    group: str | None


class LastFailure(NamedTuple):
    """The failed backup of a profile that ended last, after its last complete one.

    Attributes:
        begun, ended: moments; None: it could not begin.
        since: end of the first that failed after the last complete one.
        reason: why it failed.
    """

    begun: datetime | None
    ended: datetime
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OpenAlarmOfProfile:
    """An alarm that is open: of which profile, its kind, since when, whether a person knows of it, what it says."""

    profile_id: int
    kind: str
    since: datetime
    acknowledged: bool
    message: str


class SiteLines:
    """Reads how sites stand."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, group_id: int | None = None) -> list[SiteLine]:
        """Return all sites, or those of a group, by name."""
        own = [sites.c[name] for name in SiteLine._fields[:-2]]
        query = select(*own, cast(sites.c.tags, Text), groups.c.name)
        query = query.outerjoin(groups, groups.c.id == sites.c.group_id).order_by(sites.c.name)
        if group_id is not None:
            query = query.where(sites.c.group_id == group_id)
        with self._engine.connect() as connection:
            return [SiteLine._make((*row[:-2], _tags(row[-2]), row[-1])) for row in connection.execute(query)]

    def remote(self) -> set[int]:
        """Return the numbers of the profiles that remote sites stand on."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(sites.c.profile_id).where(sites.c.kind == "remote")).scalars())

    def failures(self, profile_ids: Sequence[int]) -> dict[int, LastFailure]:
        """Return the last failure of each of some profiles that has one since its last complete backup."""
        found: dict[int, LastFailure] = {}
        with self._engine.connect() as connection:
            # A statement has room for so many values only.
            for first in range(0, len(profile_ids), _MOST_VALUES):
                rows = connection.execute(_failures(profile_ids[first : first + _MOST_VALUES]))
                found.update({row[0]: LastFailure(*row[1:]) for row in rows})
        return found

    def running(self) -> set[int]:
        """Return the numbers of the sites of which a remote run waits or runs."""
        query = select(remote_runs.c.site_id).where(remote_runs.c.ended.is_(None))
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def open_alarms(self) -> list[OpenAlarmOfProfile]:
        """Return the alarms about profiles that are open, the oldest first."""
        columns = (
            alarms.c.profile_id,
            alarms.c.kind,
            alarms.c.since,
            alarms.c.acknowledged.is_not(None),
            alarms.c.message,
        )
        query = select(*columns).where(alarms.c.closed.is_(None), alarms.c.profile_id.is_not(None))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(alarms.c.id))
            return [OpenAlarmOfProfile(row[0], row[1], row[2], bool(row[3]), row[4]) for row in rows]

    def any(self) -> bool:
        """Return whether there is a site."""
        with self._engine.connect() as connection:
            return connection.execute(select(sites.c.id).limit(1)).first() is not None


# Thousands of sites have the same few.
@lru_cache(maxsize=4096)
def _tags(kept: str) -> tuple[str, ...]:
    return tuple(json.loads(kept))


def _failures(profile_ids: Sequence[int]) -> Select[Any]:
    bad = backups.alias("bad")
    good = func.coalesce(_newest("complete", backups.c.backupend), literal(_LONG_AGO, backups.c.backupend.type))
    since = (
        select(func.min(backups.c.backupend))
        .where(backups.c.profile_id == profiles.c.id, backups.c.status == "fail", backups.c.backupend > good)
        .correlate(profiles)
        .scalar_subquery()
    )
    return (
        select(profiles.c.id, bad.c.backupstart, bad.c.backupend, since, bad.c.error)
        .select_from(profiles.join(bad, bad.c.id == _newest("fail", backups.c.id)))
        .where(profiles.c.id.in_(profile_ids), bad.c.backupend > good)
    )


def _newest(status: str, column: Any) -> ScalarSelect[Any]:
    """Return a column of the backup of a profile that ended last with a status; an index alone finds it."""
    newest = backups.alias("newest")
    return (
        select(newest.c[column.name])
        .where(newest.c.profile_id == profiles.c.id, newest.c.status == status, newest.c.backupend.is_not(None))
        .order_by(newest.c.backupend.desc(), newest.c.id.desc())
        .limit(1)
        .correlate(profiles)
        .scalar_subquery()
    )
