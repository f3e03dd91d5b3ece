"""How sites stand, read from a catalogue of both kinds: with their backups, schedules, alarms and runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Finding, Group, NewSite, Profile, Site
from backstay.catalogue.sites import Connection
from backstay.fleet.overview import current_sites, find_sites, read_sites, sites_of_groups
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.schedules import add_schedule

NOW = datetime.now(UTC)


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    with open_installation(home) as opened:
        yield opened


def make(installation: Installation, name: str, *, kind: str = "remote", group: str = "", **values: object) -> Site:
    site = Site(0, name, kind, 0, NOW - timedelta(days=9), group=group, host="203.0.113.7", **values)  # type: ignore[arg-type]
    connection = Connection("secret", {}) if kind == "remote" else None
    return installation.catalogue.sites.create(NewSite(site, connection, Profile(0, name)))


def take(installation: Installation, site: Site, *, hours: float, error: str = "", size: int = 1000) -> int:
    """Make the record of a backup of a site that ended so many hours ago."""
    ended = NOW - timedelta(hours=hours)
    backups = installation.catalogue.backups
    number = backups.create(profile_id=site.profile_id, backupstart=ended - timedelta(minutes=5), type="full").id
    status = "fail" if error else "complete"
    backups.update(number, status=status, backupend=ended, total_size=0 if error else size, error=error)
    return number


def schedule(installation: Installation, site: Site, *, hours: float) -> None:
    """Let a daily backup have been due so many hours ago, of which nobody knew."""
    due, made = NOW - timedelta(hours=hours), NOW - timedelta(days=5)
    add_schedule(installation, site.profile_id, at=f"{due.minute} {due.hour} * * *", now=made, time_zone="UTC")


def states(installation: Installation) -> dict[str, tuple[str, datetime | None]]:
    return {one.site.name: (one.state, one.since) for one in read_sites(installation, NOW).standings}


def test_no_site_is_no_work(installation: Installation) -> None:
    found = read_sites(installation, NOW)
    assert (found.standings, found.counts, found.needs) == ([], {}, [])


def test_backups_and_schedules_say_how_sites_stand(installation: Installation) -> None:
    good, late, failing, silent = (make(installation, name) for name in ("good", "late", "failing", "silent"))
    local = make(installation, "local", kind="local")
    make(installation, "never")
    make(installation, "paused", paused=True)
    for one, hours in ((good, 2.0), (late, 30.0), (failing, 50.0), (silent, 60.0)):
        take(installation, one, hours=hours)
        schedule(installation, one, hours=10)
        installation.catalogue.sites.update(one.id, heard=NOW - timedelta(hours=hours))
    for one in (failing, silent, local):
        take(installation, one, hours=26, error="First.")
        take(installation, one, hours=2, error="No room.")
    installation.catalogue.sites.update(failing.id, heard=NOW - timedelta(hours=2))
    found = states(installation)
    assert {name: state for name, (state, _since) in found.items()} == {
        "good": "good",
        "late": "late",
        "failing": "failing",
        "silent": "silent",
        "local": "failing",
        "never": "never",
        "paused": "paused",
    }
    assert found["failing"][1] == NOW - timedelta(hours=26)
    assert found["silent"][1] == NOW - timedelta(hours=60)
    # The grace of three hours is over, of a moment that was due ten hours ago.
    since = found["late"][1]
    assert since is not None
    assert timedelta(hours=6.9) < NOW - since < timedelta(hours=7.1)
    overview = read_sites(installation, NOW)
    assert [one.kind for one in overview.needs] == ["failing", "never", "silent"]
    assert set(overview.needs[0].sites) == {failing.id, local.id}
    assert {one.site.name: one.site.reason for one in overview.standings if one.site.reason} == {
        "failing": "No room.",
        "silent": "No room.",
        "local": "No room.",
    }


def test_the_grace_that_a_profile_sets_is_heeded(installation: Installation) -> None:
    site = make(installation, "patient")
    schedule(installation, site, hours=10)
    take(installation, site, hours=30)
    assert states(installation)["patient"][0] == "late"
    profile = installation.catalogue.profiles.get(site.profile_id)
    installation.catalogue.profiles.save(profile.with_values({"backstay.alarms.grace": "24"}))
    assert states(installation)["patient"][0] == "good"


def test_alarms_tell_of_what_no_record_shows(installation: Installation) -> None:
    interval, begun, odd, over = (make(installation, name) for name in ("interval", "begun", "odd", "over"))
    for one in (interval, begun, odd):
        take(installation, one, hours=30)
    take(installation, over, hours=1)
    since = NOW - timedelta(hours=5)
    findings = [
        Finding(kind, f"profile:{one.profile_id}", "It is so.", "Do it.", since, one.profile_id)
        for kind, one in (("late", interval), ("failed", begun), ("suspicious", odd), ("late", over))
    ]
    installation.catalogue.alarms.reconcile(findings, NOW)
    found = states(installation)
    assert (found["interval"], found["begun"]) == (("late", since), ("failing", since))
    # The alarm is older than the backup, and closes within the minute.
    assert (found["odd"][0], found["over"][0]) == ("good", "good")
    assert {one.site.name: one.site.alarms for one in read_sites(installation, NOW).standings} == {
        "interval": 1,
        "begun": 1,
        "odd": 1,
        "over": 1,
    }


def test_a_backup_that_runs_is_a_mark(installation: Installation) -> None:
    local, remote = make(installation, "local", kind="local"), make(installation, "remote")
    make(installation, "idle", kind="local")
    installation.catalogue.remote_runs.queue(remote.profile_id, NOW, request={})
    installation.catalogue.backups.create(profile_id=local.profile_id, backupstart=NOW, type="full")
    overview = read_sites(installation, NOW)
    assert {one.site.name for one in find_sites(overview, state="running")} == {"local", "remote"}


def test_sites_are_found_by_name_group_tag_and_state_and_sorted(installation: Installation) -> None:
    installation.catalogue.groups.create(Group(0, "clients", NOW))
    first = make(installation, "Shop one", group="clients", tags=("shop",))
    second = make(installation, "Shop two", tags=("shop", "joomla"))
    make(installation, "Blog", group="clients")
    take(installation, first, hours=5, size=10)
    take(installation, second, hours=50, size=20)
    overview = current_sites(installation)

    def names(**wanted: str) -> list[str]:
        return [one.site.name for one in find_sites(overview, **wanted)]  # type: ignore[arg-type]

    assert names() == ["Blog", "Shop two", "Shop one"]
    assert names(text="SHOP", sort="name") == ["Shop one", "Shop two"]
    assert names(text=str(first.id)) == ["Shop one"]
    assert names(text="203.0", sort="size")[:2] == ["Shop two", "Shop one"]
    assert names(group="clients", sort="last") == ["Blog", "Shop one"]
    assert names(tag="joomla") == ["Shop two"]
    assert names(state="never") == ["Blog"]
    bound = sites_of_groups(overview, ["clients"])
    assert [one.site.name for one in bound.standings] == ["Blog", "Shop one"]
    assert dict(bound.counts) == {"never": 1, "good": 1}
    # Whoever changed it: what is kept is read anew.
    with open_installation(installation.home.path) as other:
        other.catalogue.sites.update(second.id, paused=True)
    assert current_sites(installation).counts["paused"] == 1
