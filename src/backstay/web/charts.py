"""Charts as SVG, made on the server: no styles or scripts in them; the style sheet gives classes their colours.

What a chart shows is told in words too, as its label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from markupsafe import Markup

from backstay.web.rendering import shown

_SPARK: Final = (88, 22)
_CHART: Final = (720, 120)
_DAY: Final = 9
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One bar of a chart: its moment, how high, whether it is good, and what it says when it is pointed at."""

    at: datetime
    value: float
    good: bool
    title: str


def spark(values: Sequence[float], label: str) -> Markup:
    """Return a line of a word's size through some values, the oldest first; nothing for fewer than two."""
    if len(values) < 2:
        return Markup("")
    width, height = _SPARK
    top = max(values) or 1
    step = (width - 4) / (len(values) - 1)
    line = " ".join(
        f"{2 + step * place:.0f},{height - 2 - (height - 4) * max(value, 0) / top:.0f}"
        for place, value in enumerate(values)
    )
    return Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="M{}"/></svg>').format(
        width, height, shown(label), line
    )


def bars(points: Sequence[Point], label: str, shown_value: Callable[[float], str]) -> Markup:
    """Return a chart of bars, the oldest first, with its largest value and its first and last day.

    Args:
        points: what is shown.
        label: what the chart shows, in words.
        shown_value: writes a value for a person.
    """
    if not points:
        return Markup("")
    width, height = _CHART
    top = max(point.value for point in points) or 1
    slot = width / max(len(points), 12)
    drawn = Markup("").join(
        Markup(
            '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"><title>{}</title></rect>'
        ).format(
            "good" if point.good else "bad", place * slot, height - tall, max(slot - 2, 1), tall, shown(point.title)
        )
        for place, point in enumerate(points)
        for tall in (max(height * max(point.value, 0) / top, 3),)
    )
    return Markup(
        '<figure class="chart"><figcaption>{}<span>at most {}</span></figcaption>'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
        '<p class="ends"><span>{}</span><span>{}</span></p></figure>'
    ).format(
        shown(label), shown_value(top), width, height, shown(label), drawn, _day(points[0].at), _day(points[-1].at)
    )


def calendar(days: Mapping[date, str], until: date, count: int, label: str, words: Mapping[str, str]) -> Markup:
    """Return a strip of days, the oldest first: one square each, in columns of a week.

    Args:
        days: the class of each day that has one (``good bad``); the others are empty.
        until: the last day.
        count: how many.
        label: what the strip shows, in words.
        words: what each class means, ``""`` for days without one, told when a day is pointed at.
    """
    first = until - timedelta(days=count - 1)
    first -= timedelta(days=first.weekday())
    squares, weeks = [], 0
    day = first
    while day <= until:
        place = (day - first).days
        weeks = place // 7 + 1
        kind = days.get(day, "")
        squares.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}: {}</title></rect>').format(
                kind or "none",
                place // 7 * (_DAY + _GAP),
                place % 7 * (_DAY + _GAP),
                _DAY,
                _DAY,
                _day(day),
                words.get(kind, kind),
            )
        )
        day += timedelta(days=1)
    return Markup('<svg class="calendar" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        weeks * (_DAY + _GAP) - _GAP, 7 * (_DAY + _GAP) - _GAP, shown(label), Markup("").join(squares)
    )


def strip(days: Mapping[date, str], shown_days: Sequence[date], label: str, words: Mapping[str, str]) -> Markup:
    """Return a row of days, one square each, the first day first; see ``calendar``.

    Args:
        days: the class of each day that has one (``good bad``); the others are empty.
        shown_days: which days.
        label: what the row shows, in words.
        words: what each class means, ``""`` for days without one, told when a day is pointed at.
    """
    squares = Markup("").join(
        Markup('<rect class="{}" x="{}" y="0" width="{}" height="{}" rx="2"><title>{}: {}</title></rect>').format(
            days.get(day) or "none", place * (_DAY + _GAP), _DAY, _DAY + 5, _day(day), words.get(days.get(day, ""), "")
        )
        for place, day in enumerate(shown_days)
    )
    return Markup('<svg class="calendar strip" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        31 * (_DAY + _GAP) - _GAP, _DAY + 5, shown(label), squares
    )


def _day(when: date) -> str:
    return f"{when.day} {when:%B %Y}"
