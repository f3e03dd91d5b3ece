"""A model of schedules that knows nothing of how they are computed: it looks at a clock on a wall each minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")


class Fields:
    """What five fields of numbers, lists, ranges and steps say, read independently."""

    def __init__(self, expression: str) -> None:
        given = expression.split()
        spans = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
        self._sets = [self._numbers(text, *span) for text, span in zip(given, spans, strict=True)]
        self._both_days = given[2].startswith("*") or given[4].startswith("*")
        self.all_day = "*" in given[1] or "/" in given[1]

    @staticmethod
    def _numbers(text: str, first: int, last: int) -> set[int]:
        numbers: set[int] = set()
        for term in text.split(","):
            span, _, step = term.partition("/")
            low, _, high = span.partition("-")
            if span == "*":
                begin, end = first, last
            else:
                begin, end = int(low), int(high) if high else (last if step else int(low))
            numbers.update(range(begin, end + 1, int(step or 1)))
        return numbers

    def match(self, wall: datetime) -> bool:
        """Say whether they mean the minute that a wall's clock shows."""
        minutes, hours, days, months, weekdays = self._sets
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        day, weekday = wall.day in days, bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
        return (day and weekday) if self._both_days else (day or weekday)


def walk(expressions: list[str], zone_name: str, begin: datetime, end: datetime) -> Iterator[tuple[str, datetime]]:
    """Give what is due after one moment until another, in order: looks at each minute in between."""
    zone, read = ZoneInfo(zone_name), [(expression, Fields(expression)) for expression in expressions]
    moment = begin
    furthest = moment.astimezone(zone).replace(tzinfo=None)
    while moment < end:
        moment += MINUTE
        wall = moment.astimezone(zone).replace(tzinfo=None)
        repeated = wall <= furthest
        skipped = [furthest + MINUTE * count for count in range(1, (wall - furthest) // MINUTE)]
        furthest = max(furthest, wall)
        for expression, fields in read:
            due = fields.match(wall) and (fields.all_day or not repeated)
            if due or any(fields.match(one) for one in skipped):
                yield expression, moment


@cache
def changes(zone_name: str, begin: datetime, end: datetime) -> list[datetime]:
    """Return the hours before which the clocks of a zone change."""
    zone, found, moment = ZoneInfo(zone_name), [], begin.astimezone(UTC)
    while moment < end:
        following = moment + timedelta(hours=1)
        if moment.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found.append(following)
        moment = following
    return found
