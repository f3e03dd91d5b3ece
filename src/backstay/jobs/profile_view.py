"""One profile as a whole: how it stands, its history, its schedules and storages, and what it needs next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from backstay.alarms.facts import storages_of
from backstay.catalogue import Alarm, Profile, Schedule
from backstay.catalogue.overview import PastBackup
from backstay.catalogue.profiles import ROOT_KEY
from backstay.jobs.installation import Installation
from backstay.jobs.overview import Detail, Overview, read_details, standing_of

MOST_BACKUPS: Final = 400
PAST_ALARMS: Final = 10
_MOST_NEEDS: Final = 3
_PROVEN_LATELY: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ProfileView:
    """What is to be known of one profile.

    Attributes:
        profile: with its settings.
        detail: how it stands.
        history: its newest backups that have ended, newest first, at most `MOST_BACKUPS`.
        schedules: by number.
        storages: names of those that its backups are sent to.
        alarms: that are open about it, newest first.
        past_alarms: the newest of those that are over.
        needs: what it needs next, at most three sentences; none where all is well.
    """

    profile: Profile
    detail: Detail
    history: Sequence[PastBackup]
    schedules: Sequence[Schedule]
    storages: Sequence[str]
    alarms: Sequence[Alarm]
    past_alarms: Sequence[Alarm]
    needs: Sequence[str]

    @property
    def root(self) -> str:
        """Folder of its site; empty where it names none."""
        return self.profile.configuration.get(ROOT_KEY, "")

    def days(self) -> Mapping[date, bool]:
        """Return the days, in UTC, on which a backup ended, and whether a good one did."""
        found: dict[date, bool] = {}
        for one in self.history:
            day = one.ended.astimezone(UTC).date()
            found[day] = found.get(day, False) or one.good
        return found


def view_profile(installation: Installation, overview: Overview, profile_id: int, now: datetime) -> ProfileView:
    """Return what is to be known of one profile.

    Args:
        installation: whose.
        overview: how all profiles stand.
        profile_id: its number.
        now: this moment.

    Raises:
        NotFoundError: there is none with this number.
    """
    catalogue = installation.catalogue
    profile = catalogue.profiles.get(profile_id)
    detail = read_details(installation, [standing_of(overview, profile_id)])[0]
    schedules = catalogue.schedules.all(profile_id=profile_id)
    storages = storages_of(profile.configuration)
    alarms = catalogue.alarms.of(profile_id=profile_id)
    return ProfileView(
        profile,
        detail,
        catalogue.overview.histories([profile_id], MOST_BACKUPS)[profile_id],
        schedules,
        storages,
        alarms,
        catalogue.alarms.newest(limit=PAST_ALARMS, state="closed", profile_id=profile_id),
        _needs(detail, schedules, storages, alarms, now)[:_MOST_NEEDS],
    )


def _needs(
    detail: Detail, schedules: Sequence[Schedule], storages: Sequence[str], alarms: Sequence[Alarm], now: datetime
) -> list[str]:
    """Return what a profile needs, the most urgent first."""
    standing = detail.standing
    if standing.state == "no site":
        return ["Name the folder of its site in the settings, so that there is something to back up."]
    takers = [one for one in schedules if one.what == "backup"]
    needs = []
    if standing.state == "failed":
        needs.append("Mend what stopped the last backup, and take it again.")
    elif standing.backup_id is None:
        needs.append("Take its first backup.")
    elif standing.state == "late":
        needs.append("Take a backup now, and see why none was taken in time.")
    if not takers:
        needs.append("Add a schedule: nothing takes its backups by itself.")
    elif all(one.paused for one in takers):
        needs.append("Resume a schedule: all that take its backups are paused.")
    if standing.backup_id is not None and not any(place.name for place in detail.places):
        there = "though storages are set" if storages else "and none is sent to a storage"
        needs.append(f"Send its newest backup elsewhere: it lies on this machine only, {there}.")
    if standing.backup_id is not None:
        if detail.proof is None or now - detail.proof.at > _PROVEN_LATELY:
            needs.append("Drill a backup: none was proven in the last three months.")
        elif not detail.proof.passed:
            needs.append(f"See why the proof of backup {detail.proof.backup_id} failed.")
    if standing.state == "warning":
        needs.append("Look at what is open: a single alarm." if len(alarms) == 1 else "Look at the open alarms.")
    return needs
