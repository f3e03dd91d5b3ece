"""Spreading what would start at the same moment."""

from __future__ import annotations

from datetime import timedelta

# Multiplicative hashing by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4): numbers that follow one
# another, as those of profiles do, come to lie as far from each other as they can.
_GOLDEN = 0x9E3779B97F4A7C15
_ALL = 1 << 64


def spread_of(key: int, span: timedelta) -> timedelta:
    """Return by how much something starts later: a share of the span, the same for the same key for ever.

    Args:
        key: number of a profile.
        span: of which the share is taken; the result is shorter, in whole seconds.
    """
    return timedelta(seconds=key * _GOLDEN % _ALL * int(span.total_seconds()) // _ALL)
