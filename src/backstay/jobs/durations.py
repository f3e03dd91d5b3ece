"""Spans of time as a person writes them."""

from __future__ import annotations

from datetime import timedelta

from backstay.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Return the span that a text like ``30m``, ``12h`` or ``30d`` means; a bare 0 is none.

    Raises:
        UsageError: it is no span, or longer than ten years.
    """
    cleaned = text.strip().lower()
    number, unit = cleaned[:-1], _UNITS.get(cleaned[-1:], "")
    if cleaned == "0":
        return timedelta(0)
    if not unit or not (number.isascii() and number.isdigit()) or len(number) > 9:
        raise UsageError(f"{text[:40]!r} is no span of time: write 30m, 12h, 30d or 2w.")
    seconds = int(number) * int(timedelta(**{unit: 1}).total_seconds())
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"{text[:40]!r} is longer than ten years: give a shorter span.")
    return timedelta(seconds=seconds)


def shown_duration(span: timedelta) -> str:
    """Return a span for a person, as ``parse_duration`` reads it."""
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s" if seconds else "0"
