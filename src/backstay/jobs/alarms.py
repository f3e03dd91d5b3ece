"""Alarms: the rules held to all that is known at a moment, and the recipients notified of what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache

from backstay.alarms import find_all, read_facts
from backstay.catalogue import AlarmChange
from backstay.catalogue.schedules import Times
from backstay.errors import UsageError
from backstay.jobs import lock
from backstay.jobs.installation import Installation
from backstay.jobs.places import look_around
from backstay.jobs.publishing import publish
from backstay.jobs.schedules import timing_of
from backstay.notifications.model import PROBLEMS, Event
from backstay.schedules import next_due

LOOK_AGAIN = timedelta(minutes=15)
"""How often storages, disks and archives are looked at."""
_SECOND = timedelta(seconds=1)

# Until there is another backup, the next one of a schedule is due at the same moment.
_next_due = lru_cache(maxsize=16384)(next_due)


def check(installation: Installation, now: datetime, *, look: bool = False) -> list[AlarmChange]:
    """Hold the rules of alarms to what is known now; open, renew and close alarms, and notify the recipients.

    Safe to call from several processes at once: each change is returned by one of them.

    Args:
        installation: whose.
        now: this moment.
        look: look at storages, disks and archives now, though that was done within a quarter of an hour.

    Returns:
        What has changed since the last check.
    """
    catalogue = installation.catalogue
    look_again(installation, now, timedelta(0) if look else LOOK_AGAIN)
    # One after the other: what another process has found meanwhile is not undone with older facts.
    with lock.exclusive(installation.home.jobs / "alarms.lock"), catalogue.exclusive("alarms"):
        facts = read_facts(catalogue, now, _expected(installation))
        catalogue.alarms.reconcile(find_all(facts), now)
        changes = catalogue.alarms.untold()
        for change in changes:
            publish(installation, _event(change), now=now)
        if changes:
            catalogue.alarms.tell(changes)
    return changes


def look_again(installation: Installation, now: datetime, interval: timedelta = LOOK_AGAIN) -> None:
    """Look at storages, and at the disks and archives of this machine, unless that was done within the interval."""
    observations = installation.catalogue.observations
    if observations.begin_round(now, interval):
        observations.replace(look_around(installation, now))


def _event(change: AlarmChange) -> Event:
    alarm, is_over = change.alarm, change.change == "closed"
    problem = PROBLEMS.get(alarm.kind, alarm.kind)
    titles = {
        "opened": problem[:1].upper() + problem[1:],
        "worsened": f"Worse: {problem}",
        "closed": f"Over: {problem}",
    }
    return Event(
        key=change.key,
        kind="closed" if is_over else alarm.kind,
        title=titles[change.change],
        message=f"It is over: {alarm.message}" if is_over else alarm.message,
        advice="" if is_over else alarm.advice,
        since=alarm.since,
        profile_id=alarm.profile_id,
        backup_id=alarm.backup_id,
        command="backstay alarms",
        alarm=alarm.kind if is_over else "",
    )


def _expected(installation: Installation) -> Callable[[int, datetime | None], datetime | None]:
    """Return a function that says when a profile's schedules expected the first backup after its last one."""
    times = backup_times(installation)
    return lambda profile_id, last: first_expected(times.get(profile_id, ()), last)


def backup_times(installation: Installation) -> dict[int, list[Times]]:
    """Return, by the number of the profile, when the schedules that take its backups are due; without paused ones."""
    found: dict[int, list[Times]] = {}
    for one in installation.catalogue.schedules.times():
        if one.what == "backup":
            found.setdefault(one.profile_id, []).append(one)
    return found


def first_expected(times: Iterable[Times], last: datetime | None) -> datetime | None:
    """Return when some schedules expected the first backup after one that ended at a moment; None: at none."""
    found = (_first_due(one, last or one.created) for one in times)
    return min((due for due in found if due is not None), default=None)


def _first_due(schedule: Times, last: datetime) -> datetime | None:
    """Return the first due moment of a schedule after a backup, or after the schedule was made or changed."""
    try:
        timing = timing_of(schedule)
    except UsageError:
        # A time zone of which this machine no longer knows: 'schedule list' says so.
        return None
    due = _next_due(timing, max(last, schedule.created))
    if due is None or due >= schedule.handled:
        return due
    # What was due before the schedule was changed or resumed is none of its business; else a due moment was handled.
    was_due = _next_due(timing, schedule.handled - _SECOND) == schedule.handled
    return due if was_due else _next_due(timing, schedule.handled)
