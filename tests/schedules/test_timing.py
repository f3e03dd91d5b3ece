"""When schedules are due: three years on four places' clocks, against a model that looks at each minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.errors import UsageError
from backstay.schedules import Timing, due_times, latest_due, next_due, read_timing, spread_of
from schedules.wall_clocks import MINUTE, ZONES, changes, walk

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2029, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EXPRESSIONS = [
    "17 3 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "30 * * * *",
    "0 */2 * * *",
    "* 2 * * *",
    "0,15,45 1,2,3 * * *",
    "15 2 * * 0",
    "0 4 1 * *",
    "5 2 29 2 *",
    "10 1-3 1,15 * 1-5",
]


def simulated(timing: Timing, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Give what a program that looks each minute finds due, after one moment until another."""
    handled, now = begin, begin
    following = next_due(timing, handled)
    while now < end:
        now += MINUTE
        if following is not None and following <= now:
            found = latest_due(timing, handled, now)
            assert found == following, "each minute was looked at: nothing can have been missed"
            yield found
            handled = found
            following = next_due(timing, handled)
        elif (now.hour, now.minute) == (3, 0):
            assert latest_due(timing, handled, now) is None


def compare(zone: str, begin: datetime, end: datetime) -> None:
    """Hold what is found due to the model."""
    expected: dict[str, list[datetime]] = {expression: [] for expression in EXPRESSIONS}
    for expression, moment in walk(EXPRESSIONS, zone, begin, end):
        expected[expression].append(moment)
    for expression, moments in expected.items():
        assert list(simulated(read_timing(expression, zone), begin, end)) == moments, expression


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_around_each_change_of_the_clocks_are_as_on_the_wall(zone: str) -> None:
    found = changes(zone, BEGIN, END)
    assert len(found) == (0 if zone == "UTC" else 6)
    for moment in found[:3] or [datetime(2028, 2, 29, tzinfo=UTC)]:
        compare(zone, moment - timedelta(hours=30), moment + timedelta(hours=30))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("zone", ZONES)
def test_three_years_are_as_on_the_wall(zone: str) -> None:
    compare(zone, BEGIN, END)


numbers = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


@st.composite
def field(draw: st.DrawFn, name: str) -> str:
    """One field of an expression."""
    first, last = numbers[name]
    number = st.integers(first, last)
    low, high = sorted((draw(number), draw(number)))
    step = draw(st.integers(1, 30))
    plain = [str(low), f"{low},{high}", f"{low}-{high}", f"{low}-{high}/{step}" if low < high else str(high)]
    return draw(st.sampled_from(["*", "*", f"*/{step}", *plain]))


@settings(max_examples=50)
@given(
    expression=st.tuples(*(field(name) for name in numbers)).map(" ".join),
    zone=st.sampled_from([*ZONES, "Africa/Cairo", "Asia/Kathmandu", "America/St_Johns"]),
    change=st.integers(0, 5),
    hours=st.integers(-30, 6),
)
def test_any_expression_is_due_as_on_the_wall(expression: str, zone: str, change: int, hours: int) -> None:
    moments = changes(zone, BEGIN, BEGIN + 366 * DAY) or [BEGIN + 59 * DAY]
    begin = moments[change % len(moments)] + timedelta(hours=hours)
    try:
        timing = read_timing(expression, zone)
    except UsageError:
        # Days that no calendar has: the model finds none either.
        timing = None
    end = begin + timedelta(hours=24)
    expected = [moment for _, moment in walk([expression], zone, begin, end)]
    if timing is None:
        assert expected == []
        return
    assert list(takewhile(lambda moment: moment <= end, due_times(timing, begin))) == expected
    assert latest_due(timing, begin, end) == (expected[-1] if expected else None)


@settings(max_examples=100)
@given(st.text(st.sampled_from("0123456789*/,-#LW@ monfri²"), max_size=20), st.text(max_size=10))
def test_whatever_is_given_for_a_time_or_a_zone_is_refused_in_one_sentence_or_read(at: str, zone: str) -> None:
    for given_at, given_zone in ((at, "UTC"), ("@daily", zone)):
        with suppress(UsageError):
            read_timing(given_at, given_zone)


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        ("61 * * * *", "The minute of a schedule can't be '61': it is 0 to 59"),
        ("0 25 * * *", "The hour of a schedule can't be '25'"),
        ("0 0 0 * *", "The day of the month of a schedule"),
        ("0 0 * 13 *", "The month of a schedule"),
        ("0 0 * * 8", "The day of the week of a schedule"),
        ("0 0 30 2 *", "'0 0 30 2 *' is a time that never comes"),
        ("0 0 31 4,6 *", "never comes"),
        ("* * * *", "it has five fields"),
        ("* * * * * *", "it has five fields"),
        ("@often", "of the names there are @hourly"),
        ("9" * 5000 + " * * * *", "it has five fields"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_what_may_be(at: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_timing(at, "UTC")
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 300


def test_names_stand_for_five_fields_and_letters_for_days() -> None:
    assert read_timing("@daily", "UTC") == read_timing(" 0  0 * *  * ", "UTC")
    assert read_timing("@HOURLY", "UTC").expression == "0 * * * *"
    friday = next_due(read_timing("0 0 * jan fri", "UTC"), BEGIN)
    assert friday == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_machine_asleep_for_three_days_makes_up_once() -> None:
    timing = read_timing("17 3 * * *", "Europe/Berlin")
    asleep = datetime(2026, 7, 1, 20, tzinfo=UTC)
    awake = asleep + 3 * DAY
    due = latest_due(timing, asleep, awake)
    assert due == datetime(2026, 7, 4, 1, 17, tzinfo=UTC)
    assert latest_due(timing, due, awake) is None


def test_a_shift_is_the_same_for_ever_and_far_from_that_of_other_profiles() -> None:
    span = timedelta(minutes=30)
    shares = sorted(spread_of(profile, span) for profile in range(1, 101))
    assert shares[0] >= timedelta(0)
    assert shares[-1] < span
    assert min(later - earlier for earlier, later in pairwise(shares)) > timedelta(seconds=5)
    timing = read_timing("17 3 * * *", "UTC", spread_of(7, span))
    assert next_due(timing, BEGIN) == BEGIN + timedelta(hours=3, minutes=17) + spread_of(7, span)
