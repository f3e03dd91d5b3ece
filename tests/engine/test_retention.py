"""Which backups the rules of a profile delete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backstay.catalogue import Backup
from backstay.engine import local_rules, outdated
from backstay.engine.retention import Rules, remote_rules
from backstay.profiles import Settings

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def backup(number: int, start: datetime, size: int = 10) -> Backup:
    return Backup(
        id=number, description="", comment="", backupstart=start, backupend=start, status="complete", origin="json",
        type="full", profile_id=1, archivename="a.jpa", absolute_path="/a.jpa", multipart=0, tag="json", backupid=None,
        filesexist=True, remote_filename=None, total_size=size, frozen=False, instep=False,
    )  # fmt: skip


def daily(count: int, size: int = 10) -> list[Backup]:
    """One backup a day, newest first; the newest has the highest number."""
    return [backup(count - age, NOW - timedelta(days=age), size) for age in range(count)]


def given_up(candidates: list[Backup], **values: Any) -> list[int]:
    return [found.id for found in outdated(candidates, local_rules(Settings(**values)), NOW, candidates[0].id)]


def test_nothing_is_given_up_until_a_rule_is_set() -> None:
    assert given_up(daily(400)) == []


def test_the_count_keeps_the_newest() -> None:
    assert given_up(daily(5), count_enabled=True, count=3) == [2, 1]


def test_the_size_keeps_up_to_and_including_the_one_that_reaches_it() -> None:
    # The current backup does not count: 10 + 10 reach 15 with the second of the others.
    assert given_up(daily(6), size_enabled=True, size=15) == [3, 2, 1]


def test_a_size_that_is_reached_exactly_keeps_no_more() -> None:
    assert given_up(daily(6), size_enabled=True, size=20) == [3, 2, 1]
    assert given_up(daily(6), size_enabled=True, size=21) == [2, 1]


def test_a_rule_counts_only_where_it_is_switched_on() -> None:
    assert given_up(daily(60), count=1, size=1, maximum_age_days=1, maximum_age_keep_day=1) == []
    assert local_rules(Settings(count=1, size=1, maximum_age_days=1, maximum_age_keep_day=1)) == Rules()


def test_copies_have_rules_of_their_own_or_those_for_local_archives_where_that_is_asked_for() -> None:
    local: dict[str, Any] = {"count_enabled": True, "count": 3}
    assert remote_rules(Settings(**local)) == Rules()
    assert remote_rules(Settings(**local, remote_as_local=True)) == Rules(count=3)
    assert remote_rules(Settings(**local, remote_as_local=True, remote_keep_daily=2)) == Rules(
        keep=local_rules(Settings(keep_daily=2)).keep
    )
    assert remote_rules(Settings(remote_size_enabled=True, remote_size=77)) == Rules(size=77)


def test_the_size_looks_at_what_the_count_keeps() -> None:
    assert given_up(daily(6), count_enabled=True, count=4, size_enabled=True, size=1000) == [2, 1]


def test_the_age_alone_decides_and_keeps_its_day_of_the_month() -> None:
    found = daily(50)
    removed = given_up(found, maximum_age_enabled=True, maximum_age_days=5, maximum_age_keep_day=1, count_enabled=True)
    kept = [item.backupstart.date().isoformat() for item in found if item.id not in removed]
    assert kept == [
        "2026-03-15", "2026-03-14", "2026-03-13", "2026-03-12", "2026-03-11", "2026-03-10", "2026-03-01", "2026-02-01",
    ]  # fmt: skip


def test_the_current_backup_is_never_deleted() -> None:
    old = [backup(1, NOW - timedelta(days=900))]
    assert given_up(old, maximum_age_enabled=True, maximum_age_days=1, maximum_age_keep_day=0) == []


def test_periods_keep_the_newest_of_each() -> None:
    found = [backup(100 - n, NOW - timedelta(hours=6 * n)) for n in range(60)]
    removed = given_up(found, keep_daily=3, keep_monthly=2)
    kept = [item.backupstart.strftime("%m-%d %H") for item in found if item.id not in removed]
    assert kept == ["03-15 12", "03-14 18", "03-13 18", "02-28 18"]


@given(
    days=st.lists(st.integers(0, 800), min_size=1, max_size=60, unique=True),
    periods=st.fixed_dictionaries(
        {name: st.integers(0, 4) for name in ("keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")}
    ),
)
def test_periods_agree_with_a_plain_model(days: list[int], periods: dict[str, int]) -> None:
    found = [backup(1000 - age, NOW - timedelta(days=age)) for age in sorted(days)]
    if not any(periods.values()):
        return
    forms = {"keep_daily": "%F", "keep_weekly": "%G-%V", "keep_monthly": "%Y-%m", "keep_yearly": "%Y"}
    kept = {found[0].id}
    for name, count in periods.items():
        newest: dict[str, int] = {}
        for item in found:
            newest.setdefault(item.backupstart.strftime(forms[name]), item.id)
        kept |= set(list(newest.values())[:count])
    assert {item.id for item in found} - set(given_up(found, **periods)) == kept
