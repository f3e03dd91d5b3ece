"""The report of a month: what was done for the sites of a group, for whom an agency works."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from backstay.catalogue.months import PastAlarm
from backstay.errors import UsageError
from backstay.fleet.overview import read_sites
from backstay.fleet.standing import SiteStanding
from backstay.jobs.installation import Installation
from backstay.jobs.schedules import default_time_zone
from backstay.schedules.zones import find_zone

_MONTH: Final = re.compile(r"(2\d{3})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Month:
    """A month on the clocks of a place.

    Attributes:
        name: ``2026-11``.
        first, last: days; of a month that is not over the last is today.
        since, until: its moments; ``until`` is the one after the last.
        zone: name of the time zone.
        is_over: whether it is.
    """

    name: str
    first: date
    last: date
    since: datetime
    until: datetime
    zone: str
    is_over: bool

    @property
    def days(self) -> list[date]:
        """Its days up to the last."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


@dataclass(slots=True)
class SiteReport:
    """What was done for one site in a month.

    Attributes:
        standing: how the site stands now.
        taken, failed: backups that were complete, and that failed.
        days: days on which a backup ended, and whether one of them was complete.
        last: end of the last complete one in the month; None: there was none.
        size: bytes of that one.
        added: bytes of all complete ones of the month.
        verified, damaged: verifications that passed, and that did not; the latest of each backup and place.
        restored, not_restored: drills, which restore a backup for a test: that passed, and that did not; the latest of
            each backup.
        opened, closed: alarms of the month.
        stored: bytes that are kept now by place; the empty name is a machine of Backstay.
    """

    standing: SiteStanding
    taken: int = 0
    failed: int = 0
    days: dict[date, bool] = field(default_factory=dict)
    last: datetime | None = None
    size: int = 0
    added: int = 0
    verified: int = 0
    damaged: int = 0
    restored: int = 0
    not_restored: int = 0
    opened: int = 0
    closed: int = 0
    stored: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Bytes that are kept now, over all places."""
        return sum(self.stored.values())

    @property
    def good_days(self) -> int:
        """Days on which a complete backup ended."""
        return sum(self.days.values())


@dataclass(frozen=True, slots=True)
class ReportedAlarm:
    """An alarm that was open in the month: about which site, and what it said."""

    site: str
    alarm: PastAlarm


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The report of a month.

    Attributes:
        group: name; empty: the sites of all groups, and those of none.
        month: which.
        made: moment it was made.
        sites: by name.
        alarms: that were open in the month, the oldest first.
        total: the counts of all sites, added up; its ``stored`` too.
    """

    group: str
    month: Month
    made: datetime
    sites: Sequence[SiteReport]
    alarms: Sequence[ReportedAlarm]
    total: Totals


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all sites of a report; the attributes are those of ``SiteReport``."""

    taken: int
    failed: int
    added: int
    verified: int
    damaged: int
    restored: int
    not_restored: int
    opened: int
    closed: int
    stored: Mapping[str, int]
    covered: int
    """Sites with a complete backup in the month."""

    @property
    def kept(self) -> int:
        """Bytes that are kept now, over all places."""
        return sum(self.stored.values())


def read_month(installation: Installation, text: str, now: datetime) -> Month:
    """Return the month that a person names.

    Args:
        installation: in whose time zone of schedules.
        text: ``2026-11``; empty: this month.
        now: this moment.

    Raises:
        UsageError: it is no month, or has not begun.
    """
    name = default_time_zone(installation)
    zone = find_zone(name)
    today = now.astimezone(zone).date()
    found = _MONTH.fullmatch(text.strip() or f"{today:%Y-%m}")
    if found is None:
        raise UsageError(f"{text[:20]!r} is no month: write 2026-11, for example.")
    first = date(int(found[1]), int(found[2]), 1)
    following = (first + timedelta(days=32)).replace(day=1)
    if first > today:
        raise UsageError(f"The month {found[0]} has not begun yet.")
    last = min(following - timedelta(days=1), today)
    return Month(found[0], first, last, _midnight(first, zone), _midnight(following, zone), name, today >= following)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def read_report(installation: Installation, group: str, month: Month, now: datetime) -> GroupReport:
    """Return the report of a month.

    Args:
        installation: whose.
        group: name of the group; empty: all sites.
        month: which.
        now: this moment.

    Raises:
        NotFoundError: there is no such group.
    """
    number = installation.catalogue.groups.get(group).id if group else None
    standings = read_sites(installation, now, number).standings
    reports = {one.site.profile_id: SiteReport(one) for one in standings}
    table, span = installation.catalogue.months, (month.since, month.until)
    zone = find_zone(month.zone)
    for backup in table.backups(*span, number):
        if (report := reports.get(backup.profile_id)) is not None:
            _count_backup(report, backup.ended, backup.size, zone, good=backup.good)
    for proof in table.proofs(*span, number):
        if (report := reports.get(proof.profile_id)) is not None:
            _count_proof(report, proof.what, passed=proof.passed)
    alarms = [one for one in table.alarms(*span, number) if one.profile_id in reports]
    for alarm in alarms:
        report = reports[alarm.profile_id]
        report.opened += alarm.opened >= month.since
        report.closed += alarm.closed is not None and alarm.closed < month.until
    for profile_id, place, size in table.stored(number):
        if profile_id in reports:
            reports[profile_id].stored[place] = size
    named = [ReportedAlarm(reports[one.profile_id].standing.site.name, one) for one in alarms]
    sites = list(reports.values())
    return GroupReport(group, month, now, sites, named, _totals(sites))


def _count_backup(report: SiteReport, ended: datetime, size: int, zone: tzinfo, *, good: bool) -> None:
    day = ended.astimezone(zone).date()
    report.days[day] = report.days.get(day, False) or good
    if not good:
        report.failed += 1
        return
    report.taken += 1
    report.added += size
    if report.last is None or ended > report.last:
        report.last, report.size = ended, size


def _count_proof(report: SiteReport, what: str, *, passed: bool) -> None:
    match what, passed:
        case "drill", True:
            report.restored += 1
        case "drill", False:
            report.not_restored += 1
        case _, True:
            report.verified += 1
        case _:
            report.damaged += 1


def _totals(sites: Iterable[SiteReport]) -> Totals:
    sums: dict[str, int] = dict.fromkeys(
        ("taken", "failed", "added", "verified", "damaged", "restored", "not_restored", "opened", "closed"), 0
    )
    stored: dict[str, int] = {}
    covered = 0
    for one in sites:
        covered += one.taken > 0
        for name in sums:
            sums[name] += getattr(one, name)
        for place, size in one.stored.items():
            stored[place] = stored.get(place, 0) + size
    return Totals(**sums, stored=stored, covered=covered)
