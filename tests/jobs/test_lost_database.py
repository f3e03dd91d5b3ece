"""Databases that go away while they are dumped, at any byte of what they answer."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backstay.databases import DatabaseAddress
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation
from backstay.jobs.records import delete_backup, get_backup
from backstay.jobs.worker import run_job
from support.backups import assert_failed_and_left_nothing, make_files
from support.jobs import prepare
from support.mysql import MySQLServer
from support.postgresql import PostgreSQLServer
from support.proxies import CuttingProxy

EVERYTHING = 1 << 40


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for sockets: their paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="bscut") as path:
        yield Path(path)


def rows(table: str, number: int = 1500) -> str:
    values = ", ".join(f"({row}, '{'text ' * 40}')" for row in range(number))
    return f"INSERT INTO {table} VALUES {values}"


def taken(
    installation: Installation, site: Path, backup_type: str, proxy: CuttingProxy, address: DatabaseAddress
) -> str:
    """Take a backup through a proxy; return how it ended, after a look at what a failed one left."""
    backup_id = prepare(installation, site, address.url(), akeeba__basic__backup_type=backup_type)
    try:
        run_job(installation, backup_id)
    except BackstayError:
        error = assert_failed_and_left_nothing(installation, backup_id)
        assert "did not expect" not in error
    finally:
        proxy.close()
    status = get_backup(installation, backup_id).status
    delete_backup(installation, backup_id)
    return status


def moments(answered: int) -> Sequence[int]:
    """Return after how many bytes the server goes away: at the log-in, in the lists, in the rows, near the end."""
    chance = random.Random(answered)
    anywhere = [chance.randrange(answered) for _number in range(4)]
    return sorted([0, 50, 1000, 5000, *anywhere, answered * 19 // 20])


@pytest.mark.mysql
@pytest.mark.parametrize("backup_type", ["full", "dbonly"])
def test_a_mysql_server_that_goes_away_in_any_phase_fails_the_backup_with_a_sentence(
    installation: Installation,
    tmp_path: Path,
    folder: Path,
    mysql_server: MySQLServer,
    mysql_database: DatabaseAddress,
    backup_type: str,
) -> None:
    site = make_files(tmp_path / "site", count=5)
    # The view and the routine are asked for before, between and behind the rows.
    mysql_server.execute(
        [
            "CREATE TABLE a (x INT PRIMARY KEY, y TEXT)",
            "CREATE TABLE b (x INT PRIMARY KEY, y TEXT)",
            rows("a"),
            rows("b"),
            "CREATE VIEW v AS SELECT x FROM a",
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.x = NEW.x + 1",
            "CREATE PROCEDURE p() SELECT 1",
        ],
        mysql_database.name,
    )

    def run(after: int) -> tuple[str, int]:
        proxy = CuttingProxy(mysql_server.socket, folder / str(after), after)
        status = taken(installation, site, backup_type, proxy, replace(mysql_database, socket=str(proxy.path)))
        return status, proxy.passed

    status, answered = run(EVERYTHING)
    assert status == "complete"
    assert [(after, run(after)[0]) for after in moments(answered)] == [(after, "fail") for after in moments(answered)]


@pytest.mark.postgresql
@pytest.mark.parametrize("backup_type", ["full", "dbonly"])
def test_a_postgresql_server_that_goes_away_in_any_phase_fails_the_backup_with_a_sentence(
    installation: Installation,
    tmp_path: Path,
    folder: Path,
    postgresql_server: PostgreSQLServer,
    postgresql_database: DatabaseAddress,
    backup_type: str,
) -> None:
    if not postgresql_database.socket:
        pytest.skip("the PostgreSQL server of these tests listens on no socket")
    site = make_files(tmp_path / "site", count=5)
    postgresql_server.execute(
        [
            "CREATE TABLE a (x INT PRIMARY KEY, y TEXT)",
            "CREATE TABLE b (x INT PRIMARY KEY REFERENCES a, y TEXT)",
            rows("a"),
            rows("b"),
            "CREATE VIEW v AS SELECT x FROM a",
        ],
        postgresql_database.name,
    )
    name = f".s.PGSQL.{postgresql_database.port or 5432}"

    def run(after: int) -> tuple[str, int]:
        place = folder / str(after)
        place.mkdir()
        proxy = CuttingProxy(f"{postgresql_database.socket}/{name}", place / name, after)
        status = taken(installation, site, backup_type, proxy, replace(postgresql_database, socket=str(place)))
        return status, proxy.passed

    status, answered = run(EVERYTHING)
    assert status == "complete"
    assert [(after, run(after)[0]) for after in moments(answered)] == [(after, "fail") for after in moments(answered)]
