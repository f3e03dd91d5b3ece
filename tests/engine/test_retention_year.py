"""A year of backups on a clock that is turned by hand: each rule, checked day by day against a plain model."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backstay.catalogue import Catalogue, Home, open_catalogue, open_home, schema
from backstay.engine import apply_retention
from backstay.engine.retention import RetentionContext, forget_obsolete
from backstay.profiles import Settings

FIRST_DAY = datetime(2025, 1, 1, 3, 0, tzinfo=UTC)
DAYS = 366
SLOW = pytest.mark.slow


@dataclass
class Taken:
    """A backup as the model knows it."""

    number: int
    start: datetime
    size: int
    frozen: bool = False
    has_files: bool = True
    has_record: bool = True


@pytest.fixture
def catalogue() -> Iterator[tuple[Catalogue, Home]]:
    """A catalogue in memory, where there is such a place: ten thousand commits need not reach a disk here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        home = open_home(Path(folder))
        with open_catalogue(home) as opened:
            yield opened, home


def take(catalogue: Catalogue, home: Home, start: datetime, size: int, *, profile: int = 1) -> int:
    """Make the record, the two parts and the log of a backup that is complete."""
    backup = catalogue.backups.create(
        profile_id=profile, backupstart=start, type="full", tag="json", backupid=f"{start}"
    )
    names = [f"site-{backup.id}.j01", f"site-{backup.id}.jpa"]
    for name in names:
        (home.archives / name).touch()
    home.log("json", f"{start}").touch()
    catalogue.backups.update(
        backup.id,
        status="complete",
        backupend=start,
        absolute_path=str(home.archives / names[-1]),
        total_size=size,
        proof={"parts": [{"name": name} for name in names]},
    )
    return backup.id


# The model: given the backups with files that are not frozen, newest first, the current one in front, which stay?
Rule = Callable[[list[Taken], datetime], list[Taken]]


def by_age(days: int, keep_day: int) -> Rule:
    def rule(there: list[Taken], now: datetime) -> list[Taken]:
        return [b for b in there if b is there[0] or (now - b.start) <= timedelta(days=days) or b.start.day == keep_day]

    return rule


def by_count(count: int) -> Rule:
    return lambda there, _now: there[:count]


def by_size(limit: int, count: int = 10**9) -> Rule:
    def rule(there: list[Taken], _now: datetime) -> list[Taken]:
        kept, older, total = [there[0]], there[1:count], 0
        while older and total < limit:
            total += older[0].size
            kept.append(older.pop(0))
        return kept

    return rule


def by_periods(**periods: int) -> Rule:
    forms: dict[str, Callable[[datetime], object]] = {
        "hourly": lambda d: (d.date(), d.hour),
        "daily": lambda d: d.date(),
        "weekly": lambda d: d.isocalendar()[:2],
        "monthly": lambda d: (d.year, d.month),
        "yearly": lambda d: d.year,
    }

    def rule(there: list[Taken], _now: datetime) -> list[Taken]:
        kept = [there[0]]
        for name, number in periods.items():
            newest: dict[object, Taken] = {}
            for backup in there:
                newest.setdefault(forms[name](backup.start), backup)
            kept += list(newest.values())[:number]
        return [backup for backup in there if backup in kept]

    return rule


