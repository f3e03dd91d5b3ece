"""What a failing disk does to a backup: it ends honestly, and leaves nothing behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from backstay import processes
from backstay.archives import ArchiveSummary, ArchiveWriter
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.jobs.records import delete_backup, get_backup
from backstay.jobs.worker import run_job
from support.backups import assert_failed_and_left_nothing, assert_gives_back, make_database, make_files_and_noise
from support.failing import FailingDisk
from support.jobs import prepare

FORMATS = ["jpa", "jps", "zip"]
WRITES = ["write", "writev", "pwrite", "fsync", "file write"]
READS = ["pread", "file read"]
SAMPLED = 3
MANY = 40


@pytest.fixture(params=[True, False], ids=["processes", "threads"])
def _forks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work in forked processes, or in threads of one."""
    if not request.param:
        monkeypatch.setattr(processes, "may_fork", lambda: False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with one large file."""
    return make_files_and_noise(tmp_path / "site")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a small database that is dumped."""
    return make_database(tmp_path / "data.db", rows=3000)


def taken_on(
    installation: Installation, site: Path, database: str, archive_format: str, disk: FailingDisk, target: Path
) -> str:
    """Take a backup on a disk that fails; return how it ended: whole if it says so, else with nothing left of it."""
    backup_id = prepare(
        installation,
        site,
        database,
        akeeba__advanced__archiver_engine=archive_format,
        engine__archiver__jps__key="secret",
        engine__archiver__common__part_size=2_000_000,
    )
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        try:
            run_job(installation, backup_id)
        except (BackstayError, OSError):
            error = assert_failed_and_left_nothing(installation, backup_id)
            assert "did not expect" not in error
    status = get_backup(installation, backup_id).status
    if status == "complete":
        password = "secret" if archive_format == "jps" else None
        assert_gives_back(installation, backup_id, site, target, password)
        delete_backup(installation, backup_id)
    return status


def outcomes(
    installation: Installation, site: Path, database: str, archive_format: str, operation: str, sampled: int
) -> set[str]:
    """Take backups whose n-th operation fails, for some n of all there are; return how those ended."""
    folder = installation.home.path
    counting = FailingDisk(operation, 0, folder)
    target = site.with_name("back")
    assert taken_on(installation, site, database, archive_format, counting, target / "0") == "complete"
    found = set()
    chance = random.Random(f"{archive_format} {operation}")
    for number in sorted({1, *chance.sample(range(1, counting.calls + 1), min(sampled, counting.calls))}):
        disk = FailingDisk(operation, number, folder)
        status = taken_on(installation, site, database, archive_format, disk, target / str(number))
        if disk.failed is not None:
            found.add(status)
    return found


@pytest.mark.usefixtures("_forks")
@pytest.mark.parametrize("sampled", [SAMPLED, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize("operation", WRITES)
def test_a_disk_that_fails_at_any_write_or_sync_never_gives_a_backup_that_is_falsely_called_good(
    installation: Installation, site: Path, database: str, operation: str, archive_format: str, sampled: int
) -> None:
    assert outcomes(installation, site, database, archive_format, operation, sampled) == {"fail"}


@pytest.mark.usefixtures("_forks")
@pytest.mark.parametrize("sampled", [SAMPLED, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
@pytest.mark.parametrize("archive_format", FORMATS)
@pytest.mark.parametrize("operation", READS)
def test_a_disk_that_fails_at_any_read_of_what_was_written_never_gives_a_backup_that_is_falsely_called_good(
    installation: Installation, site: Path, database: str, operation: str, archive_format: str, sampled: int
) -> None:
    assert outcomes(installation, site, database, archive_format, operation, sampled) <= {"fail"}


@pytest.mark.usefixtures("_forks")
@pytest.mark.parametrize("operation", ["read", "pread"])
def test_a_site_that_cannot_be_read_at_some_place_is_backed_up_without_it_and_says_so(
    installation: Installation, site: Path, operation: str
) -> None:
    for number in (1, 4, 9):
        backup_id = prepare(installation, site)
        disk = FailingDisk(operation, number, site)
        with pytest.MonkeyPatch.context() as patch:
            disk.install(patch)
            run_job(installation, backup_id)
        if disk.failed is None:
            assert number > disk.calls
            continue
        backup = get_backup(installation, backup_id)
        assert (backup.status, backup.warning_count) == ("complete", 1)
        ((_number, warning),) = installation.catalogue.backups.warnings(backup_id)
        assert warning.startswith(str(disk.failed.relative_to(site)))


def test_an_archive_that_a_disk_changed_is_not_called_complete(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup_id = prepare(installation, site)
    real = ArchiveWriter.close

    def close(writer: ArchiveWriter) -> ArchiveSummary:
        summary = real(writer)
        with summary.parts[-1].open("r+b") as file:
            file.seek(1_000_000)
            byte = file.read(1)
            file.seek(1_000_000)
            file.write(bytes([byte[0] ^ 1]))
        return summary

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveWriter, "close", close)
        with pytest.raises(BackstayError):
            run_job(installation, backup_id)
    assert "is not what was written" in assert_failed_and_left_nothing(installation, backup_id)
