"""When something is due: the times of a cron expression on the clocks of a place.

On the two days of a year on which the clocks there change:

* a time that the clocks skip is due right after the gap, once, however many of its times fall into it;
* a time that comes twice is due when it comes first. But of an expression that runs all day (its hour is ``*`` or has a
  step) both are due: every fifteen minutes stays every fifteen minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from backstay.schedules.expressions import read_expression, runs_all_day
from backstay.schedules.zones import find_zone

_NONE = timedelta(0)
_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Timing:
    """When something is due; made by ``read_timing``.

    Attributes:
        expression: five fields of cron.
        time_zone: IANA name of the place whose clocks count.
        shift: by how much later than these clocks say it is due.
    """

    expression: str
    time_zone: str
    shift: timedelta = _NONE


def read_timing(at: str, time_zone: str, shift: timedelta = _NONE) -> Timing:
    """Return the timing that a person means.

    Args:
        at: a cron expression of five fields, or one of ``NAMES``.
        time_zone: IANA name.
        shift: see ``Timing``.

    Raises:
        UsageError: it is no expression, its time never comes, or there is no such zone.
    """
    return Timing(read_expression(at), find_zone(time_zone).key, shift)


def next_due(timing: Timing, after: datetime) -> datetime | None:
    """Return the first due moment after another, in UTC; None where none comes within fifty years."""
    zone, all_day = ZoneInfo(timing.time_zone), runs_all_day(timing.expression)
    moment = after.astimezone(UTC) - timing.shift
    found: datetime | None = None
    for wall in CronSim(timing.expression, _wall(moment, zone) - _repeated(moment, zone)):
        moments = _moments(wall, zone, both=all_day)
        later = next((one for one in moments if one > moment), None)
        found = min((one for one in (found, later) if one is not None), default=None)
        if moments[0] > moment:
            break
    return None if found is None else found + timing.shift


def latest_due(timing: Timing, handled: datetime, now: datetime) -> datetime | None:
    """Return the newest due moment after ``handled`` and not after ``now``, in UTC; None where there is none.

    Those between that one and ``handled`` are not returned: what was missed many times is made up once.
    """
    zone, all_day = ZoneInfo(timing.time_zone), runs_all_day(timing.expression)
    moment = now.astimezone(UTC) - timing.shift
    found: datetime | None = None
    for wall in CronSim(timing.expression, _wall(moment, zone) + _repeated(moment, zone) + _SECOND, reverse=True):
        moments = _moments(wall, zone, both=all_day)
        past = [one for one in moments if one <= moment]
        found = max((one for one in (found, *past) if one is not None), default=None)
        if moments[-1] <= moment:
            break
    if found is None or found + timing.shift <= handled:
        return None
    return found + timing.shift


def due_times(timing: Timing, after: datetime) -> Iterator[datetime]:
    """Give the due moments after another one by one, in UTC."""
    while (following := next_due(timing, after)) is not None:
        yield following
        after = following


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what a clock on a wall in the zone shows at a moment, to the second."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)


def _both(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments of a wall's time by the offset before a change of the clocks and after it (PEP 495).

    They differ only near a change: where the time comes twice the second is later, where it is skipped it is earlier.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC), wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _repeated(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clocks go back where they show this time twice; else nothing."""
    before, after = _both(_wall(moment, zone), zone)
    return max(after - before, _NONE)


def _moments(wall: datetime, zone: ZoneInfo, *, both: bool) -> tuple[datetime, ...]:
    """Return the moments at which a time on the wall is due, the earliest first."""
    before, after = _both(wall, zone)
    if after < before:
        return (_end_of_gap(after, before, zone),)
    return (before, after) if both and after > before else (before,)


def _end_of_gap(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clocks changed, between a moment before that and one at or after it."""
    offset = high.astimezone(zone).utcoffset()
    while high - low > _MINUTE:
        middle = low + (high - low) // 2 // _MINUTE * _MINUTE
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high
