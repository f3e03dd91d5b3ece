"""The bookkeeping of failed log-ins."""

from __future__ import annotations

import pytest

from backstay.jobs.throttle import FORGIVEN_AFTER, FREE_FAILURES, LONGEST_QUEUE, Throttle


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_failures_cost_nothing_and_further_ones_a_second_each() -> None:
    throttle = Throttle(Clock())
    delays = [throttle.delay_after_failure("192.0.2.1") for _ in range(FREE_FAILURES + 3)]
    assert delays == [0.0] * FREE_FAILURES + [1.0, 2.0, 3.0]


def test_addresses_are_counted_apart() -> None:
    throttle = Throttle(Clock())
    for _ in range(FREE_FAILURES + 1):
        throttle.delay_after_failure("192.0.2.1")
    assert throttle.delay_after_failure("192.0.2.2") == 0.0


def test_one_customer_has_a_whole_network_of_version_6() -> None:
    throttle = Throttle(Clock())
    for number in range(FREE_FAILURES):
        throttle.delay_after_failure(f"2001:db8::{number:x}")
    assert throttle.delay_after_failure("2001:db8::8000:0:0:1") > 0
    assert throttle.delay_after_failure("2001:db8:0:1::1") == 0
    assert throttle.delay_after_failure("fe80::1%eth0") == 0


def test_an_address_of_version_4_is_the_same_however_it_is_written() -> None:
    throttle = Throttle(Clock())
    for _ in range(FREE_FAILURES):
        throttle.delay_after_failure("::ffff:192.0.2.1")
    assert throttle.delay_after_failure("192.0.2.1") > 0


def test_a_quiet_while_is_forgiveness() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE_FAILURES + 5):
        throttle.delay_after_failure("192.0.2.1")
    clock.now += FORGIVEN_AFTER + 1
    assert throttle.delay_after_failure("192.0.2.1") == 0.0


def test_forgiveness_counts_from_the_last_failure() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(FREE_FAILURES):
        throttle.delay_after_failure("192.0.2.1")
    for _ in range(3):
        clock.now += FORGIVEN_AFTER
        assert throttle.delay_after_failure("192.0.2.1") == 1.0, "what was answered long ago holds nothing back"
    clock.now += FORGIVEN_AFTER + 0.1
    assert [throttle.delay_after_failure("192.0.2.1") for _ in range(FREE_FAILURES)] == [0.0] * FREE_FAILURES
    assert throttle.delay_after_failure("192.0.2.1") == 1.0


def test_delays_shrink_as_time_goes_by() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    delays = []
    for _ in range(FREE_FAILURES + 5):
        delays.append(throttle.delay_after_failure("192.0.2.1"))
        clock.now += 0.5
    assert delays[FREE_FAILURES:] == [1.0, 1.5, 2.0, 2.5, 3.0]


def test_a_right_secret_clears_its_own_address_alone() -> None:
    throttle = Throttle(Clock())
    throttle.forget("192.0.2.1")
    for _ in range(FREE_FAILURES):
        throttle.delay_after_failure("192.0.2.1")
        throttle.delay_after_failure("192.0.2.2")
    throttle.forget("::ffff:192.0.2.1")
    throttle.forget("192.0.2.3")
    assert (throttle.delay_after_failure("192.0.2.1"), throttle.delay_after_failure("192.0.2.2")) == (0.0, 1.0)


def test_the_queue_of_an_address_is_twenty_seconds() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert not throttle.is_flooding("192.0.2.1")
    for _ in range(FREE_FAILURES + int(LONGEST_QUEUE)):
        assert throttle.delay_after_failure("192.0.2.1") <= LONGEST_QUEUE
        assert not throttle.is_flooding("192.0.2.1")
    throttle.delay_after_failure("192.0.2.1")
    assert throttle.is_flooding("::ffff:192.0.2.1")
    clock.now += 1
    assert not throttle.is_flooding("192.0.2.1")


def test_a_flood_is_not_listened_to_until_it_has_drained() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    while not throttle.is_flooding("192.0.2.1"):
        throttle.delay_after_failure("192.0.2.1")
    assert not throttle.is_flooding("192.0.2.2")
    clock.now += LONGEST_QUEUE
    assert not throttle.is_flooding("192.0.2.1")


def test_memory_is_bounded() -> None:
    throttle = Throttle(Clock())
    for number in range(30_000):
        throttle.delay_after_failure(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(throttle._records) == 10_000
    assert list(throttle._records)[-1] == "10.0.117.47"


def test_the_address_that_has_been_quiet_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.jobs.throttle._MOST_ADDRESSES", 2)
    throttle = Throttle(Clock())
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        throttle.delay_after_failure(address)
    assert list(throttle._records) == ["192.0.2.1", "192.0.2.3"]


def test_what_is_no_address_counts_as_one() -> None:
    throttle = Throttle(Clock())
    assert throttle.delay_after_failure("") == 0.0
    assert throttle.delay_after_failure("x" * 10_000) == 0.0
    assert throttle.delay_after_failure("x" * 64 + "y") == 0.0
    assert list(throttle._records) == ["", "x" * 64]
    throttle.forget("")
