"""How all sites stand now: read with a handful of queries, kept in memory until the catalogue changes."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from backstay.alarms.facts import thresholds_of
from backstay.catalogue.schedules import Times
from backstay.catalogue.site_lines import OpenAlarmOfProfile, SiteLine
from backstay.errors import NotFoundError
from backstay.fleet.standing import ORDER, Need, SiteFacts, SiteStanding, SiteState, needs_of, standing_of
from backstay.jobs.alarms import backup_times, first_expected
from backstay.jobs.current import Kept
from backstay.jobs.installation import Installation

SiteSort = Literal["state", "name", "last", "size"]
SITE_SORTS: Final[tuple[SiteSort, ...]] = get_args(SiteSort)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SiteOverview:
    """All sites at one moment.

    Attributes:
        at: the moment.
        standings: by name.
        counts: how many sites are in each state; those that none is in are left out.
        needs: the three things to do first.
        version: a number that is another one, in this process, where something of it is.
    """

    at: datetime
    standings: Sequence[SiteStanding]
    counts: Mapping[SiteState, int]
    needs: Sequence[Need]
    version: int = 0


def read_sites(installation: Installation, now: datetime, group_id: int | None = None) -> SiteOverview:
    """Return how all sites stand at a moment, or those of one group."""
    standings = [standing_of(one, now) for one in _facts(installation, now, group_id)]
    return _overview(standings, now)


def current_sites(installation: Installation) -> SiteOverview:
    """Return how all sites stand now; of many sites it may be some seconds old, see ``jobs.current``."""
    with _lock:
        kept = _known.setdefault(installation, Kept(_read_now, lambda overview: len(overview.standings)))
    return kept.value(installation)


def sites_of_groups(overview: SiteOverview, groups: Collection[str]) -> SiteOverview:
    """Return an overview of the sites of some groups alone."""
    return _overview([one for one in overview.standings if one.site.group in groups], overview.at)


def find_sites(
    overview: SiteOverview, *, text: str = "", group: str = "", tag: str = "", state: str = "", sort: SiteSort = "state"
) -> list[SiteStanding]:
    """Return the sites of an overview that are looked for, sorted.

    Args:
        overview: all of them.
        text: in the name or the host, or the number; upper and lower case are the same.
        group: only those in it; empty: in any.
        tag: only those that have it; empty: any.
        state: only those in it; ``running`` is no state, but finds those of which a backup runs. Empty: any.
        sort: ``state``: what needs a person most first; ``last``: the oldest good backup first; ``size``: the largest
            first; ``name``.
    """
    wanted = text.strip().casefold()
    found = [
        one
        for one in overview.standings
        if (not state or one.state == state or (state == "running" and one.site.running))
        and (not group or one.site.group == group)
        and (not tag or tag in one.site.tags)
        and (not wanted or _is_meant(one.site, wanted))
    ]
    keys: dict[SiteSort, Callable[[SiteStanding], Any]] = {
        "state": lambda one: (ORDER[one.state], one.since or _LONG_AGO, one.site.name),
        "name": lambda one: one.site.name.casefold(),
        "last": lambda one: one.site.good or _LONG_AGO,
        "size": lambda one: -(one.site.size or 0),
    }
    return sorted(found, key=keys[sort])


def _is_meant(site: SiteFacts, wanted: str) -> bool:
    if wanted.isdigit():
        return wanted == str(site.id) or wanted in site.name
    return wanted in site.name.casefold() or wanted in site.host


def site_standing(overview: SiteOverview, site_id: int) -> SiteStanding:
    """Return how one site stands.

    Raises:
        NotFoundError: there is none with this number.
    """
    for one in overview.standings:
        if one.site.id == site_id:
            return one
    raise NotFoundError(f"There is no site {site_id}: see them with 'backstay site list'.")


def _read_now(installation: Installation) -> SiteOverview:
    return read_sites(installation, datetime.now(UTC))


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[Installation, Kept[SiteOverview]] = weakref.WeakKeyDictionary()


def _overview(standings: Sequence[SiteStanding], now: datetime) -> SiteOverview:
    needs = needs_of(standings, now)
    return SiteOverview(now, standings, Counter(one.state for one in standings), needs, hash(tuple(standings)))


def _facts(installation: Installation, now: datetime, group_id: int | None) -> list[SiteFacts]:
    catalogue = installation.catalogue
    table = catalogue.site_lines
    lines = table.read(group_id)
    if not lines:
        return []
    running = table.running()
    unfinished = {profile_id for profile_id, _number in catalogue.overview.unfinished()}
    times = backup_times(installation)
    alarms: dict[int, list[OpenAlarmOfProfile]] = {}
    for one in table.open_alarms():
        alarms.setdefault(one.profile_id, []).append(one)
    expected = _expected(installation, lines, times, alarms, now)
    return [
        _site(
            line,
            running=line.id in running or line.profile_id in unfinished,
            scheduled=line.profile_id in times,
            expected=expected.get(line.profile_id),
            alarms=alarms.get(line.profile_id, ()),
        )
        for line in lines
    ]


def _expected(
    installation: Installation,
    lines: Sequence[SiteLine],
    times: Mapping[int, Sequence[Times]],
    alarms: Mapping[int, Sequence[OpenAlarmOfProfile]],
    now: datetime,
) -> dict[int, datetime]:
    """Return by when a good backup of some profiles was expected, its grace included, by the profile's number.

    Known by the open alarms, which heed the interval that a profile sets; but where nothing runs, no alarm opens, and
    the schedules say it.
    """
    good = {line.profile_id: line.good or _LONG_AGO for line in lines}
    expected = {
        number: one.since
        for number, found in alarms.items()
        for one in found
        # An alarm is open for up to a minute more when the backup has come.
        if one.kind == "late" and good.get(number, now) < one.since
    }
    due = {
        line.profile_id: moment
        for line in lines
        if line.profile_id not in expected
        and (moment := first_expected(times.get(line.profile_id, ()), line.good)) is not None
        and moment < now
    }
    # Only for those that may be late is it asked how much later they may be: settings are encrypted.
    for number, values in installation.catalogue.profiles.configurations_of(due).items():
        expected[number] = due[number] + timedelta(hours=thresholds_of(values).grace)
    return expected


def _site(
    line: SiteLine,
    *,
    running: bool,
    scheduled: bool,
    expected: datetime | None,
    alarms: Sequence[OpenAlarmOfProfile],
) -> SiteFacts:
    begun, failed, since, reason = line.failed_begun, line.failed, line.failing_since, line.reason or ""
    for one in alarms:
        # A scheduled backup that could not even begin has no record.
        if one.kind == "failed" and since is None and (line.good is None or one.since > line.good):
            failed = since = one.since
    return SiteFacts(
        line.id,
        line.name,
        line.kind,
        line.profile_id,
        line.group or "",
        line.host,
        line.paused,
        line.created,
        line.heard,
        running,
        scheduled,
        expected,
        line.good,
        begun,
        failed,
        since,
        reason,
        sum(not one.acknowledged for one in alarms),
        tuple(line.tags),
        line.backup_id,
        line.size,
    )
