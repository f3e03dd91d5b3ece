"""A year of backups at two storages, each with rules for copies, against a plain model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Catalogue, CopyPart, Home, NamedDestination, open_catalogue, open_home
from backstay.engine.remote_retention import apply_remote_retention
from backstay.engine.retention import RetentionContext
from backstay.engine.sending import refresh_remote_filename
from backstay.profiles import Settings

FIRST_DAY = datetime(2025, 1, 1, 1, tzinfo=UTC)
PLACES = ("near", "far")
DAYS = 365


@dataclass
class Taken:
    """What the model knows of a backup."""

    number: int
    start: datetime
    size: int
    frozen: bool = False
    locked_until: datetime = FIRST_DAY
    at: set[str] = field(default_factory=set)


@pytest.fixture
def catalogue(home: Path, tmp_path: Path) -> Iterator[tuple[Catalogue, Home]]:
    """A catalogue with two storages."""
    opened_home = open_home(home)
    with open_catalogue(opened_home) as opened:
        for place in PLACES:
            (tmp_path / place).mkdir()
            opened.destinations.create(NamedDestination(0, place, f"folder://{tmp_path}/{place}", {}, FIRST_DAY))
        yield opened, opened_home


def take(records: Catalogue, tmp_path: Path, start: datetime, size: int, places: set[str], lock: datetime) -> int:
    """Make the record of a backup with its copies."""
    backup = records.backups.create(profile_id=1, backupstart=start, type="full", archivename="x.jpa")
    name = f"site-{backup.id}.jpa"
    records.backups.update(backup.id, status="complete", archivename=name, total_size=size, filesexist=False)
    for place in sorted(places):
        (tmp_path / place / name).write_bytes(b"x")
        (tmp_path / place / f"{name}.backstay.json").write_bytes(b"{}")
        parts = (CopyPart(name, 1, started=True, proof="sha256"),)
        records.copies.create(
            backup.id, place, created=start, state="stored", parts=parts, locked_until=lock if place == "far" else None
        )
    refresh_remote_filename(records, backup.id)
    return backup.id


def kept_by_count(there: list[Taken], now: datetime) -> list[Taken]:
    del now
    return there[:5]


def kept_by_age(there: list[Taken], now: datetime) -> list[Taken]:
    return [one for one in there if now - one.start <= timedelta(days=20) or one.start.day == 1]


def kept_by_size(there: list[Taken], now: datetime) -> list[Taken]:
    del now
    kept, total = [], 0
    for place, one in enumerate(there):
        if total >= 5000:
            break
        kept.append(one)
        total += one.size if place else 0
    return kept


def kept_by_period(there: list[Taken], now: datetime) -> list[Taken]:
    del now
    kept = []
    for form, count in (("%Y-%m-%d", 7), ("%Y-%m", 6)):
        newest: dict[str, Taken] = {}
        for one in there:
            newest.setdefault(one.start.strftime(form), one)
        kept += list(newest.values())[:count]
    return kept


RULES = [
    pytest.param({"remote_count_enabled": True, "remote_count": 5}, kept_by_count, id="count"),
    pytest.param({"remote_keep_daily": 7, "remote_keep_monthly": 6}, kept_by_period, id="days and months"),
    pytest.param(
        {"remote_maximum_age_enabled": True, "remote_maximum_age_days": 20}, kept_by_age, id="age",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        {"remote_as_local": True, "size_enabled": True, "size": 5000}, kept_by_size, id="size, as the local rules",
        marks=pytest.mark.slow,
    ),
    pytest.param({"count_enabled": True, "count": 1}, lambda there, _now: there, id="no rule for copies",
        marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.parametrize(("values", "rule"), RULES)
def test_a_year_at_two_storages_keeps_what_a_plain_model_keeps(
    catalogue: tuple[Catalogue, Home], tmp_path: Path, values: dict[str, Any], rule: Any
) -> None:
    records, home = catalogue
    settings = Settings(**values)
    chance = random.Random(repr(values))
    taken: list[Taken] = []
    warnings: list[str] = []
    for day in range(DAYS):
        start = FIRST_DAY + timedelta(days=day, hours=chance.randrange(12))
        now = start + timedelta(minutes=20)
        # Now and then one of the two storages could not be reached.
        places = {place for place in PLACES if chance.random() < 0.9}
        locked_until = start + timedelta(days=chance.choice((0, 0, 15)))
        size = chance.randrange(100, 2000)
        number = take(records, tmp_path, start, size, places, locked_until)
        current = records.backups.get(number)
        assert current is not None
        apply_remote_retention(RetentionContext(records, home, settings, current, now, warnings.append))
        taken.insert(0, Taken(number, start, size, locked_until=locked_until, at=set(places)))
        for place in PLACES:
            forget(taken, place, rule, now)
        if chance.random() < 0.02:
            taken[0].frozen = True
            records.backups.update(number, frozen=True)
        if day % 20 == 0 or day == DAYS - 1:
            compare(records, tmp_path, taken)
    assert warnings == []


def forget(taken: list[Taken], place: str, rule: Any, now: datetime) -> None:
    there = [one for one in taken if place in one.at and not one.frozen]
    current_is_there = bool(there) and there[0] is taken[0]
    # The current backup is kept and its size not counted; where it is not there, all sizes count.
    model = there if current_is_there or rule is not kept_by_size else [Taken(0, now, 0), *there]
    kept = rule(model, now)
    for one in there:
        locked = place == "far" and one.locked_until > now
        if one not in kept and one is not taken[0] and not locked:
            one.at.discard(place)


def compare(records: Catalogue, tmp_path: Path, taken: list[Taken]) -> None:
    for place in PLACES:
        assert {copy.backup_id for copy in records.copies.at(place)} == {one.number for one in taken if place in one.at}
        names = {f"site-{one.number}.jpa" for one in taken if place in one.at}
        assert {path.name for path in (tmp_path / place).iterdir()} == names | {f"{n}.backstay.json" for n in names}
    found = {backup.id: backup.meta for backup in records.backups.newest()}
    assert found == {one.number: "remote" if one.at else "obsolete" for one in taken}


def test_the_backup_just_taken_does_not_count_where_the_profile_says_so(
    catalogue: tuple[Catalogue, Home], tmp_path: Path
) -> None:
    records, home = catalogue
    numbers = [take(records, tmp_path, FIRST_DAY + timedelta(days=d), 10, {"near"}, FIRST_DAY) for d in range(4)]
    current = records.backups.get(numbers[-1])
    assert current is not None
    settings = Settings(remote_count_enabled=True, remote_count=2, remote_latest=False)
    apply_remote_retention(RetentionContext(records, home, settings, current, FIRST_DAY, pytest.fail))
    assert [copy.backup_id for copy in records.copies.at("near")] == numbers[1:]
