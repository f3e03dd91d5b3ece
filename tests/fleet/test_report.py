"""The report of a month: what was done for the sites of a group, by the clocks of a place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Connection, Finding, Group, NewSite, Profile, Site
from backstay.errors import NotFoundError, UsageError
from backstay.fleet.report import read_month, read_report
from backstay.jobs.installation import Installation, open_installation

NOW = datetime(2026, 12, 15, 12, tzinfo=UTC)


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    home.mkdir(parents=True)
    (home / "backstay.toml").write_text('[jobs]\ntime_zone = "Europe/Berlin"\n')
    with open_installation(home) as opened:
        opened.catalogue.groups.create(Group(0, "clients", NOW))
        yield opened


def make(installation: Installation, name: str, group: str = "clients") -> Site:
    site = Site(0, name, "remote", 0, NOW - timedelta(days=90), group=group)
    return installation.catalogue.sites.create(NewSite(site, Connection("secret", {}), Profile(0, name)))


def take(installation: Installation, site: Site, ended: datetime, *, size: int = 1000, **values: object) -> int:
    backups = installation.catalogue.backups
    number = backups.create(profile_id=site.profile_id, backupstart=ended, type="full").id
    backups.update(
        number, **{"status": "complete", "backupend": ended, "total_size": size, "filesexist": True} | values
    )
    return number


def at(day: int, hour: int = 12, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_a_month_is_that_of_the_clocks_of_the_place(installation: Installation) -> None:
    month = read_month(installation, "2026-10", NOW)
    assert (month.since, month.until) == (at(30, 22, 9), at(31, 23, 10))
    assert (month.first, month.last, month.is_over, len(month.days)) == (
        date(2026, 10, 1),
        date(2026, 10, 31),
        True,
        31,
    )
    running = read_month(installation, "", NOW)
    assert (running.name, running.last, running.is_over) == ("2026-12", date(2026, 12, 15), False)
    for wrong in ("2026-13", "2026-1", "November", "2026-11-01", "１０２６-11", "2027-01"):
        with pytest.raises(UsageError):
            read_month(installation, wrong, NOW)


def test_the_report_counts_what_the_month_held(installation: Installation) -> None:
    shop, blog, other = make(installation, "shop"), make(installation, "blog"), make(installation, "other", group="")
    # In Berlin the first is the month before, the last the month after.
    take(installation, shop, at(31, 22, 10))
    take(installation, shop, at(30, 23, 11))
    proof = {
        "level": "full",
        "verifications": {"": {"at": at(20).isoformat(), "ok": True}, "nas": {"at": at(21).isoformat(), "ok": False}},
        "drill": {"at": at(22).isoformat(), "verdict": "passed"},
    }
    take(installation, shop, at(1, 3), size=500, proof=proof)
    take(installation, shop, at(1, 4), size=0, status="fail", error="No room.", filesexist=False)
    take(installation, shop, at(2, 3), size=700, filesexist=False)
    take(installation, shop, at(3, 3), size=0, status="fail", error="No room.", filesexist=False)
    take(installation, other, at(2))
    table = installation.catalogue.alarms
    finding = Finding("late", f"profile:{shop.profile_id}", "It is late.", "Do it.", at(4), shop.profile_id)
    table.reconcile([finding], at(4))
    table.reconcile([], at(6))
    table.reconcile([finding], at(2, month=12))
    report = read_report(installation, "clients", read_month(installation, "2026-11", NOW), NOW)
    assert [one.standing.site.name for one in report.sites] == ["blog", "shop"]
    empty, full = report.sites
    assert (empty.taken, empty.last, empty.days, empty.kept) == (0, None, {}, 0)
    assert empty.standing.site.id == blog.id
    assert (full.taken, full.failed, full.size, full.added) == (2, 2, 700, 1200)
    assert full.days == {date(2026, 11, 1): True, date(2026, 11, 2): True, date(2026, 11, 3): False}
    assert (full.last, full.good_days) == (at(2, 3), 2)
    assert (full.verified, full.damaged, full.restored, full.not_restored) == (1, 1, 1, 0)
    assert (full.opened, full.closed) == (1, 1)
    assert full.stored == {"": 2500}
    assert [(one.site, one.alarm.kind) for one in report.alarms] == [("shop", "late")]
    total = report.total
    assert (total.taken, total.failed, total.covered, total.kept, total.added) == (2, 2, 1, 2500, 1200)
    everything = read_report(installation, "", read_month(installation, "2026-11", NOW), NOW)
    assert (len(everything.sites), everything.total.taken) == (3, 3)
    with pytest.raises(NotFoundError):
        read_report(installation, "nobody", report.month, NOW)
