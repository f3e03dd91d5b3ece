"""Sending under faults: processes that are killed, storages that vanish or are full, several backups at once."""

from __future__ import annotations

import random
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Backup, Copy, DestinationOptions, NamedDestination
from backstay.engine import remove_copy
from backstay.errors import StorageError
from backstay.jobs import report
from backstay.jobs.backup import StepState, acknowledge, step_backup
from backstay.jobs.installation import Installation
from backstay.jobs.launch import mark_failed, recover, stop
from backstay.jobs.records import backup_files, delete_backup, get_backup
from support.backups import assert_gives_back, begin, finish, kill, make_files, take
from support.deaths import Deaths
from support.disks import small_disk

SPLIT = {"engine__archiver__common__part_size": "65536", "backstay__job__attempts": "100"}
DRILLED = {"backstay__drill": "1", "engine__postproc__common__delete_after": "1"}
NAS = {"backstay__storage__destinations": "nas"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose archive has several parts."""
    root = make_files(tmp_path / "site", count=10)
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(1_000_000))
    return root


def add(installation: Installation, folder: Path, url: str = "", bandwidth: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    destination = NamedDestination(
        0, folder.name, url or f"folder://{folder}", {}, datetime.now(UTC), DestinationOptions(bandwidth=bandwidth)
    )
    installation.catalogue.destinations.create(destination)
    return folder


def all_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_stored(installation: Installation, backup_id: int, folder: Path) -> Copy:
    """Fail unless the storage holds just the parts and the document, and the record says so."""
    backup = get_backup(installation, backup_id)
    assert (backup.status, backup.error) == ("complete", "")
    (copy,) = installation.catalogue.copies.of(backup_id)
    assert (copy.state, copy.error) == ("stored", "")
    assert {part.resume for part in copy.parts} == {""}
    assert all(part.proof for part in copy.parts)
    files = backup_files(installation, backup)
    mine = [name for name in all_names(folder) if Path(backup.archivename).stem in name]
    assert mine == sorted([file.name for file in files] + [f"{backup.archivename}.backstay.json"])
    for file in files:
        assert (folder / file.name).read_bytes() == file.path.read_bytes()
    return copy


def wait_for_sending(installation: Installation, backup_id: int) -> bool:
    """Wait until the backup is being sent; return whether that came before its end."""
    while get_backup(installation, backup_id).status == "run":
        progress = report.read(installation.home.job(backup_id))
        if progress is not None and progress.step == "Post-processing":
            return True
        time.sleep(0.002)
    return False


def test_a_worker_that_dies_three_times_while_it_sends_goes_on_and_sends_nothing_twice(
    installation: Installation, site: Path, tmp_path: Path, deaths: Deaths
) -> None:
    nas = add(installation, tmp_path / "nas")
    deaths.plan(9, 30, 60)
    state = begin(installation, site, **NAS, **SPLIT)
    proven: dict[str, int] = {}
    for _ in deaths.of(installation, state.backup_id):
        for copy in installation.catalogue.copies.of(state.backup_id):
            # What had arrived stays the very file that arrived.
            proven = {part.name: (nas / part.name).stat().st_ino for part in copy.parts if part.proof} | proven
    assert deaths.happened == 3
    assert proven
    assert_stored(installation, state.backup_id, nas)
    assert {name: (nas / name).stat().st_ino for name in proven} == proven
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_worker_that_dies_at_any_of_twenty_points_of_an_upload_leaves_just_what_belongs_there(
    installation: Installation, site: Path, tmp_path: Path, deaths: Deaths
) -> None:
    nas = add(installation, tmp_path / "nas")
    (site / "noise.bin").write_bytes(random.Random(1).randbytes(6_000_000))
    pieces = {**SPLIT, "engine__archiver__common__part_size": "2500000"}
    take(installation, site, **NAS, **pieces)
    for place in range(20):
        deaths.plan(1 + place * (deaths.points - 1) // 19)
        state = begin(installation, site, **NAS, **pieces)
        assert len(list(deaths.of(installation, state.backup_id))) == deaths.happened == 1
        assert finish(installation, state).error == ""
        assert_stored(installation, state.backup_id, nas)
        delete_backup(installation, state.backup_id)


@pytest.mark.parametrize("archive_format", ["jpa", "zip"])
def test_closed_parts_are_sent_while_the_rest_is_written_even_where_the_worker_is_killed(
    installation: Installation, site: Path, tmp_path: Path, archive_format: str
) -> None:
    nas = add(installation, tmp_path / "nas", bandwidth=2_000_000)
    (site / "more.bin").write_bytes(random.Random(2).randbytes(4_000_000))
    early = {"engine__postproc__common__after_part": "1", "akeeba__advanced__archiver_engine": archive_format}
    state = begin(installation, site, **NAS, **SPLIT, **early)
    for _ in range(3):
        time.sleep(0.25)
        if kill(installation, state.backup_id):
            recover(installation, get_backup(installation, state.backup_id))
    assert finish(installation, state).error == ""
    assert_stored(installation, state.backup_id, nas)
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")


def test_a_backup_that_is_stopped_while_it_sends_is_resumed(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas", bandwidth=800_000)
    state = begin(installation, site, **NAS, **SPLIT)
    assert wait_for_sending(installation, state.backup_id)
    begun = time.monotonic()
    assert stop(installation, state.backup_id)
    assert time.monotonic() - begun < 15
    assert get_backup(installation, state.backup_id).status == "run"
    assert finish(installation, state).error == ""
    assert_stored(installation, state.backup_id, nas)


def test_a_storage_that_goes_away_and_comes_back_is_waited_for(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    # A folder that nothing is mounted at cannot be reached; this one is never mounted, so patience decides.
    add(installation, tmp_path / "nas", f"folder://{tmp_path}/nas?mount={tmp_path}/nas")
    begun = time.monotonic()
    backup = take(installation, site, **NAS, backstay__storage__patience="0")
    assert backup.warning_count == 1
    assert time.monotonic() - begun < 60
    state = begin(installation, site, **NAS)
    assert wait_for_sending(installation, state.backup_id)
    time.sleep(1.5)
    assert get_backup(installation, state.backup_id).status == "run"
    destination = installation.catalogue.destinations.get("nas")
    stop(installation, state.backup_id)
    installation.catalogue.destinations.save(
        NamedDestination(destination.id, "nas", f"folder://{tmp_path}/nas", {}, destination.created)
    )
    assert finish(installation, state).error == ""
    assert_stored(installation, state.backup_id, tmp_path / "nas")


def test_a_backup_whose_worker_dies_too_often_while_it_sends_is_kept_here(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas", bandwidth=300_000)
    state = begin(installation, site, **NAS, engine__archiver__common__part_size="65536")
    assert wait_for_sending(installation, state.backup_id)
    kill(installation, state.backup_id)
    assert mark_failed(installation, state.backup_id, "Its process died 5 times.")
    backup = get_backup(installation, state.backup_id)
    assert (backup.status, backup.meta, backup.warning_count) == ("complete", "ok", 1)
    assert all_names(nas) == []
    assert_gives_back(installation, state.backup_id, site, tmp_path / "back")


def test_a_backup_that_is_deleted_while_it_sends_leaves_nothing(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas", bandwidth=300_000)
    state = begin(installation, site, **NAS, **SPLIT)
    assert wait_for_sending(installation, state.backup_id)
    delete_backup(installation, state.backup_id)
    assert all_names(nas) == []
    assert list(installation.home.archives.iterdir()) == []
    assert installation.catalogue.backups.get(state.backup_id) is None


def test_a_storage_that_is_full_is_a_warning_keeps_the_archive_and_holds_nothing_half(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    (site / "more.bin").write_bytes(random.Random(3).randbytes(1_500_000))
    with small_disk(tmp_path / "nas", 1) as nas:
        add(installation, nas)
        backup = take(
            installation,
            site,
            **NAS,
            **SPLIT,
            backstay__storage__patience="0",
            engine__postproc__common__delete_after="1",
        )
        assert_kept_here(installation, backup)
        assert [copy.state for copy in installation.catalogue.copies.of(backup.id)] == ["failed"]
        assert "is full: free space there" in installation.catalogue.backups.warnings(backup.id)[0][1]
        assert all_names(nas) == []
    assert_gives_back(installation, backup.id, site, tmp_path / "back")


def test_a_storage_that_takes_no_writing_is_a_warning_and_keeps_the_archive(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "nas", 4) as nas:
        add(installation, nas)
        subprocess.run(["mount", "-o", "remount,ro", str(nas)], check=True)
        backup = take(
            installation, site, **NAS, backstay__storage__patience="0", engine__postproc__common__delete_after="1"
        )
        assert_kept_here(installation, backup)
        assert str(nas) in installation.catalogue.backups.warnings(backup.id)[0][1]
        assert installation.catalogue.copies.of(backup.id)[0].state != "stored"


def assert_kept_here(installation: Installation, backup: Backup) -> None:
    """Fail unless a backup that could not be sent is complete, with one warning and its archive on this machine."""
    assert (backup.meta, backup.warning_count, backup.remote_filename) == ("ok", 1, None)
    assert backup_files(installation, backup)


def test_a_drill_after_the_backup_reads_the_stored_copy_where_the_local_archive_was_removed(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas")
    backup = take(installation, site, **NAS, **SPLIT, **DRILLED)
    assert (backup.meta, backup.filesexist) == ("remote", False)
    deadline = time.monotonic() + 60
    while "drill" not in get_backup(installation, backup.id).proof:  # it follows the end of the backup
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert get_backup(installation, backup.id).proof["drill"]["verdict"] == "passed"
    assert list(installation.home.archives.iterdir()) == []
    assert len(all_names(nas)) > 4


def test_two_backups_arrive_at_one_place_at_once(installation: Installation, site: Path, tmp_path: Path) -> None:
    nas = add(installation, tmp_path / "nas", bandwidth=2_000_000)
    other = make_files(tmp_path / "other", count=20)
    states = [begin(installation, folder, **NAS, **SPLIT) for folder in (site, other)]
    for state in states:
        assert finish(installation, state).error == ""
    for state in states:
        assert_stored(installation, state.backup_id, nas)


def test_a_storage_that_vanishes_during_retention_is_tried_again_by_the_next_backup(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas")
    rules = {"akeeba__quota__remotely__enable_count_quota": "1", "akeeba__quota__remotely__count_quota": "1"}
    first = take(installation, site, **NAS)
    nas.rename(tmp_path / "away")
    second = take(installation, site, **rules)
    assert second.warning_count == 0  # it has no copy itself: the first is the newest
    # The record of a copy that is newer than the first, at the place that is gone.
    installation.catalogue.copies.create(second.id, "nas", created=datetime.now(UTC), state="stored")
    heard = _warnings_until_the_end(installation, begin(installation, site, **rules))
    assert [copy.state for copy in installation.catalogue.copies.of(first.id)] == ["deleting"]
    assert any("no longer kept, and could not be deleted" in message for message in heard)
    assert get_backup(installation, first.id).remote_filename is None
    (tmp_path / "away").rename(nas)
    fourth = take(installation, site, **rules)
    assert installation.catalogue.copies.of(first.id) == []
    assert fourth.warning_count == 0
    assert [name for name in all_names(nas) if Path(first.archivename).stem in name] == []


def _warnings_until_the_end(installation: Installation, state: StepState) -> list[str]:
    """Step a backup to its end; return what a client has heard by then."""
    heard = list(state.warnings)
    while state.has_run:
        acknowledge(installation, state)
        state = step_backup(installation, state.backupid)
        heard += state.warnings
    return heard


def test_what_is_locked_is_left_alone_until_its_lock_ends(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = add(installation, tmp_path / "nas")
    rules = {"akeeba__quota__remotely__enable_count_quota": "1", "akeeba__quota__remotely__count_quota": "1"}
    first = take(installation, site, **NAS, **rules)
    (copy,) = installation.catalogue.copies.of(first.id)
    installation.catalogue.copies.update(copy.id, locked_until=datetime.now(UTC) + timedelta(days=1))
    second = take(installation, site, **NAS, **rules)
    assert second.warning_count == 0
    (copy,) = installation.catalogue.copies.of(first.id)
    assert copy.state == "stored"
    with pytest.raises(StorageError, match="locked until"):
        remove_copy(installation.catalogue, copy, installation.catalogue.destinations.get("nas"))
    assert installation.catalogue.copies.of(first.id)[0].state == "stored"
    installation.catalogue.copies.update(copy.id, locked_until=datetime.now(UTC) - timedelta(seconds=1))
    take(installation, site, **NAS, **rules)
    assert installation.catalogue.copies.of(first.id) == installation.catalogue.copies.of(second.id) == []
    assert len(all_names(nas)) == 2
