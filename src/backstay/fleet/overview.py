"""How all sites stand now: read with a handful of queries, kept in memory until the catalogue changes."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from backstay.alarms.facts import thresholds_of
from backstay.catalogue.schedules import Times
from backstay.catalogue.site_lines import LastFailure, OpenAlarmOfProfile, SiteLine
from backstay.errors import NotFoundError
from backstay.fleet.standing import ORDER, Need, SiteFacts, SiteStanding, SiteState, needs_of, standing_of
from backstay.jobs.alarms import first_expected
from backstay.jobs.current import Kept, current_overview
from backstay.jobs.installation import Installation
from backstay.jobs.overview import Overview, Standing, read_overview

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
    """

    at: datetime
    standings: Sequence[SiteStanding]
    counts: Mapping[SiteState, int]
    needs: Sequence[Need]


def read_sites(
    installation: Installation, now: datetime, group_id: int | None = None, profiles: Overview | None = None
) -> SiteOverview:
    """Return how all sites stand at a moment, or those of one group.

    Args:
        installation: whose.
        now: the moment.
        group_id: number of the group; None: all sites.
        profiles: how their profiles stand; None: that is read.
    """
    lines = installation.catalogue.site_lines.read(group_id)
    if not lines:
        return _overview([], now)
    known = {one.id: one for one in (profiles or read_overview(installation)).standings}
    return _overview([standing_of(one, now) for one in _facts(installation, lines, known, now)], now)


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
    return read_sites(installation, datetime.now(UTC), profiles=current_overview(installation))


_lock = threading.Lock()
_known: weakref.WeakKeyDictionary[Installation, Kept[SiteOverview]] = weakref.WeakKeyDictionary()


def _overview(standings: Sequence[SiteStanding], now: datetime) -> SiteOverview:
    return SiteOverview(now, standings, Counter(one.state for one in standings), needs_of(standings, now))


def _facts(
    installation: Installation, lines: Sequence[SiteLine], known: Mapping[int, Standing], now: datetime
) -> Iterator[SiteFacts]:
    table = installation.catalogue.site_lines
    # A profile that was made after the profiles were read comes with the next look.
    lines = [line for line in lines if line.profile_id in known]
    failing = [line.profile_id for line in lines if _has_failed(known[line.profile_id])]
    failures = table.failures(failing)
    scheduled, running = installation.catalogue.schedules.scheduled(), table.running()
    alarms: dict[int, list[OpenAlarmOfProfile]] = {}
    for one in table.open_alarms():
        alarms.setdefault(one.profile_id, []).append(one)
    expected = _expected(installation, lines, known, alarms, now)
    for line in lines:
        profile = known[line.profile_id]
        found = alarms.get(line.profile_id, ())
        failure = failures.get(line.profile_id) or _not_begun(profile, found)
        begun, failed, since, reason = failure or (None, profile.failed, None, "")
        yield SiteFacts(
            line.id,
            line.name,
            line.kind,
            line.profile_id,
            line.group or "",
            line.host,
            line.paused,
            line.created,
            line.heard,
            line.id in running or profile.running is not None,
            line.profile_id in scheduled,
            expected.get(line.profile_id),
            profile.ended,
            begun,
            failed,
            since,
            reason,
            sum(not one.acknowledged for one in found),
            line.tags,
            profile.backup_id,
            profile.size,
        )


def _has_failed(profile: Standing) -> bool:
    return profile.failed is not None and (profile.ended is None or profile.failed > profile.ended)


def _not_begun(profile: Standing, alarms: Sequence[OpenAlarmOfProfile]) -> LastFailure | None:
    """Return the failure of a scheduled backup that could not even begin, and has no record."""
    for one in alarms:
        if one.kind == "failed" and (profile.ended is None or one.since > profile.ended):
            return LastFailure(None, one.since, one.since, one.message)
    return None


def _expected(
    installation: Installation,
    lines: Sequence[SiteLine],
    known: Mapping[int, Standing],
    alarms: Mapping[int, Sequence[OpenAlarmOfProfile]],
    now: datetime,
) -> dict[int, datetime]:
    """Return by when a good backup of some profiles was expected, its grace included, by the profile's number.

    Known by the open alarms, which heed the interval that a profile sets; but where nothing runs, no alarm opens, and
    the schedules say it.
    """
    good = {line.profile_id: known[line.profile_id].ended for line in lines}
    expected = {
        number: one.since
        for number, found in alarms.items()
        for one in found
        # An alarm is open for up to a minute more when the backup has come.
        if one.kind == "late" and (good.get(number) or _LONG_AGO) < one.since
    }
    times: dict[int, list[Times]] = {}
    for one in installation.catalogue.schedules.maybe_late(now):
        if one.profile_id in good and one.profile_id not in expected:
            times.setdefault(one.profile_id, []).append(one)
    due = {number: first_expected(found, good[number]) for number, found in times.items()}
    passed = {number: moment for number, moment in due.items() if moment is not None and moment < now}
    # Only for those that may be late is it asked how much later they may be: settings are encrypted.
    for number, values in installation.catalogue.profiles.configurations_of(passed).items():
        expected[number] = passed[number] + timedelta(hours=thresholds_of(values).grace)
    return expected