RULES: list[Any] = [
    pytest.param({}, lambda there, _now: there, 0, id="none", marks=SLOW),
    pytest.param({"maximum_age_enabled": True}, by_age(31, 1), 0, id="age"),
    pytest.param(
        # The age alone decides, whatever else is switched on.
        {"maximum_age_enabled": True, "maximum_age_days": 7, "maximum_age_keep_day": 0, "count_enabled": True},
        by_age(7, 0),
        0,
        id="age and nothing kept of a month",
        marks=SLOW,
    ),
    pytest.param({"count_enabled": True, "count": 5}, by_count(5), 0, id="count", marks=SLOW),
    pytest.param(
        {"count_enabled": True, "count": 1}, by_count(1), 3, id="count of one, obsolete records go", marks=SLOW
    ),
    pytest.param({"size_enabled": True, "size": 5000}, by_size(5000), 10, id="size, obsolete records go"),
    pytest.param(
        {"count_enabled": True, "count": 9, "size_enabled": True, "size": 3000},
        by_size(3000, 9),
        0,
        id="count and size",
        marks=SLOW,
    ),
    pytest.param(
        {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12, "keep_yearly": 2},
        by_periods(daily=7, weekly=4, monthly=12, yearly=2),
        20,
        id="days, weeks, months, years",
    ),
    pytest.param(
        {"keep_hourly": 3, "keep_weekly": 2, "count_enabled": True, "count": 1},
        by_periods(hourly=3, weekly=2),
        0,
        id="hours and weeks",
        marks=SLOW,
    ),
]


@pytest.mark.parametrize(("values", "rule", "obsolete"), RULES)
def test_a_year_of_backups_keeps_what_a_plain_model_keeps(
    catalogue: tuple[Catalogue, Home], values: dict[str, Any], rule: Rule, obsolete: int
) -> None:
    records, home = catalogue
    settings = Settings(**values, obsolete=obsolete)
    chance = random.Random(repr(values))
    taken: list[Taken] = []
    other_profile = take(records, home, FIRST_DAY - timedelta(days=400), 1, profile=2)
    warnings: list[str] = []
    for day in range(DAYS):
        for hour in sorted(chance.sample(range(20), chance.choice((0, 1, 1, 1, 2)))):
            start = FIRST_DAY + timedelta(days=day, hours=hour)
            now = start + timedelta(minutes=20)
            size, frozen = chance.randrange(100, 2000), chance.random() < 0.02
            number = take(records, home, start, size)
            current = records.backups.get(number)
            assert current is not None
            apply_retention(RetentionContext(records, home, settings, current, now, warnings.append))
            forget_obsolete(RetentionContext(records, home, settings, current, now, warnings.append))
            taken.insert(0, Taken(number, start, size))
            forget(taken, rule, now, obsolete)
            if frozen:
                taken[0].frozen = True
                records.backups.update(number, frozen=True)
        compare(records, home, taken)
    assert warnings == []
    assert records.backups.get(other_profile) is not None
    assert len([backup for backup in taken if not backup.has_files]) > 100 or not values


def forget(taken: list[Taken], rule: Rule, now: datetime, obsolete: int) -> None:
    candidates = [backup for backup in taken if backup.has_files and not backup.frozen]
    kept = rule(candidates, now)
    for backup in candidates:
        backup.has_files = backup in kept
    without = [backup for backup in taken if backup.has_record and not backup.has_files]
    for backup in without[obsolete:] if obsolete else ():
        backup.has_record = False


def compare(records: Catalogue, home: Home, taken: list[Taken]) -> None:
    # Not as records: to make the hundreds of a year anew each day takes most of a test's time.
    table = schema.backups.c
    with records._engine.connect() as connection:
        rows = connection.execute(select(table.id, table.filesexist).where(table.profile_id == 1))
        found = dict(list(rows))
    assert found == {backup.number: backup.has_files for backup in taken if backup.has_record}
    files = {path.name for path in home.archives.iterdir() if not path.name.startswith("site-1.")}
    expected = {f"site-{backup.number}.{ending}" for backup in taken if backup.has_files for ending in ("j01", "jpa")}
    assert files == expected
    assert {path.name for path in home.logs.iterdir()} >= {
        f"backstay.json.{backup.start}.log" for backup in taken if backup.has_files
    }
    assert len(list(home.logs.iterdir())) == len([backup for backup in taken if backup.has_files]) + 1


