"""Schedules as a person asks for them, and what of them is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from backstay.catalogue import ProofOptions, Run, Schedule
from backstay.catalogue.schedules import WORKS, Times, Work
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.schedules import Timing, due_times, latest_due, machine_time_zone, next_due, read_timing, spread_of

GRACE: Final = timedelta(minutes=5)
"""So long after its due time a run is still in time, where missed ones are not to be made up."""
LONGEST_SPREAD: Final = timedelta(days=1)
_AT_ONCE: Final = 100
_CLOCK_WAS_WRONG: Final = timedelta(days=1)
_MISSED = "Nothing was running at its time, and missed runs of this schedule are not made up."


def add_schedule(
    installation: Installation,
    profile_id: int,
    *,
    at: str,
    now: datetime,
    what: Work = "backup",
    time_zone: str = "",
    spread: timedelta = timedelta(0),
    catch_up: bool = True,
    options: ProofOptions | None = None,
) -> Schedule:
    """Store a schedule; what was due before now is none of its business.

    Args:
        installation: whose.
        profile_id: what is backed up, or whose backups are proven.
        at: a cron expression (``backstay.schedules.read_timing``).
        now: this moment.
        what: is done.
        time_zone: IANA name; empty: see ``default_time_zone``.
        spread: span of which the profile waits its share.
        catch_up: a missed run is made up once, as soon as something runs again.
        options: which backups are proven.

    Raises:
        NotFoundError: there is no such profile, or no such storage.
        UsageError: a value cannot be used.
    """
    if profile_id not in dict(installation.catalogue.profiles.names()):
        raise NotFoundError(f"There is no backup profile {profile_id}: see them with 'backstay profile list'.")
    made = new_schedule(
        installation,
        profile_id,
        at=at,
        now=now,
        what=what,
        time_zone=time_zone,
        spread=spread,
        catch_up=catch_up,
        options=options,
    )
    return installation.catalogue.schedules.create(made)


def new_schedule(
    installation: Installation,
    profile_id: int,
    *,
    at: str,
    now: datetime,
    what: Work = "backup",
    time_zone: str = "",
    spread: timedelta = timedelta(0),
    catch_up: bool = True,
    options: ProofOptions | None = None,
) -> Schedule:
    """Return a schedule that can be stored, as ``add_schedule`` stores it; its profile may be made later.

    Raises:
        NotFoundError: there is no such storage.
        UsageError: a value cannot be used.
    """
    zone = time_zone or default_time_zone(installation)
    seconds = int(spread.total_seconds())
    schedule = Schedule(0, profile_id, what, at, zone, seconds, catch_up, False, options or ProofOptions(), now, now)
    return _checked(installation, schedule)


def edit_schedule(
    installation: Installation,
    schedule_id: int,
    *,
    now: datetime,
    at: str | None = None,
    time_zone: str | None = None,
    spread: timedelta | None = None,
    catch_up: bool | None = None,
    options: ProofOptions | None = None,
) -> Schedule:
    """Change a schedule; what is None stays. A new time counts from now on.

    Raises:
        NotFoundError: there is no such schedule or storage.
        UsageError: a value cannot be used.
    """
    found = installation.catalogue.schedules.get(schedule_id)
    given = {
        "at": at,
        "time_zone": time_zone,
        "spread": None if spread is None else int(spread.total_seconds()),
        "catch_up": catch_up,
        "options": options,
    }
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    edited = _checked(installation, replace(found, **changed))
    values = {name: getattr(edited, name) for name in given}
    if timing_of(edited) != timing_of(found):
        values["handled"] = now
    return installation.catalogue.schedules.update(schedule_id, **values)


def pause_schedule(installation: Installation, schedule_id: int) -> Schedule:
    """Let nothing of a schedule be due until it is resumed.

    Raises:
        NotFoundError: there is no such schedule.
    """
    return installation.catalogue.schedules.update(schedule_id, paused=True)


def resume_schedule(installation: Installation, schedule_id: int, now: datetime) -> Schedule:
    """Let a paused schedule count again, from now on; what was due while it was paused is not made up.

    Raises:
        NotFoundError: there is no such schedule.
    """
    found = installation.catalogue.schedules.get(schedule_id)
    handled = now if found.paused else found.handled
    return installation.catalogue.schedules.update(schedule_id, paused=False, handled=handled)


def remove_schedule(installation: Installation, schedule_id: int) -> None:
    """Remove a schedule and its runs; the backups that it took stay.

    Raises:
        NotFoundError: there is no such schedule.
    """
    installation.catalogue.schedules.delete(schedule_id)


def run_now(installation: Installation, schedule_id: int, now: datetime) -> Run:
    """Make a run that is due now, beside those of the schedule; where one waits already, that is it.

    Raises:
        NotFoundError: there is no such schedule.
    """
    return installation.catalogue.runs.create_now(schedule_id, now)


def next_runs(
    at: str, time_zone: str, spread: timedelta, profile_id: int, now: datetime, count: int = 10
) -> list[datetime]:
    """Return when a schedule of these times would be due next, in UTC.

    Raises:
        UsageError: a value can't be used.
    """
    return list(islice(due_times(read_timing(at, time_zone, spread_of(profile_id, spread)), now), count))


def next_run_of(schedule: Schedule, now: datetime) -> datetime | None:
    """Return when a schedule is due next; None: it is paused, or its time zone is no longer known here."""
    if schedule.paused:
        return None
    try:
        return next(due_times(timing_of(schedule), max(now, schedule.handled)), None)
    except UsageError:
        return None


def default_time_zone(installation: Installation) -> str:
    """Return the zone of schedules that name none: ``jobs.time_zone`` where it is set, else the machine's."""
    jobs = installation.configuration.jobs
    return jobs.time_zone if "time_zone" in jobs.model_fields_set else machine_time_zone()


