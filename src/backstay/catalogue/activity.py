"""What was done in a span of time, by profile, counted by the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, Select, Text, cast, func, or_, select

from backstay.catalogue.schema import (
    alarms,
    backups,
    copies,
    copy_parts,
    destinations,
    profiles,
    repositories,
    snapshots,
)


@dataclass(slots=True)
class Activity:
    """What was done for one profile in a span of time, and what it has now.

    Attributes:
        profile_id: its number.
        name: its description; empty where it was removed.
        taken: backups that were complete.
        failed: backups that failed.
        late: times at which a good backup was missing.
        proven: drills and verifications that passed, the latest of each backup and place.
        disproven: those that did not.
        kept: backups whose files are on this machine now.
        stored: bytes by place; ``""`` is this machine, the others are storages.
    """

    profile_id: int
    name: str = ""
    taken: int = 0
    failed: int = 0
    late: int = 0
    proven: int = 0
    disproven: int = 0
    kept: int = 0
    stored: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An alarm that is open now; the attributes are those of the table."""

    kind: str
    profile_id: int | None
    since: datetime
    message: str


class ActivityTable:
    """Counts what happened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def between(self, since: datetime, until: datetime) -> list[Activity]:
        """Return what was done for each profile from a moment on until another, by number.

        Profiles that were removed are among them where something was done for them.
        """
        with self._engine.connect() as connection:
            names = select(profiles.c.id, profiles.c.description)
            found = {row.id: Activity(row.id, row.description) for row in connection.execute(names)}
            counted = _counted(connection, since, until)
            for number in counted.keys() - found.keys():
                found[number] = Activity(number)
            for number, counts in counted.items():
                for name, count in counts.items():
                    setattr(found[number], name, count)
            for number, place, size in stored_bytes(connection):
                if number in found:
                    found[number].stored[place] = size
        return [found[number] for number in sorted(found)]

    def open_alarms(self) -> list[OpenAlarm]:
        """Return the alarms that are open, oldest first."""
        columns = (alarms.c.kind, alarms.c.profile_id, alarms.c.since, alarms.c.message)
        query = select(*columns).where(alarms.c.closed.is_(None)).order_by(alarms.c.since, alarms.c.id)
        with self._engine.connect() as connection:
            return [OpenAlarm(**row._asdict()) for row in connection.execute(query)]


def _counted(connection: Connection, since: datetime, until: datetime) -> dict[int, dict[str, int]]:
    """Return the counts of each profile by the names of the attributes of ``Activity``."""
    number = func.count().label("number")
    ended = select(backups.c.profile_id, backups.c.status.label("what"), number)
    ended = ended.where(backups.c.backupend >= since, backups.c.backupend < until)
    late = select(alarms.c.profile_id, alarms.c.kind.label("what"), number)
    late = late.where(alarms.c.kind == "late", alarms.c.opened >= since, alarms.c.opened < until)
    here = select(backups.c.profile_id, backups.c.status.label("what"), number).where(backups.c.filesexist)
    queries: list[tuple[Select[Any], dict[str, str]]] = [
        (ended.group_by(backups.c.profile_id, backups.c.status), {"complete": "taken", "fail": "failed"}),
        (late.group_by(alarms.c.profile_id, alarms.c.kind), {"late": "late"}),
        (here.group_by(backups.c.profile_id, backups.c.status), {"complete": "kept"}),
    ]
    counted: dict[int, dict[str, int]] = defaultdict(dict)
    for query, names in queries:
        for row in connection.execute(query):
            if row.what in names and row.profile_id is not None:
                counted[row.profile_id][names[row.what]] = row.number
    for profile_id, _what, passed in proofs_between(connection, since, until):
        name = "proven" if passed else "disproven"
        counted[profile_id][name] = counted[profile_id].get(name, 0) + 1
    return counted


def proofs_between(
    connection: Connection, since: datetime, until: datetime, *which: ColumnElement[bool]
) -> Iterator[tuple[int, Literal["drill", "verify"], bool]]:
    """Give the profile of each drill and verification of a span of time, which of the two, and whether it passed.

    Known are the latest of each backup and place.

    Args:
        connection: to the catalogue.
        since: first moment.
        until: the moment after the last.
        which: conditions on records, of which proofs alone are wanted.
    """
    # Looked for as text: PostgreSQL's functions of JSON refuse what names of files may hold.
    kept = cast(backups.c.proof, Text)
    later = or_(kept.contains('"drill"', autoescape=True), kept.contains('"verifications"', autoescape=True))
    query = select(backups.c.profile_id, backups.c.proof).where(later, *which)
    for profile_id, proof in connection.execute(query):
        if (drill := proof.get("drill")) and since <= _moment(drill.get("at")) < until:
            yield profile_id, "drill", drill.get("verdict") == "passed"
        for one in proof.get("verifications", {}).values():
            if one and since <= _moment(one.get("at")) < until:
                yield profile_id, "verify", bool(one.get("ok"))


def _moment(text: object) -> datetime:
    """Return a moment that is kept as text; long ago where it can't be read."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stored_bytes(connection: Connection, *which: ColumnElement[bool]) -> list[tuple[int, str, int]]:
    """Return profile, place and bytes of what is kept now; the place is empty for this machine.

    Args:
        connection: to the catalogue.
        which: conditions on records that alone are counted.
    """
    is_kept = (backups.c.filesexist, backups.c.status == "complete", *which)
    here = (
        select(backups.c.profile_id, func.sum(backups.c.total_size))
        .join(snapshots, snapshots.c.backup_id == backups.c.id, isouter=True)
        .where(snapshots.c.backup_id.is_(None), *is_kept)
        .group_by(backups.c.profile_id)
    )
    # What a backup takes in a repository is what it has added.
    added = (
        select(backups.c.profile_id, func.coalesce(destinations.c.name, ""), func.sum(snapshots.c.added))
        .join_from(snapshots, backups, snapshots.c.backup_id == backups.c.id)
        .join(repositories, snapshots.c.repository_id == repositories.c.id)
        .join(destinations, repositories.c.destination_id == destinations.c.id, isouter=True)
        .where(*is_kept)
        .group_by(backups.c.profile_id, destinations.c.name)
    )
    there = (
        select(backups.c.profile_id, destinations.c.name, func.sum(copy_parts.c.size))
        .join_from(copies, backups, copies.c.backup_id == backups.c.id)
        .join(destinations, copies.c.destination_id == destinations.c.id)
        .join(copy_parts, copy_parts.c.copy_id == copies.c.id)
        .where(copies.c.state == "stored", *which)
        .group_by(backups.c.profile_id, destinations.c.name)
    )
    found: dict[tuple[int, str], int] = {}
    for row in (
        *((number, "", size) for number, size in connection.execute(here)),
        *connection.execute(added),
        *connection.execute(there),
    ):
        found[row[0], row[1]] = found.get((row[0], row[1]), 0) + int(row[2])
    return [(number, place, size) for (number, place), size in found.items()]
