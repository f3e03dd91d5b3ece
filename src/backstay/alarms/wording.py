"""How alarms name profiles, moments and amounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from backstay.alarms.model import ProfileFacts

_SHOWN = 3


def profile_name(profile: ProfileFacts) -> str:
    """Return a profile's name and number."""
    return f"{profile.name} (profile {profile.id})"


def moment(value: datetime) -> str:
    """Return a moment to the minute, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def amount(count: int, unit: str) -> str:
    """Return a number with its unit; bytes in binary units."""
    if unit != "bytes":
        return f"{count:,} {unit}"
    value = float(count)
    for name in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {name}" if name == "bytes" else f"{value:.1f} {name}"
        value /= 1024
    return f"{value:.1f} TiB"


def listed(sentences: Sequence[str]) -> str:
    """Return the first of several sentences, and how many more there are."""
    more = len(sentences) - _SHOWN
    return "; ".join(sentences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def without_stop(sentence: str) -> str:
    """Return a sentence as the part of another."""
    return sentence.strip().rstrip(".")