def timing_of(schedule: Schedule | Times) -> Timing:
    """Return when a schedule is due."""
    return _timing(schedule.at, schedule.time_zone, schedule.spread, schedule.profile_id)


# A minute's look at a thousand schedules must cost next to nothing: what was once computed of one is kept.
@lru_cache(maxsize=16384)
def _timing(at: str, time_zone: str, spread: int, profile_id: int) -> Timing:
    return read_timing(at, time_zone, spread_of(profile_id, timedelta(seconds=spread)))


_next_due = lru_cache(maxsize=16384)(next_due)


def next_run(schedule: Times) -> datetime | None:
    """Return when a schedule is due next; that is past where nothing looks what is due, None where it never is."""
    try:
        return _next_due(timing_of(schedule), schedule.handled)
    except UsageError:
        # A time zone of which this machine no longer knows: 'schedule list' says so.
        return None


def look_up(installation: Installation, now: datetime) -> list[Run]:
    """Make the runs that are due and were not made yet; several processes may do so at once.

    Of the due moments of a schedule since the last one the newest is run, or noted as skipped. Set back by less than a
    day, the clock makes nothing due a second time; where it was more than a day ahead, the schedules count from now on.

    Args:
        installation: whose.
        now: this moment.

    Returns:
        The runs that were made and wait to be run.
    """
    due_now: list[tuple[Times, datetime, str]] = []
    later: list[tuple[Times, datetime | None]] = []
    ahead = now + _CLOCK_WAS_WRONG
    for schedule in installation.catalogue.schedules.to_look_at(now, ahead):
        if schedule.handled > ahead:
            installation.catalogue.schedules.update(schedule.id, handled=now)
            continue
        try:
            timing = timing_of(schedule)
        except UsageError:
            # A time zone of which this machine no longer knows: 'schedule list' says so.
            continue
        following = _next_due(timing, schedule.handled)
        if following is None or following > now:
            later.append((schedule, following))
            continue
        due = latest_due(timing, schedule.handled, now) or following
        in_time = schedule.catch_up or now - due <= GRACE
        due_now.append((schedule, due, "" if in_time else _MISSED))
    # Noted once for each due moment: of thousands, a look reads those alone that are due.
    installation.catalogue.schedules.note_due(later)
    made: list[Run | None] = []
    for first in range(0, len(due_now), _AT_ONCE):
        made += installation.catalogue.runs.create_all(due_now[first : first + _AT_ONCE], now)
    return [run for run in made if run is not None and run.state == "waiting"]


def find_profile(installation: Installation, text: str) -> int:
    """Return the number of the profile that a person names by its number or its name, which may be that of a site.

    Raises:
        NotFoundError: there is none.
        UsageError: several have this name.
    """
    names = installation.catalogue.profiles.names()
    if text.isascii() and text.isdigit() and int(text) in dict(names):
        return int(text)
    found = [number for number, name in names if name.casefold() == text.strip().casefold()]
    if len(found) > 1 and (site := installation.catalogue.sites.find(text.strip())) is not None:
        return site.profile_id
    if len(found) > 1:
        numbers = " and ".join(str(number) for number in found)
        raise UsageError(f"The profiles {numbers} are named {text}: give the number of the one that is meant.")
    if not found:
        raise NotFoundError(f"There is no backup profile {text!r}: see them with 'backstay profile list'.")
    return found[0]


def _checked(installation: Installation, schedule: Schedule) -> Schedule:
    """Return a schedule that can be stored.

    Raises:
        NotFoundError: there is no such storage.
        UsageError: a value cannot be used.
    """
    if schedule.what not in WORKS:
        raise UsageError(f"A schedule can't {schedule.what}: it is one of {', '.join(WORKS)}.")
    if not 0 <= schedule.spread <= LONGEST_SPREAD.total_seconds():
        raise UsageError("The spread of a schedule is at most a day: give 30m, for example.")
    if schedule.what == "backup" and schedule.options != ProofOptions():
        raise UsageError("Which backups are proven, where and within what time is said of --what verify and drill.")
    if schedule.options.storage:
        if schedule.options.here_only:
            raise UsageError("Give a storage, or --here-only for the files on this machine, but not both.")
        installation.catalogue.destinations.get(schedule.options.storage)
    read = read_timing(schedule.at, schedule.time_zone)
    return replace(schedule, at=" ".join(schedule.at.split()), time_zone=read.time_zone)
