"""Sending to a real S3 server: proven by its checksum, nothing half left by killed workers, wrong keys said."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import DestinationOptions, NamedDestination
from backstay.jobs.backup import StepState
from backstay.jobs.installation import Installation
from backstay.jobs.launch import mark_failed
from backstay.jobs.records import backup_files, delete_backup, get_backup
from backstay.jobs.storage import delete_copies
from backstay.storage import open_destination
from support.backups import begin, finish, kill, make_files, take
from support.deaths import Deaths
from support.destinations import Place
from support.faulty_front import Fault, faulty_front
from support.s3 import S3Server

OFFSITE = {"backstay__storage__destinations": "offsite", "backstay__job__attempts": "50"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose archive takes several pieces of an upload."""
    root = make_files(tmp_path / "site", count=10)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(10_000_000))
    return root


def add(installation: Installation, url: str, secrets: Mapping[str, str], bandwidth: int = 0) -> NamedDestination:
    made = NamedDestination(0, "offsite", url, secrets, datetime.now(UTC), DestinationOptions(bandwidth=bandwidth))
    return installation.catalogue.destinations.create(made)


def assert_arrived(installation: Installation, backup_id: int, place: Place, server: S3Server) -> None:
    """Fail unless the bucket holds just the archive and its document, and no upload that is half done."""
    backup = get_backup(installation, backup_id)
    (copy,) = installation.catalogue.copies.of(backup_id)
    assert copy.state == "stored"
    (file,) = backup_files(installation, backup)
    with place.open() as opened:
        names = {stored.name for stored in opened.list()}
        assert names == {file.name, f"{file.name}.backstay.json"}
        assert b"".join(opened.stream(file.name)) == file.path.read_bytes()
    assert server.unfinished_uploads(place) == []


def begin_upload(installation: Installation, site: Path, server: S3Server) -> tuple[Place, StepState]:
    """Begin a backup; return where it goes, and its state, once the server knows a multipart upload of it."""
    place = server.place()
    add(installation, place.url, place.secrets, bandwidth=2_000_000)
    state = begin(installation, site, **OFFSITE)
    deadline = time.monotonic() + 60
    while not server.unfinished_uploads(place):
        assert get_backup(installation, state.backup_id).status == "run"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return place, state


def test_a_worker_that_dies_three_times_while_it_sends_resumes_one_upload(
    installation: Installation, site: Path, s3_server: S3Server, deaths: Deaths
) -> None:
    place = s3_server.place()
    add(installation, place.url, place.secrets)
    deaths.plan(12, 20, 30)
    state = begin(installation, site, **OFFSITE)
    uploads = [s3_server.unfinished_uploads(place) for _ in deaths.of(installation, state.backup_id)]
    assert [len(found) for found in uploads] == [1, 1, 1]
    assert deaths.happened == 3
    assert_arrived(installation, state.backup_id, place, s3_server)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_that_dies_at_any_of_twenty_points_of_an_upload_leaves_just_what_belongs_there(
    installation: Installation, site: Path, s3_server: S3Server, deaths: Deaths
) -> None:
    place = s3_server.place()
    add(installation, place.url, place.secrets)
    delete_copies(installation, take(installation, site, **OFFSITE).id)
    for number in range(20):
        deaths.plan(1 + number * (deaths.points - 1) // 19)
        state = begin(installation, site, **OFFSITE)
        for _ in deaths.of(installation, state.backup_id):
            assert len(s3_server.unfinished_uploads(place)) <= 1
        assert deaths.happened == 1
        assert_arrived(installation, state.backup_id, place, s3_server)
        delete_copies(installation, state.backup_id)
    with place.open() as opened:
        assert list(opened.list()) == []


def test_a_backup_arrives_although_every_third_request_fails(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    faults = itertools.cycle(
        [Fault("refuse", 500), Fault("cut request"), Fault("refuse", 503, {"retry-after": "1"}), Fault("cut answer")]
    )
    number = itertools.count(1)
    with faulty_front(s3_server.endpoint) as front:
        place = s3_server.place(endpoint=front.url)
        add(installation, place.url, place.secrets)
        front.choose = lambda _method, _path: next(faults) if next(number) % 3 == 0 else None
        backup = take(installation, site, **OFFSITE)
        front.choose = lambda _method, _path: None
        assert installation.catalogue.backups.warnings(backup.id) == []
        assert_arrived(installation, backup.id, place, s3_server)
    assert len(front.seen) > 9


def test_a_backup_that_is_deleted_while_it_sends_leaves_no_upload_half_done(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place, state = begin_upload(installation, site, s3_server)
    kill(installation, state.backup_id)
    delete_backup(installation, state.backup_id)
    assert s3_server.unfinished_uploads(place) == []
    with place.open() as opened:
        assert list(opened.list()) == []


def test_a_backup_whose_worker_dies_too_often_leaves_no_upload_half_done(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place, state = begin_upload(installation, site, s3_server)
    kill(installation, state.backup_id)
    assert mark_failed(installation, state.backup_id, "Its process died 5 times.")
    backup = get_backup(installation, state.backup_id)
    assert (backup.status, backup.meta, backup.warning_count) == ("complete", "ok", 1)
    assert s3_server.unfinished_uploads(place) == []


def test_a_server_that_is_killed_while_a_backup_is_sent_is_waited_for(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    place, state = begin_upload(installation, site, s3_server)
    s3_server.kill()
    time.sleep(2)
    assert get_backup(installation, state.backup_id).status == "run"
    s3_server.start()
    assert finish(installation, state).error == ""
    assert installation.catalogue.backups.warnings(state.backup_id) == []
    assert_arrived(installation, state.backup_id, place, s3_server)


def test_a_bucket_that_is_missing_is_a_warning_that_names_it(
    installation: Installation, site: Path, s3_server: S3Server
) -> None:
    url = f"s3://no-such-bucket/x?endpoint={s3_server.endpoint}"
    add(installation, url, s3_server.place().secrets)
    begun = time.monotonic()
    backup = take(installation, site, **OFFSITE, engine__postproc__common__delete_after="1")
    assert time.monotonic() - begun < 60
    assert (backup.meta, backup.warning_count) == ("ok", 1)
    assert "no-such-bucket" in installation.catalogue.backups.warnings(backup.id)[0][1]
    assert [copy.state for copy in installation.catalogue.copies.of(backup.id)] == ["failed"]


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
