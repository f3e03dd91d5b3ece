"""How a site stands, as a table; and that every site has one state, whatever is known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.fleet.standing import MOST_NEEDS, ORDER, STATES, SiteFacts, needs_of, standing_of

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MADE = NOW - timedelta(days=100)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def site(number: int = 1, **known: Any) -> SiteFacts:
    values: dict[str, Any] = {
        "name": f"site-{number}",
        "kind": "remote",
        "profile_id": number,
        "group": "",
        "host": "203.0.113.7",
        "paused": False,
        "created": MADE,
    }
    return SiteFacts(number, **(values | known))


GOOD = {"good": ago(10), "heard": ago(10)}
FAILED = {"failed_begun": ago(3), "failed": ago(2), "failing_since": ago(26), "reason": "The disk is full."}


@pytest.mark.parametrize(
    ("known", "state", "since"),
    [
        ({}, "never", MADE),
        ({"expected": ago(5)}, "late", ago(5)),
        (GOOD, "good", ago(10)),
        (GOOD | {"expected": NOW + timedelta(hours=1)}, "good", ago(10)),
        (GOOD | {"expected": ago(1)}, "late", ago(1)),
        # It answered, and its backup failed.
        (GOOD | FAILED | {"heard": ago(2.5)}, "failing", ago(26)),
        (GOOD | FAILED | {"heard": ago(2.5), "failing_since": None}, "failing", ago(2)),
        # It was asked and answered nothing, since its last good backup or ever.
        (GOOD | FAILED, "silent", ago(10)),
        (FAILED, "silent", MADE),
        # It was tested meanwhile, and answered.
        (GOOD | FAILED | {"heard": ago(0.1)}, "failing", ago(26)),
        # A site of this machine has no server that could be silent.
        (GOOD | FAILED | {"kind": "local", "heard": None}, "failing", ago(26)),
        (FAILED | {"kind": "local"}, "failing", ago(26)),
        # A failure says more than that the time has passed.
        (GOOD | FAILED | {"heard": ago(2), "expected": ago(1)}, "failing", ago(26)),
        # A later good one ends both.
        (FAILED | {"good": ago(1), "heard": ago(1)}, "good", ago(1)),
        (GOOD | {"paused": True}, "paused", None),
        (FAILED | {"paused": True, "expected": ago(9)}, "paused", None),
        # A backup that runs is a mark beside the state.
        (GOOD | {"running": True, "expected": ago(1)}, "late", ago(1)),
        # A clock that was wrong.
        ({"good": NOW + timedelta(days=400), "heard": ago(1)}, "good", NOW),
    ],
)
def test_a_site_has_one_state_since_a_moment(known: dict[str, Any], state: str, since: datetime | None) -> None:
    found = standing_of(site(**known), NOW)
    assert (found.state, found.since) == (state, since)
    assert found.meaning is STATES[found.state]


MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))


@given(
    st.lists(
        st.builds(
            SiteFacts,
            id=st.integers(1, 9),
            name=st.text(max_size=9),
            kind=st.sampled_from(["local", "remote"]),
            profile_id=st.integers(1, 9),
            group=st.sampled_from(["", "a"]),
            host=st.sampled_from(["", "203.0.113.7"]),
            paused=st.booleans(),
            created=st.datetimes(timezones=st.just(UTC)),
            heard=MOMENTS,
            running=st.booleans(),
            scheduled=st.booleans(),
            expected=MOMENTS,
            good=MOMENTS,
            failed_begun=MOMENTS,
            failed=MOMENTS,
            failing_since=MOMENTS,
            reason=st.text(max_size=9),
            alarms=st.integers(0, 2),
        ),
        max_size=6,
    ),
    st.datetimes(timezones=st.just(UTC)),
)
def test_whatever_is_known_every_site_has_a_state_and_there_are_three_needs_at_most(
    sites: list[SiteFacts], now: datetime
) -> None:
    standings = [standing_of(one, now) for one in sites]
    assert set(ORDER) == set(STATES) >= {one.state for one in standings}
    assert all(one.since is None or one.since <= now for one in standings)
    needs = needs_of(standings, now)
    assert len(needs) <= MOST_NEEDS
    for need in needs:
        assert need.sites
        assert need.message.endswith(".")
        assert need.advice.endswith(".")


def needs(*sites: SiteFacts, most: int = 9) -> list[tuple[str, tuple[int, ...]]]:
    found = needs_of([standing_of(one, NOW) for one in sites], NOW, most)
    return [(one.kind, one.sites) for one in found]


def test_sites_with_one_likely_cause_are_one_thing_to_do() -> None:
    answered = {"heard": ago(1)}
    assert needs(
        site(1, **FAILED),
        site(2, **FAILED),
        site(3, **FAILED, host="198.51.100.1"),
        site(4, **FAILED, **answered),
        site(5, **FAILED, **answered),
        site(6, **(FAILED | answered | {"reason": "Another one."})),
    ) == [("silent", (1, 2)), ("failing", (4, 5)), ("silent", (3,)), ("failing", (6,))]


def test_first_comes_what_leaves_most_sites_without_a_backup_for_longest() -> None:
    long = {"good": ago(24 * 20), "expected": ago(24 * 19)}
    assert needs(
        site(1, good=ago(5), alarms=2),
        site(2, good=ago(5), scheduled=False),
        site(3, good=ago(30), heard=ago(1), failed_begun=ago(6), failed=ago(5), failing_since=ago(5)),
        site(4, **long),
        site(5, **long),
        site(6, good=ago(5)),
        site(7, paused=True),
        # One that is being backed up needs nobody.
        site(8, created=ago(1), running=True),
        site(9, created=ago(1)),
    ) == [("late", (4, 5)), ("failing", (3,)), ("never", (9,)), ("alarms", (1,)), ("unscheduled", (2,))]
    # A site that was forgotten for years does not outweigh all others for ever.
    forgotten = site(1, good=NOW - timedelta(days=3000), expected=ago(24 * 2999))
    others = [site(number, **(FAILED | {"good": ago(24 * 20)})) for number in (2, 3)]
    assert needs(forgotten, *others, most=1) == [("silent", (2, 3))]


def test_a_thing_to_do_names_the_sites_that_have_been_so_for_longest_and_what_to_do() -> None:
    [need] = needs_of([standing_of(site(n, name=f"my site {n}", created=ago(n)), NOW) for n in range(1, 7)], NOW)
    assert need.message == "There is no backup of 6 sites (my site 6, my site 5, my site 4 and 3 more) yet."
    assert "backstay backup --site 'my site 6'" in need.advice
    assert need.since == ago(6)
