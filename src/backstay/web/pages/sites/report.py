"""The report of a group for a month: a page that a person prints."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from backstay.errors import NotFoundError
from backstay.fleet.report import GroupReport, Month, SiteReport, read_month, read_report
from backstay.jobs.users import Role
from backstay.web.charts import strip
from backstay.web.rendering import counted
from backstay.web.routes import PageRoute
from backstay.web.visible import visible_sites
from backstay.web.visit import Visit

_MONTHS: Final = 12
_MOST_ALARMS: Final = 100
_WORDS: Final = {"good": "a good backup", "bad": "only failed ones", "": "no backup"}


def _group(visit: Visit) -> Response:
    number = visit.number()
    found = next((one for one in visit.installation.catalogue.groups.all() if one.id == number), None)
    if found is None:
        raise NotFoundError(f"There is no group {number}: see them with 'backstay group list'.")
    return _page(visit, found.name, f"/groups/{number}/report")


def _all(visit: Visit) -> Response:
    return _page(visit, "", "/sites/report")


def _page(visit: Visit, group: str, path: str) -> Response:
    now = datetime.now(UTC)
    month = read_month(visit.installation, visit.asked("month"), now)
    report = read_report(visit.installation, group, month, now)
    return visit.page(
        "sites/report.html",
        report=report,
        path=path,
        title=f"{month.first:%B %Y}",
        months=_months(now),
        strips={one.standing.site.id: _strip(one, month) for one in report.sites},
        alarms=report.alarms[:_MOST_ALARMS],
        more_alarms=max(0, len(report.alarms) - _MOST_ALARMS),
        groups=_groups(visit),
        sentence=_sentence(report),
    )


def _groups(visit: Visit) -> list[tuple[int, str]]:
    seen = {one.site.group for one in visible_sites(visit).standings}
    return [(one.id, one.name) for one in visit.installation.catalogue.groups.all() if one.name in seen]


def _months(now: datetime) -> list[tuple[str, str]]:
    """Return the last months, the newest first: as the query names them, and for people."""
    year, month = now.year, now.month
    found = []
    for _ in range(_MONTHS):
        found.append((f"{year}-{month:02}", f"{date(year, month, 1):%B %Y}"))
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found


def _strip(one: SiteReport, month: Month) -> Markup:
    """Return the days of the month, each with whether it has a good backup."""
    classes = {day: "good" if good else "bad" for day, good in one.days.items()}
    label = f"{one.good_days} of {counted(len(month.days), 'day')} with a good backup"
    return strip(classes, month.days, label, _WORDS)


def _sentence(report: GroupReport) -> str:
    """Return the month in one sentence."""
    total, sites = report.total, len(report.sites)
    if not total.taken:
        return f"No backup of {counted(sites, 'site')} was complete in this month."
    covered = "each site has" if total.covered == sites else f"{total.covered:,} of {counted(sites, 'site')} have"
    failed = f"{total.failed:,} failed" if total.failed else "none failed"
    return f"{counted(total.taken, 'backup')} complete, {failed}; {covered} at least one."


ROUTES = (
    PageRoute("GET", "/groups/{number:int}/report", Role.VIEWER, _group, bound="group"),
    PageRoute("GET", "/sites/report", Role.VIEWER, _all),
)
