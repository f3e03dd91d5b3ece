"""Reading the facts for the rules from the catalogue: a handful of queries, however many profiles there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, cast

from backstay.alarms.model import DiskFacts, Facts, FailedProof, ProfileFacts, StorageFacts, Thresholds
from backstay.catalogue import Catalogue, CompleteBackup, FailedBackup, Observation
from backstay.errors import ConfigurationError

DESTINATIONS_KEY = "backstay.storage.destinations"
_PREFIX = "backstay.alarms."
_DEFAULT = Thresholds()

DueOf = Callable[[int, int], datetime | None]
"""Given the number of a profile and its grace in hours: the newest moment before that at which it was due."""


def read_facts(catalogue: Catalogue, now: datetime, due: DueOf) -> Facts:
    """Return the facts of this moment.

    Args:
        catalogue: what is known.
        now: the moment.
        due: tells when schedules expected a backup.
    """
    complete, failed = catalogue.newest.complete(), catalogue.newest.failed()
    stored = catalogue.newest.stored()
    unproven: dict[int, list[FailedProof]] = {}
    observed = catalogue.observations.all()
    gone = {int(one.subject) for one in observed if one.what == "files" and one.problem}
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
                _still_failed(failed.get(number), last),
                due(number, thresholds.grace),
                stored.get(number, {}),
                last is not None and last.id in gone,
                unproven.get(number, ()),
            )
        )
    return Facts(now, profiles, _storages(observed), _disks(observed))


def thresholds_of(configuration: Mapping[str, str]) -> Thresholds:
    """Return the thresholds of a profile; those that cannot be used are as if they were not set."""
    values = {key: value for key, value in configuration.items() if key.startswith(_PREFIX)}
    if not values:
        return _DEFAULT
    # Imported here: most profiles set none, and the models of settings take long to load.
    from backstay.profiles import Settings

    try:
        settings = Settings.from_values(values)
    except ConfigurationError:
        return _DEFAULT
    return Thresholds(**{one.name: getattr(settings, f"alarms_{one.name}") for one in fields(Thresholds)})


def storages_of(configuration: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the storages that a profile's backups are sent to."""
    given = configuration.get(DESTINATIONS_KEY, "")
    return tuple(dict.fromkeys(name for part in given.split(",") if (name := part.strip())))


def _still_failed(failed: FailedBackup | None, last: CompleteBackup | None) -> FailedBackup | None:
    return failed if failed is not None and (last is None or failed.ended > last.ended) else None


def _storages(observed: Sequence[Observation]) -> list[StorageFacts]:
    return [
        StorageFacts(one.subject, one.since, cast("Any", one.problem), str(one.details.get("reason", "")))
        for one in observed
        if one.what == "storage"
    ]


def _disks(observed: Sequence[Observation]) -> list[DiskFacts]:
    return [DiskFacts(one.subject, one.at, **one.details) for one in observed if one.what == "disk"]
