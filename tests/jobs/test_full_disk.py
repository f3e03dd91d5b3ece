"""Disks that fill up while a backup is taken."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from backstay.databases import DatabaseAddress
from backstay.engine import BackupRun, Plan
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import backup_files, get_backup, list_backups
from backstay.jobs.worker import run_job
from support.backups import (
    assert_failed_and_left_nothing,
    assert_gives_back,
    begin,
    finish,
    make_database,
    make_files,
    make_files_and_noise,
    take,
)
from support.disks import fill, small_disk
from support.jobs import prepare
from support.mysql import MySQLServer


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with one large file."""
    return make_files_and_noise(tmp_path / "site")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a database whose dump takes a moment."""
    return make_database(tmp_path / "data.db", rows=60_000)


def take_until_full(installation: Installation, backup_id: int, domain: str, disk: Path, filler: list[Path]) -> None:
    """Take a backup on a disk that is full as soon as a domain is reported; note the file that fills it."""
    job = installation.catalogue.jobs.get(backup_id)
    assert job is not None
    backup = get_backup(installation, backup_id)
    taking = BackupRun(installation.catalogue, installation.home, backup, Plan.from_json(job.plan), None)
    for progress in taking.run():
        if progress.domain == domain and not filler:
            filler.append(fill(disk))


@pytest.mark.parametrize("domain", ["init", "installer", "Packing", "finale"])
def test_a_disk_that_is_full_in_any_domain_fails_the_backup_with_a_sentence(
    installation: Installation, site: Path, tmp_path: Path, domain: str
) -> None:
    for number in range(40):
        (site / f"noise-{number}").write_bytes(random.Random(number).randbytes(1_000_000))
    with small_disk(tmp_path / "disk", 64) as disk:
        earlier = take(
            installation, site, akeeba__basic__output_directory=str(disk / "earlier"), backstay__scan__exclude="noise*"
        )
        before = backup_files(installation, earlier)[0].path.read_bytes()
        output = disk / "now"
        backup_id = prepare(installation, site, akeeba__basic__output_directory=str(output))
        filler: list[Path] = []

        def take_it() -> None:
            take_until_full(installation, backup_id, domain, disk, filler)

        if domain == "finale":
            # What is left to write there fits into a block that is begun already, or does not: both ends are honest.
            try:
                take_it()
            except BackstayError:
                error = assert_failed_and_left_nothing(installation, backup_id, output)
                assert "space left" in error
        else:
            with pytest.raises((BackstayError, OSError)):
                take_it()
            error = assert_failed_and_left_nothing(installation, backup_id, output)
            assert "left to write" in error or "no space left" in error or "MiB free" in error
        assert filler
        assert backup_files(installation, earlier)[0].path.read_bytes() == before
        assert get_backup(installation, earlier.id).meta == "ok"


@pytest.mark.parametrize("domain", ["init", "installer", "PackDB", "Packing", "finale"])
def test_a_home_that_is_full_in_any_domain_never_gives_a_backup_that_is_falsely_called_good(
    site: Path, database: str, tmp_path: Path, domain: str
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, open_installation(disk / "home") as installation:
        # While a dump runs beside it, its domain is reported in place of the others.
        backup_id = prepare(installation, site, database if domain == "PackDB" else "none")
        filler: list[Path] = []
        # Even the record may have no space for how it ended.
        with contextlib.suppress(BackstayError, OSError, OperationalError):
            take_until_full(installation, backup_id, domain, disk, filler)
        filler[0].unlink()
        if get_backup(installation, backup_id).status == "run":
            # What could not be noted is done again, as after a death.
            run_job(installation, backup_id)
        if get_backup(installation, backup_id).status == "complete":
            assert_gives_back(installation, backup_id, site, tmp_path / "back")
        else:
            error = assert_failed_and_left_nothing(installation, backup_id)
            assert "no space left" in error or "MiB free" in error


@pytest.mark.mysql
def test_a_disk_that_the_dump_fills_fails_the_backup_with_a_sentence(
    site: Path, tmp_path: Path, mysql_server: MySQLServer, mysql_database: DatabaseAddress
) -> None:
    noise = random.Random(4)
    with mysql_server.connect(mysql_database.name) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x LONGBLOB)")
        for _number in range(75):
            cursor.execute("INSERT INTO t VALUES (%s)", (noise.randbytes(1_000_000),))
        connection.commit()
    with small_disk(tmp_path / "disk", 64) as disk, open_installation(disk / "home") as installation:
        backup_id = prepare(
            installation, site, mysql_database.url(), akeeba__basic__output_directory=str(tmp_path / "out")
        )
        with pytest.raises((BackstayError, OSError)):
            run_job(installation, backup_id)
        error = assert_failed_and_left_nothing(installation, backup_id, tmp_path / "out")
        assert "no space left" in error or "left to write" in error


def test_a_disk_that_fills_up_fails_the_backup_and_leaves_earlier_ones_as_they_were(home: Path, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site")
    with small_disk(tmp_path / "disk", 8) as disk, open_installation(home) as installation:
        first = take(installation, site, akeeba__basic__output_directory=str(disk))
        before = backup_files(installation, first)[0].path.read_bytes()
        (site / "noise").write_bytes(random.Random(1).randbytes(20_000_000))
        state = finish(installation, begin(installation, site, akeeba__basic__output_directory=str(disk)))
        assert "There is no space left to write" in state.error
        assert str(disk) in state.error
        failed = get_backup(installation, state.backup_id)
        assert (failed.status, failed.meta, failed.filesexist) == ("fail", "fail", False)
        assert [path.name for path in disk.iterdir()] == [first.archivename]
        assert backup_files(installation, first)[0].path.read_bytes() == before
        assert [(listed.backup.id, listed.backup.meta) for listed in list_backups(installation)] == [
            (2, "fail"),
            (1, "ok"),
        ]


def test_a_home_on_a_full_disk_fails_the_backup_with_a_sentence(tmp_path: Path) -> None:
    site = make_files(tmp_path / "site")
    (site / "noise").write_bytes(random.Random(1).randbytes(20_000_000))
    with small_disk(tmp_path / "disk", 12) as disk, open_installation(disk / "home") as installation:
        state = finish(installation, begin(installation, site))
        assert "space left" in state.error
        assert list(installation.home.archives.iterdir()) == []
