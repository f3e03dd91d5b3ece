"""``backstay site report``: what was done for the sites of a group in a month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from backstay.cli import options
from backstay.cli.output import console, moment, print_json, shown, size, table

if TYPE_CHECKING:
    from backstay.fleet.report import GroupReport, SiteReport

_STYLES = {"good": "green", "warn": "yellow", "bad": "red", "quiet": ""}


def report(
    group: Annotated[
        str, typer.Option("--group", metavar="NAME", help="The sites of this group alone.", show_default="all sites")
    ] = "",
    month: Annotated[
        str, typer.Option("--month", metavar="YYYY-MM", help="Which month.", show_default="this one, so far")
    ] = "",
    home: options.Home = None,
    json_output: options.Json = False,
) -> None:
    """Tell what was done for sites in a month: backups, proofs, restores tested, sizes, alarms, and how they stand.

    The page of the same report in the browser is made to be printed.

    Examples:
        backstay site report

        backstay site report --group clients-a --month 2026-11 --json
    """
    from backstay.fleet.report import read_month, read_report

    with options.opened(home) as installation:
        now = datetime.now(UTC)
        made = read_report(installation, group, read_month(installation, month, now), now)
    if json_output:
        print_json(_json(made))
    else:
        _print(made)


def _json(report: GroupReport) -> dict[str, Any]:
    total = report.total
    return {
        "group": shown(report.group) or None,
        "month": report.month.name,
        "since": report.month.since.isoformat(),
        "until": report.month.until.isoformat(),
        "time_zone": report.month.zone,
        "over": report.month.is_over,
        "made": report.made.isoformat(),
        "total": {
            "sites": len(report.sites),
            "covered": total.covered,
            **_counts(total),
            "kept": {shown(place) or "here": count for place, count in total.stored.items()},
        },
        "sites": [_site_json(one) for one in report.sites],
        "alarms": [
            {
                "site": shown(one.site),
                "kind": one.alarm.kind,
                "opened": one.alarm.opened.isoformat(),
                "closed": one.alarm.closed.isoformat() if one.alarm.closed else None,
                "message": shown(one.alarm.message),
            }
            for one in report.alarms
        ],
    }


def _site_json(one: SiteReport) -> dict[str, Any]:
    site, since = one.standing.site, one.standing.since
    return {
        "site": shown(site.name),
        "kind": site.kind,
        "state": one.standing.state,
        "since": since.isoformat() if since else None,
        "running": site.running,
        **_counts(one),
        "days": {day.isoformat(): good for day, good in sorted(one.days.items())},
        "last": one.last.isoformat() if one.last else None,
        "size": one.size,
        "kept": {shown(place) or "here": count for place, count in one.stored.items()},
    }


def _counts(one: Any) -> dict[str, int]:
    """Return what is counted of a site and of all alike."""
    return {
        "backups": one.taken,
        "failed": one.failed,
        "bytes": one.added,
        "verified": one.verified,
        "damaged": one.damaged,
        "restores_tested": one.restored,
        "restores_failed": one.not_restored,
        "alarms_opened": one.opened,
        "alarms_closed": one.closed,
    }


def _print(report: GroupReport) -> None:
    total, so_far = report.total, "" if report.month.is_over else ", so far"
    console.print(f"{shown(report.group) or 'All sites'}, {report.month.name}{so_far}", markup=False, style="bold")
    if not report.sites:
        console.print("There is no site: 'backstay site add URL' adds one.")
        return
    rows = table(
        "Site", "Days", "Taken", "Failed", "Size", "Kept", "Read back", "Restored", "Alarms", "State", "Last (UTC)",
        right=["Days", "Taken", "Failed", "Size", "Kept", "Read back", "Restored", "Alarms"],
    )  # fmt: skip
    for one in report.sites:
        standing = one.standing
        rows.add_row(
            Text(shown(standing.site.name)),
            f"{one.good_days}/{len(report.month.days)}",
            str(one.taken),
            _bad(one.failed),
            size(one.size) if one.last else "",
            size(one.kept) if one.kept else "",
            _proofs(one.verified, one.damaged),
            _proofs(one.restored, one.not_restored),
            str(one.opened),
            Text(standing.state, style=_STYLES[standing.meaning.tone]),
            moment(one.last),
        )
    console.print(rows)
    console.print(
        f"{total.taken:,} backups complete, {total.failed:,} failed; {total.covered:,} of {len(report.sites):,} sites "
        f"have one. {total.verified:,} archives read back, {total.damaged:,} damaged; {total.restored:,} restores "
        f"tested, {total.not_restored:,} failed. {total.opened:,} alarms opened, {total.closed:,} closed. "
        f"Kept now: {size(total.kept)}."
    )


def _bad(count: int) -> Text:
    return Text(str(count), style="red" if count else "")


def _proofs(passed: int, failed: int) -> Text:
    return Text(f"{passed}, {failed} failed", style="red") if failed else Text(str(passed))
