"""What was staged before an archive had arrived is kept only where it is what the whole archive says."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.archives import EntryType, open_archive
from backstay.jobs.installation import open_installation
from backstay.jobs.records import backup_files
from backstay.restore.arriving import Arrival
from backstay.restore.background import Reporter
from backstay.restore.early_staging import EarlyStaging, digests_of, settle, stage_early
from backstay.restore.plan import RemoteArchive, RestorePlan
from support.backups import make_files, take


class _Silent(Reporter):
    """A reporter that nobody listens to."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def progress(self, what: str, done: int, total: int = 0) -> None:
        """Tell nobody."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    with open_installation(folder / "home") as installation:
        return backup_files(installation, take(installation, make_files(folder / "site")))[-1].path


@pytest.fixture
def archive(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original, tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "staged" / "site"


def staged(archive: Path, folder: Path, *, arrived: int | None = None) -> EarlyStaging:
    """Stage what has arrived of an archive, all of it by default."""
    arrival, size = Arrival(), archive.stat().st_size
    arrival.count = size if arrived is None else arrived
    if arrived is not None:
        arrival.end()
    plan = RestorePlan(str(archive), str(folder), remote=RemoteArchive("", "", 1, ((archive.name, size),)))
    return stage_early(plan, archive, folder, arrival, _Silent())


def settled(early: EarlyStaging, archive: Path, folder: Path) -> EarlyStaging:
    with open_archive(archive) as opened:
        return settle(early, opened, folder)


def test_all_plain_files_of_the_site_are_staged_and_kept(archive: Path, folder: Path) -> None:
    early = staged(archive, folder)
    with open_archive(archive) as opened:
        files = [one for one in opened if one.type is EntryType.FILE and not one.path.startswith("installation/")]
    assert early.files == sum(early.holds(one) for one in files) > 10
    assert early.bytes == sum(one.size for one in files if early.holds(one))
    assert settled(early, archive, folder) == early
    assert sum(path.is_file() for path in folder.rglob("*")) == early.files


def test_a_file_that_is_not_as_the_manifest_says_has_all_thrown_away(archive: Path, folder: Path) -> None:
    early = staged(archive, folder)
    with digests_of(folder).open("r+b") as digests:
        digests.seek(32)
        digests.write(bytes(32))
    assert settled(early, archive, folder) == EarlyStaging()
    assert not folder.exists()


def test_hashes_that_are_missing_have_all_thrown_away(archive: Path, folder: Path) -> None:
    early = staged(archive, folder)
    os.truncate(digests_of(folder), 32 * (early.files - 1))
    assert settled(early, archive, folder) == EarlyStaging()


def test_an_entry_in_the_place_of_a_staged_file_has_all_thrown_away(archive: Path, folder: Path) -> None:
    early = staged(archive, folder)
    # As if one file less had come in time, and its name had been there before.
    with open_archive(archive) as opened:
        ends = [entry.location.start for entry in opened if entry.location and early.holds(entry)]
    os.truncate(digests_of(folder), 32 * (early.files - 1))
    assert settled(replace(early, end=ends[-1]), archive, folder) == EarlyStaging()


def test_where_the_download_stopped_nothing_is_made_of_it(archive: Path, folder: Path) -> None:
    from backstay.errors import StoppedError

    with pytest.raises(StoppedError):
        staged(archive, folder, arrived=archive.stat().st_size // 100)


def test_a_zip_archive_waits_for_its_end(folder: Path, tmp_path: Path) -> None:
    made = shutil.make_archive(str(tmp_path / "made"), "zip", make_files(tmp_path / "site", count=3))
    assert staged(Path(made), folder) == EarlyStaging()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_what_was_staged_early_gets_its_owners_and_nanoseconds(home: Path, tmp_path: Path, folder: Path) -> None:
    site = make_files(tmp_path / "site")
    page = site / "folder 1/file-1.txt"
    os.chown(page, 33, 4)
    os.utime(page, ns=(1, 1_700_000_000_123_456_789))
    with open_installation(home) as installation:
        archive = backup_files(installation, take(installation, site))[-1].path
    early = staged(archive, folder)
    with open_archive(archive) as opened:
        assert settle(early, opened, folder, owners=True).files
    status = (folder / "folder 1/file-1.txt").stat()
    assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (33, 4, 1_700_000_000_123_456_789)
