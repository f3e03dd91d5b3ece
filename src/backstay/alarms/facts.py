"""Reading the facts for the rules from the catalogue: a handful of queries, however many profiles there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from backstay.alarms.model import (
    DiskFacts,
    Facts,
    FailedProof,
    ProfileFacts,
    RepositoryFacts,
    SiteOfProfile,
    StorageFacts,
    Thresholds,
)
from backstay.catalogue import Backup, Catalogue, Observation
from backstay.errors import ConfigurationError

DESTINATIONS_KEY = "backstay.storage.destinations"
_PREFIX = "backstay.alarms."
_DEFAULT = Thresholds()
_RECENT = 50

Expected = Callable[[int, datetime | None], datetime | None]
"""Given the number of a profile and the end of its newest complete backup: when its schedules expect the next."""


def read_facts(catalogue: Catalogue, now: datetime, expected: Expected) -> Facts:
    """Return the facts of this moment.

    Args:
        catalogue: what is known.
        now: the moment.
        expected: returns when schedules expect a backup.
    """
    complete, failed = catalogue.newest.complete(), catalogue.newest.failed()
    stored, not_begun = catalogue.newest.stored(), catalogue.runs.not_begun()
    unproven = _unproven(catalogue)
    observed = catalogue.observations.all()
    gone = {int(one.subject) for one in observed if one.what == "files" and one.problem}
    sites = {
        one.profile_id: SiteOfProfile(one.name, one.kind == "remote", one.paused, one.heard, one.not_before)
        for one in catalogue.site_lines.read()
    }
    profiles = []
    for number, name, configuration in catalogue.profiles.configurations():
        last = complete.get(number)
        thresholds = thresholds_of(configuration)
        profiles.append(
            ProfileFacts(
                number,
                name,
                thresholds,
                storages_of(configuration),
                last,
                failed.get(number),
                not_begun.get(number),
                expected(number, last.ended if last is not None else None),
                stored.get(number, {}),
                last is not None and last.id in gone,
                unproven.get(number, ()),
                sites.get(number),
            )
        )
    return Facts(now, profiles, _storages(observed), _disks(observed), _repositories(observed))


def thresholds_of(configuration: Mapping[str, str]) -> Thresholds:
    """Return the thresholds of a profile; those that cannot be used are as if they were not set."""
    values = tuple(item for item in configuration.items() if item[0].startswith(_PREFIX))
    return _thresholds(values) if values else _DEFAULT


# Most profiles of an installation have the same.
@lru_cache(maxsize=1024)
def _thresholds(values: tuple[tuple[str, str], ...]) -> Thresholds:
    # Imported here: most profiles set none, and the models of settings take long to load.
    from backstay.profiles import Settings

    try:
        settings = Settings.from_values(dict(values))
    except ConfigurationError:
        return _DEFAULT
    return Thresholds(**{one.name: getattr(settings, f"alarms_{one.name}") for one in fields(Thresholds)})


def storages_of(configuration: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the storages that a profile's backups are sent to."""
    if not (given := configuration.get(DESTINATIONS_KEY)):
        return ()
    return tuple(dict.fromkeys(name for part in given.split(",") if (name := part.strip())))


def _unproven(catalogue: Catalogue) -> dict[int, list[FailedProof]]:
    """Return the drills and verifications that did not pass by profile, of what is there still, newest first."""
    found: dict[int, list[FailedProof]] = {}
    for backup in catalogue.backups.unproven():
        places = {copy.destination for copy in catalogue.copies.of(backup.id) if copy.state == "stored"}
        if backup.filesexist:
            places.add("")
        for place, one in backup.proof.get("verifications", {}).items():
            if not one["ok"] and place in places:
                proof = FailedProof(backup.id, "verify", place, _moment(one), True, _problem(one))
                found.setdefault(backup.profile_id, []).append(proof)
        drill = backup.proof.get("drill") or {"verdict": "passed"}
        was_made = drill["verdict"] == "failed"
        if drill["verdict"] != "passed" and places and (was_made or not _passed_since(catalogue, backup, drill)):
            proof = FailedProof(backup.id, "drill", "", _moment(drill), was_made, _problem(drill))
            found.setdefault(backup.profile_id, []).append(proof)
    return found


def _passed_since(catalogue: Catalogue, backup: Backup, drill: Mapping[str, Any]) -> bool:
    """Return whether a drill that could not be made was followed by one of the same profile that passed."""
    others = catalogue.backups.newest(limit=_RECENT, status="complete", profile_id=backup.profile_id)
    drills = [one.proof["drill"] for one in others if "drill" in one.proof]
    return any(one["verdict"] == "passed" and _moment(one) > _moment(drill) for one in drills)


def _moment(proof: Mapping[str, Any]) -> datetime:
    moment = datetime.fromisoformat(str(proof["at"]))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _problem(proof: Mapping[str, Any]) -> str:
    return " ".join(proof.get("problems", ())[:1])


def _storages(observed: Sequence[Observation]) -> list[StorageFacts]:
    return [
        StorageFacts(one.subject, one.since, cast("Any", one.problem), str(one.details.get("reason", "")))
        for one in observed
        if one.what == "storage"
    ]


def _disks(observed: Sequence[Observation]) -> list[DiskFacts]:
    return [DiskFacts(one.subject, one.at, **one.details) for one in observed if one.what == "disk"]


def _repositories(observed: Sequence[Observation]) -> list[RepositoryFacts]:
    return [
        RepositoryFacts(
            one.subject,
            one.since,
            cast("Any", one.problem),
            str(one.details.get("reason", "")),
            tuple(map(str, one.details.get("backups", ()))),
        )
        for one in observed
        if one.what == "repository"
    ]