def test_files_that_somebody_removed_do_not_count_as_kept(catalogue: tuple[Catalogue, Home]) -> None:
    records, home = catalogue
    numbers = [take(records, home, FIRST_DAY + timedelta(days=day), 10) for day in range(4)]
    (home.archives / f"site-{numbers[2]}.jpa").unlink()
    current = records.backups.get(numbers[-1])
    assert current is not None
    apply_retention(
        RetentionContext(records, home, Settings(count_enabled=True, count=2), current, FIRST_DAY, pytest.fail)
    )
    assert {b.id: b.filesexist for b in records.backups.newest()} == {
        numbers[3]: True,
        numbers[2]: False,
        numbers[1]: True,
        numbers[0]: False,
    }


def test_a_file_that_cannot_be_removed_is_a_warning_and_the_rest_goes_on(
    catalogue: tuple[Catalogue, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    records, home = catalogue
    numbers = [take(records, home, FIRST_DAY + timedelta(days=day), 10) for day in range(3)]
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == f"site-{numbers[1]}.jpa":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    current = records.backups.get(numbers[-1])
    assert current is not None
    warnings: list[str] = []
    settings = Settings(count_enabled=True, count=1)
    apply_retention(RetentionContext(records, home, settings, current, FIRST_DAY, warnings.append))
    assert {b.id: b.filesexist for b in records.backups.newest()} == {
        numbers[2]: True,
        numbers[1]: True,
        numbers[0]: False,
    }
    assert len(warnings) == 1
    assert f"site-{numbers[1]}.jpa can't be removed" in warnings[0]


def test_parts_that_a_power_cut_left_go_with_the_record(catalogue: tuple[Catalogue, Home]) -> None:
    records, home = catalogue
    old, new = (take(records, home, FIRST_DAY + timedelta(days=day), 10) for day in range(2))
    (home.archives / f"site-{old}.jpa").unlink()
    records.backups.update(old, filesexist=False)
    current = records.backups.get(new)
    assert current is not None
    third = take(records, home, FIRST_DAY - timedelta(days=9), 10)
    records.backups.update(third, filesexist=False)
    settings = Settings(obsolete=1)
    forget_obsolete(RetentionContext(records, home, settings, current, FIRST_DAY, pytest.fail))
    assert records.backups.get(old) is None
    assert not (home.archives / f"site-{old}.j01").exists()


def test_backups_that_run_or_failed_or_belong_to_others_are_left_alone(catalogue: tuple[Catalogue, Home]) -> None:
    records, home = catalogue
    running, failed, other, old, new = (
        take(records, home, FIRST_DAY + timedelta(days=day), 10, profile=2 if day == 2 else 1) for day in range(5)
    )
    records.backups.update(running, status="run")
    records.backups.update(failed, status="fail")
    current = records.backups.get(new)
    assert current is not None
    settings = Settings(count_enabled=True, count=1, obsolete=1)
    apply_retention(RetentionContext(records, home, settings, current, FIRST_DAY, pytest.fail))
    assert {b.id for b in records.backups.newest() if not b.filesexist} == {old}
    for number in (running, failed, other):
        records.backups.update(number, filesexist=False)
    last = take(records, home, FIRST_DAY - timedelta(days=9), 10)
    records.backups.update(last, filesexist=False)
    forget_obsolete(RetentionContext(records, home, settings, current, FIRST_DAY, pytest.fail))
    assert {b.id for b in records.backups.newest()} == {running, failed, other, new, last}


def test_a_record_whose_files_cannot_be_removed_stays_and_the_rest_goes_on(
    catalogue: tuple[Catalogue, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    records, home = catalogue
    numbers = [take(records, home, FIRST_DAY + timedelta(days=day), 10) for day in range(5)]
    for number in numbers[:-1]:
        records.backups.update(number, filesexist=False)
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == f"site-{numbers[1]}.jpa":
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    current = records.backups.get(numbers[-1])
    assert current is not None
    warnings: list[str] = []
    forget_obsolete(RetentionContext(records, home, Settings(obsolete=1), current, FIRST_DAY, warnings.append))
    assert {b.id for b in records.backups.newest()} == {numbers[1], numbers[3], numbers[4]}
    assert len(warnings) == 1
    assert f"site-{numbers[1]}.jpa can't be removed" in warnings[0]
