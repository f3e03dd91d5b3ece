"""Reading the facts for the rules from the catalogue: a handful of queries, however many profiles there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from backstay.alarms.model import DiskFacts, Facts, FailedProof, ProfileFacts, StorageFacts, Thresholds
from backstay.catalogue import Catalogue, Observation
from backstay.errors import ConfigurationError

DESTINATIONS_KEY = "backstay.storage.destinations"
_PREFIX = "backstay.alarms."
_DEFAULT = Thresholds()

Expected = Callable[[int, datetime | None], datetime | None]
"""Given the number of a profile and the end of its newest complete backup: when its schedules expect the next."""


def read_facts(catalogue: Catalogue, now: datetime, expected: Expected) -> Facts:
    """Return the facts of this moment.

    Args:
        catalogue: what is known.
        now: the moment.
        expected: tells when schedules expect a backup.
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
                failed.get(number),
                expected(number, last.ended if last is not None else None),
                stored.get(number, {}),
                last is not None and last.id in gone,
                unproven.get(number, ()),
            )
        )
    return Facts(now, profiles, _storages(observed), _disks(observed))


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


def _storages(observed: Sequence[Observation]) -> list[StorageFacts]:
    return [
        StorageFacts(one.subject, one.since, cast("Any", one.problem), str(one.details.get("reason", "")))
        for one in observed
        if one.what == "storage"
    ]


def _disks(observed: Sequence[Observation]) -> list[DiskFacts]:
    return [DiskFacts(one.subject, one.at, **one.details) for one in observed if one.what == "disk"]
