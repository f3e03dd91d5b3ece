"""The limit of the bandwidth."""

from __future__ import annotations

import time

from backstay.storage.throttle import Throttle


def test_the_first_piece_is_limited_too() -> None:
    begun = time.monotonic()
    Throttle(100_000).wait(30_000)
    assert time.monotonic() - begun >= 0.29


def test_without_a_limit_nothing_waits() -> None:
    begun = time.monotonic()
    Throttle(0).wait(1 << 40)
    assert time.monotonic() - begun < 1
