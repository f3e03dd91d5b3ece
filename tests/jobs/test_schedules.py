"""Schedules over the catalogue: each due moment has one run, however many look, and whatever the clock does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy.event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstay.catalogue import Profile, ProofOptions, Schedule
from backstay.catalogue.schedules import KEPT_RUNS
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import delete_profile
from backstay.jobs.schedules import (
    add_schedule,
    default_time_zone,
    edit_schedule,
    find_profile,
    look_up,
    pause_schedule,
    remove_schedule,
    resume_schedule,
    run_now,
    timing_of,
)
from backstay.schedules import latest_due

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def add(installation: Installation, at: str = "17 3 * * *", *, catch_up: bool = True) -> Schedule:
    """Add a schedule of profile 1."""
    return add_schedule(installation, 1, at=at, now=NOW, time_zone="UTC", catch_up=catch_up)


def looked(installation: Installation, *moments: datetime) -> list[datetime]:
    """Look up at each moment, let what is made run to its end; return the due moments."""
    found = []
    for moment in moments:
        for run in look_up(installation, moment):
            assert installation.catalogue.runs.begin(run.id, moment)
            assert installation.catalogue.runs.end(run.id, "done", "Good.", moment)
            found.append(run.due)
    return found


def hours(begin: datetime, count: int) -> Iterator[datetime]:
    """Give the same minute of some hours."""
    return (begin + HOUR * number for number in range(count))


def test_a_run_is_made_at_its_time_once_and_what_was_due_before_the_schedule_never(installation: Installation) -> None:
    add(installation)
    assert looked(installation, *hours(NOW, 48)) == [
        datetime(2026, 7, 2, 3, 17, tzinfo=UTC),
        datetime(2026, 7, 3, 3, 17, tzinfo=UTC),
    ]


def test_three_days_asleep_are_made_up_once(installation: Installation) -> None:
    schedule = add(installation)
    awake = NOW + 3 * DAY
    assert looked(installation, awake, awake + HOUR) == [datetime(2026, 7, 4, 3, 17, tzinfo=UTC)]
    assert len(installation.catalogue.runs.of(schedule.id)) == 1


def test_a_missed_run_is_noted_as_skipped_where_it_is_not_to_be_made_up(installation: Installation) -> None:
    schedule = add(installation, catch_up=False)
    assert looked(installation, NOW + 3 * DAY) == []
    skipped = installation.catalogue.runs.of(schedule.id)
    assert [(run.state, run.due.day) for run in skipped] == [("skipped", 4)]
    assert "not made up" in skipped[0].message
    in_time = datetime(2026, 7, 5, 3, 21, tzinfo=UTC)
    assert looked(installation, in_time) == [in_time - timedelta(minutes=4)]


def test_a_clock_that_is_set_back_makes_nothing_run_twice(installation: Installation) -> None:
    add(installation, "*/15 * * * *")
    before = looked(installation, *(NOW + timedelta(minutes=minute) for minute in range(180)))
    again = looked(installation, *(NOW + timedelta(minutes=minute) for minute in range(60, 240)))
    assert len(before) == 11
    assert again == [NOW + timedelta(minutes=180 + 15 * count) for count in range(4)]


def test_a_clock_that_was_far_ahead_stops_no_schedule_and_doubles_no_run(installation: Installation) -> None:
    add(installation)
    wrong = NOW.replace(year=2036)
    assert looked(installation, wrong) == [datetime(2036, 7, 1, 3, 17, tzinfo=UTC)]
    assert looked(installation, *hours(NOW, 24)) == [datetime(2026, 7, 2, 3, 17, tzinfo=UTC)]
    # A machine without a clock of its own begins in 1970, until it has asked for the time.
    assert looked(installation, datetime(1970, 1, 1, tzinfo=UTC), NOW + DAY) == []
    assert looked(installation, NOW + 2 * DAY) == [datetime(2026, 7, 3, 3, 17, tzinfo=UTC)]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jumps=st.lists(st.sampled_from([1, 5, 24, 3 * 24, -1, -5, -23, -3 * 24, 9 * 365 * 24, -9 * 365 * 24]), max_size=10),
    at=st.sampled_from(["17 3 * * *", "*/20 * * * *", "0 5 * * 1-5"]),
)
def test_whatever_the_clock_does_nothing_runs_twice_and_when_it_is_right_again_nothing_is_left_out(
    installation: Installation, jumps: list[int], at: str
) -> None:
    schedule = add(installation, at)
    now = NOW
    for hours_of_jump in jumps:
        now += hours_of_jump * HOUR
        looked(installation, now, now + HOUR)
    after = [now + HOUR * number for number in range(0, 4 * 24, 6)]
    looked(installation, *after)
    dues = [run.due for run in installation.catalogue.runs.of(schedule.id)]
    assert len(set(dues)) == len(dues)
    assert latest_due(timing_of(schedule), datetime.min.replace(tzinfo=UTC), after[-1]) in dues
    remove_schedule(installation, schedule.id)


def test_many_that_look_at_the_same_time_make_one_run_of_each_due_moment(installation: Installation) -> None:
    schedules = [add(installation, f"{minute} * * * *") for minute in range(10)]
    made: list[int] = []
    start = threading.Barrier(4)

    def look() -> None:
        with open_installation(installation.home.path) as other:
            start.wait()
            made.extend(run.schedule_id for run in look_up(other, NOW + HOUR))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [schedule.id for schedule in schedules]


def test_a_look_at_many_schedules_of_which_none_is_due_is_one_query_that_finds_none(installation: Installation) -> None:
    made = [add(installation, f"{number} 3 * * *") for number in range(60)]
    look_up(installation, NOW + HOUR)
    assert installation.catalogue.schedules.to_look_at(NOW + HOUR, NOW + DAY) == []
    statements: list[str] = []
    engine = installation.catalogue.schedules._engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *values: statements.append(values[2]))
    assert look_up(installation, NOW + HOUR) == []
    assert len([one for one in statements if not one.startswith("BEGIN")]) == 1
    # One that is changed is looked at again, one that is paused is not.
    edit_schedule(installation, made[0].id, now=NOW, at="0 4 * * *")
    pause_schedule(installation, made[1].id)
    looked_at = installation.catalogue.schedules.to_look_at(NOW + HOUR, NOW + DAY)
    assert [one.id for one in looked_at] == [made[0].id]
    # What was computed of it before it was changed is not noted.
    edit_schedule(installation, made[0].id, now=NOW, at="0 5 * * *")
    installation.catalogue.schedules.note_due([(looked_at[0], NOW + DAY)])
    assert len(installation.catalogue.schedules.to_look_at(NOW + HOUR, NOW + DAY)) == 1


def test_what_may_be_late_is_what_was_due_after_the_last_good_backup(installation: Installation) -> None:
    schedule = add(installation, "17 3 * * *")

    def maybe_late(now: datetime) -> list[int]:
        return [one.id for one in installation.catalogue.schedules.maybe_late(now)]

    def take(ended: datetime) -> None:
        number = installation.catalogue.backups.create(
            profile_id=schedule.profile_id, backupstart=ended, type="full"
        ).id
        installation.catalogue.backups.update(number, status="complete", backupend=ended)

    take(NOW)
    assert maybe_late(NOW) == [schedule.id], "nobody has looked when it is due"
    look_up(installation, NOW)
    assert maybe_late(NOW) == []
    assert maybe_late(NOW + DAY) == [schedule.id], "it was due, and nobody has looked"
    look_up(installation, NOW + DAY)
    look_up(installation, NOW + DAY)
    assert maybe_late(NOW + DAY) == [schedule.id], "it was due, and there is no backup"
    take(NOW + DAY)
    assert maybe_late(NOW + DAY) == []
    assert installation.catalogue.schedules.scheduled() == {schedule.profile_id}


def test_a_run_that_has_not_begun_makes_the_next_one_needless(installation: Installation) -> None:
    schedule = add(installation, "0 * * * *")
    (first,) = look_up(installation, NOW + HOUR)
    assert look_up(installation, NOW + 2 * HOUR) == []
    assert [run.state for run in installation.catalogue.runs.of(schedule.id)] == ["skipped", "waiting"]
    assert run_now(installation, schedule.id, NOW + 2 * HOUR) == first
    assert installation.catalogue.runs.waiting() == [first]
    assert installation.catalogue.runs.begin(first.id, NOW)
    assert len(look_up(installation, NOW + 3 * HOUR)) == 1


def test_a_run_ends_once_and_may_be_begun_again_until_then(installation: Installation) -> None:
    run = run_now(installation, add(installation).id, NOW)
    runs = installation.catalogue.runs
    assert (run.state, run.due) == ("waiting", NOW)
    assert runs.begin(run.id, NOW)
    assert runs.begin(run.id, NOW + HOUR)
    assert runs.end(run.id, "failed", "It broke.", NOW + 2 * HOUR)
    assert not runs.end(run.id, "done", "Good.", NOW + 3 * HOUR)
    assert not runs.begin(run.id, NOW + 3 * HOUR)
    ended = runs.get(run.id)
    assert ended is not None
    assert (ended.state, ended.message, ended.started, ended.ended) == ("failed", "It broke.", NOW, NOW + 2 * HOUR)
    assert runs.newest() == {run.schedule_id: ended}


def test_what_was_due_while_paused_or_before_an_edit_is_not_made_up(installation: Installation) -> None:
    schedule = add(installation)
    pause_schedule(installation, schedule.id)
    assert looked(installation, NOW + 2 * DAY) == []
    resume_schedule(installation, schedule.id, NOW + 2 * DAY)
    assert looked(installation, NOW + 2 * DAY + HOUR) == []
    edit_schedule(installation, schedule.id, at="0 11 * * *", now=NOW + 2 * DAY)
    assert looked(installation, NOW + 2 * DAY + HOUR, NOW + 3 * DAY) == [NOW + 3 * DAY - HOUR]


def test_old_runs_are_forgotten(installation: Installation) -> None:
    schedule = add(installation, "* * * * *")
    looked(installation, *(NOW + timedelta(minutes=minute) for minute in range(1, 6)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backstay.catalogue.schedules.KEPT_RUNS", 3)
        looked(installation, NOW + HOUR)
    assert KEPT_RUNS == 1000
    assert len(installation.catalogue.runs.of(schedule.id)) == 4


def test_a_profile_takes_its_schedules_and_runs_with_it(installation: Installation) -> None:
    profile = installation.catalogue.profiles.create(Profile(0, "Shop"))
    schedule = add_schedule(installation, profile.id, at="@daily", now=NOW)
    run = run_now(installation, schedule.id, NOW)
    delete_profile(installation, profile.id)
    assert installation.catalogue.schedules.all() == []
    assert installation.catalogue.runs.get(run.id) is None


def test_what_cannot_be_is_refused(installation: Installation) -> None:
    for values, sentence in (
        ({"at": "61 * * * *"}, "minute"),
        ({"time_zone": "Mars/Olympus"}, "no time zone"),
        ({"spread": 2 * DAY}, "at most a day"),
        ({"options": ProofOptions(which="rotating")}, "--what verify"),
        ({"what": "verify", "options": ProofOptions(storage="nas", here_only=True)}, "not both"),
    ):
        with pytest.raises(UsageError, match=sentence):
            add_schedule(installation, 1, **{"at": "@daily", "now": NOW, **values})  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no storage named 'nas'"):
        add_schedule(installation, 1, at="@daily", now=NOW, what="verify", options=ProofOptions(storage="nas"))
    with pytest.raises(NotFoundError, match="no backup profile 7"):
        add_schedule(installation, 7, at="@daily", now=NOW)
    with pytest.raises(NotFoundError, match="no schedule 7"):
        run_now(installation, 7, NOW)
    assert installation.catalogue.schedules.all() == []


def test_a_profile_is_named_by_its_number_or_its_name(installation: Installation) -> None:
    shop = installation.catalogue.profiles.create(Profile(0, "Shop"))
    assert find_profile(installation, "shop") == find_profile(installation, str(shop.id)) == shop.id
    with pytest.raises(NotFoundError, match="'99'"):
        find_profile(installation, "99")
    installation.catalogue.profiles.create(Profile(0, "SHOP"))
    with pytest.raises(UsageError, match="give the number"):
        find_profile(installation, "Shop")


def test_the_zone_is_that_of_the_settings_else_of_the_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    with open_installation(home) as installation:
        assert default_time_zone(installation) == "Europe/Berlin"
    monkeypatch.setenv("BACKSTAY_JOBS__TIME_ZONE", "Asia/Kathmandu")
    with open_installation(home) as installation:
        assert default_time_zone(installation) == "Asia/Kathmandu"
