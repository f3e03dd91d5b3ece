"""Sending to a real S3 server: proven by its checksum, nothing half left by killed workers, wrong keys said."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.jobs.installation import Installation
from backstay.jobs.launch import recover
from backstay.jobs.records import backup_files, get_backup
from backstay.storage import open_destination
from support.backups import begin, finish, kill, make_files, take
from support.s3 import S3Server

OFFSITE = {"backstay__storage__destinations": "offsite", "backstay__job__attempts": "50"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose archive takes several pieces of an upload."""
    root = make_files(tmp_path / "site", count=10)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(24_000_000))
    return root


def add(installation: Installation, url: str, secrets: Mapping[str, str], bandwidth: int = 0) -> NamedDestination:
    made = NamedDestination(0, "offsite", url, secrets, datetime.now(UTC), DestinationOptions(bandwidth=bandwidth))
    return installation.catalogue.destinations.create(made)


def test_a_backup_arrives_at_s3_although_its_worker_is_killed(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place = s3_server.place()
    add(installation, place.url, place.secrets, bandwidth=6_000_000)
    state = begin(installation, site, **OFFSITE)
    for _ in range(3):
        time.sleep(1.2)
        if kill(installation, state.backup_id):
            recover(installation, get_backup(installation, state.backup_id))
    assert finish(installation, state).error == ""
    backup = get_backup(installation, state.backup_id)
    (copy,) = installation.catalogue.copies.of(backup.id)
    assert copy.state == "stored"
    (file,) = backup_files(installation, backup)
    with place.open() as opened:
        names = {stored.name: stored.size for stored in opened.list()}
        assert names.keys() == {file.name, f"{file.name}.backstay.json"}
        assert b"".join(opened.stream(file.name)) == file.path.read_bytes()


def test_a_wrong_key_is_a_warning_that_holds_no_secret(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place = s3_server.place()
    add(installation, place.url, {**place.secrets, "secret_access_key": "Geheim123456"})
    backup = take(installation, site, **OFFSITE)
    assert (backup.meta, backup.warning_count) == ("ok", 1)
    assert "Geheim" not in installation.catalogue.backups.warnings(backup.id)[0][1]
    assert [copy.state for copy in installation.catalogue.copies.of(backup.id)] == ["failed"]
    with open_destination(place.url, place.secrets) as opened:
        assert list(opened.list()) == []
