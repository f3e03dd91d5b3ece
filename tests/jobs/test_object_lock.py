"""Copies in a bucket with object lock: nothing deletes them before their time, and after it they go whole."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.errors import StorageError
from backstay.jobs.installation import Installation
from backstay.jobs.storage import delete_copies
from backstay.storage.s3 import S3
from backstay.storage.s3_client import parse_xml
from jobs.stored_commands import run
from support.backups import make_files, take
from support.destinations import Place
from support.s3 import S3Server

ONE_COPY = {
    "backstay__storage__destinations": "vault",
    "akeeba__quota__remotely__enable_count_quota": "1",
    "akeeba__quota__remotely__count_quota": "1",
}
SECONDS = 3


def add(installation: Installation, place: Place, days: float) -> None:
    # Whole days are what a person can choose; a test does not wait for one.
    options = DestinationOptions(lock_days=days)  # type: ignore[arg-type]
    made = NamedDestination(0, "vault", place.url, place.secrets, datetime.now(UTC), options)
    installation.catalogue.destinations.create(made)


def versions(place: Place) -> list[str]:
    """Return the keys of all versions of all objects in a place's bucket, those that are hidden too."""
    with Place(place.url.replace("/pre/fix", ""), place.secrets).open() as opened:
        assert isinstance(opened, S3)
        page = parse_xml(opened._client.call("GET", "", {"versions": ""})[1])
    return [version.findtext("Key", "") for version in page.iter("Version")]


def test_a_locked_copy_outlives_retention_and_whoever_deletes_it(
    installation: Installation, s3_server: S3Server, tmp_path: Path
) -> None:
    place = s3_server.place(lock=True)
    add(installation, place, 1)
    site = make_files(tmp_path / "site", count=3)
    first, second = take(installation, site, **ONE_COPY), take(installation, site, **ONE_COPY)
    (outdated,), (copy,) = (installation.catalogue.copies.of(backup.id) for backup in (first, second))
    assert (outdated.state, copy.state) == ("stored", "stored")
    assert copy.locked_until is not None
    assert timedelta(hours=23) < copy.locked_until - datetime.now(UTC) < timedelta(hours=25)
    assert installation.catalogue.backups.warnings(second.id) == []
    until = f"locked until {copy.locked_until:%Y-%m-%d %H:%M} UTC"
    said = " ".join(run(installation, "delete", str(second.id), "--everywhere", "--yes", code=1).split())
    assert f"the copy of backup {second.id} at vault is {until}: it can't be deleted before." in said
    # The service holds the lock, not Backstay's word alone.
    with place.open() as opened, pytest.raises(StorageError, match=until):
        opened.delete(second.archivename)
    assert len(versions(place)) == 4


def test_a_copy_goes_with_all_its_versions_when_its_lock_has_ended(
    installation: Installation, s3_server: S3Server, tmp_path: Path
) -> None:
    place = s3_server.place(lock=True)
    add(installation, place, SECONDS / 86_400)
    backup = take(installation, make_files(tmp_path / "site", count=3), **ONE_COPY)
    (copy,) = installation.catalogue.copies.of(backup.id)
    assert copy.state == "stored"
    assert len(versions(place)) == 2
    while datetime.now(UTC) <= copy.locked_until + timedelta(seconds=1):  # type: ignore[operator]  # it is locked
        time.sleep(0.1)
    delete_copies(installation, backup.id)
    assert installation.catalogue.copies.of(backup.id) == []
    assert versions(place) == []
