"""The catalogue: what is kept, and that it is kept safe."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from backstay.catalogue import (
    Catalogue,
    CopyPart,
    DestinationOptions,
    Home,
    NamedDestination,
    NamedRepository,
    Profile,
    SnapshotPart,
    SnapshotRow,
    open_catalogue,
)
from backstay.catalogue.location import catalogue_url
from backstay.catalogue.schema import metadata
from backstay.errors import ConfigurationError, NotFoundError, UsageError
from backstay.profiles import SITE_ROOT, Filters

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@contextmanager
def raw_connection(home: Home) -> Iterator[sqlalchemy.Connection]:
    """Give a connection to the database of a home's catalogue that knows nothing of Backstay's customs."""
    url = catalogue_url(home).replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{home.catalogue}"
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def raw_content(home: Home) -> str:
    """Return everything that the tables of a catalogue hold, as text."""
    with raw_connection(home) as connection:
        tables = sqlalchemy.MetaData()
        tables.reflect(connection)
        rows = [row for table in tables.sorted_tables for row in connection.execute(sqlalchemy.select(table))]
    file = home.catalogue.read_bytes() if home.catalogue.exists() else b""
    return repr([[bytes(cell) if isinstance(cell, memoryview) else cell for cell in row] for row in rows]) + repr(file)


def test_the_migrations_make_just_the_tables_of_the_schema(catalogue: Catalogue, opened_home: Home) -> None:
    assert catalogue.profiles.names()
    with raw_connection(opened_home) as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_profile_1_always_exists(catalogue: Catalogue) -> None:
    assert catalogue.profiles.names() == [(1, "Default Backup Profile")]


def test_a_profile_comes_back_as_it_was_stored(catalogue: Catalogue) -> None:
    filters = Filters().with_node("files", SITE_ROOT, "caf\udce9.txt")
    stored = catalogue.profiles.create(Profile(0, "Käse", {"a.b": "c"}, filters, quickicon=False))
    assert stored.id == 2
    assert catalogue.profiles.get(2) == stored
    catalogue.profiles.save(stored.with_values({"a.b": "d"}))
    assert catalogue.profiles.get(2).configuration == {"a.b": "d"}
    assert catalogue.profiles.delete(2)
    with pytest.raises(NotFoundError, match="profile 2"):
        catalogue.profiles.get(2)
    with pytest.raises(NotFoundError, match="profile 2"):
        catalogue.profiles.save(stored)


def test_secrets_of_profiles_and_jobs_are_not_in_the_files(catalogue: Catalogue, opened_home: Home) -> None:
    catalogue.profiles.create(Profile(0, "x", {"backstay.site.database": "mysql://u:Geheim123@h/d"}))
    plan = catalogue.jobs.encrypted({"values": {"engine.archiver.jps.key": "Geheim456"}})
    backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full", job=plan)
    assert "Geheim" not in raw_content(opened_home)
    job = catalogue.jobs.get(backup.id)
    assert job is not None
    assert job.plan == {"values": {"engine.archiver.jps.key": "Geheim456"}}
    assert "Geheim" not in repr(job) + repr(catalogue.profiles.all())
    catalogue.jobs.wipe(backup.id)
    assert catalogue.jobs.get(backup.id).plan == {}  # type: ignore[union-attr]  # it was there a line before


def test_a_catalogue_with_another_key_says_so(catalogue: Catalogue, opened_home: Home) -> None:
    catalogue.close()
    opened_home.key.write_bytes(b"x" * 32)
    with open_catalogue(opened_home) as opened, pytest.raises(ConfigurationError, match="another key"):
        opened.profiles.get(1)


def test_a_damaged_key_is_named(catalogue: Catalogue, opened_home: Home) -> None:
    catalogue.close()
    opened_home.key.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="key file"):
        open_catalogue(opened_home)


def test_a_damaged_file_is_named(own_home: Home) -> None:
    open_catalogue(own_home).close()
    for path in own_home.path.glob("catalogue.sqlite-*"):
        path.unlink()
    own_home.catalogue.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match=r"catalogue\.sqlite is damaged"):
        open_catalogue(own_home)


def test_a_catalogue_of_a_newer_version_is_left_alone(catalogue: Catalogue, opened_home: Home) -> None:
    catalogue.close()
    with raw_connection(opened_home) as connection:
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN paused")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(ConfigurationError, match="newer version"):
        open_catalogue(opened_home)


def test_records_are_listed_newest_first_in_pages(catalogue: Catalogue) -> None:
    for _number in range(5):
        catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
    assert [backup.id for backup in catalogue.backups.newest()] == [5, 4, 3, 2, 1]
    assert [backup.id for backup in catalogue.backups.newest(1, 2)] == [4, 3]
    assert [backup.id for backup in catalogue.backups.newest(3)] == [2, 1]
    assert catalogue.backups.newest(0, 0) == []


def test_numbers_of_deleted_records_are_not_given_again(catalogue: Catalogue) -> None:
    first = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
    assert catalogue.backups.delete(first.id)
    assert catalogue.backups.create(profile_id=1, backupstart=NOW, type="full").id == first.id + 1
    assert not catalogue.backups.delete(first.id)


def test_paths_that_are_not_utf8_survive(catalogue: Catalogue) -> None:
    backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
    catalogue.backups.update(backup.id, absolute_path="/srv/caf\udce9/a.jpa")
    found = catalogue.backups.get(backup.id)
    assert found is not None
    assert found.absolute_path == "/srv/caf\udce9/a.jpa"
    assert catalogue.backups.newest_with_path(["/srv/caf\udce9/a.jpa"]) == {"/srv/caf\udce9/a.jpa": backup.id}


def test_warnings_are_numbered_and_go_with_their_record(catalogue: Catalogue) -> None:
    backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
    catalogue.backups.add_warnings(backup.id, 1, ["a", "b"])
    catalogue.backups.add_warnings(backup.id, 3, ["c"])
    assert catalogue.backups.warnings(backup.id, 1) == [(2, "b"), (3, "c")]
    catalogue.backups.delete(backup.id)
    assert catalogue.backups.warnings(backup.id) == []


def test_two_processes_that_start_at_once_agree_on_one_catalogue(opened_home: Home) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            with open_catalogue(opened_home) as opened:
                opened.profiles.get(1)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_writers_wait_for_their_turn(catalogue: Catalogue) -> None:
    def write() -> None:
        for _number in range(20):
            catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")

    threads = [threading.Thread(target=write) for _number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalogue.backups.count() == 100


def _destination(name: str = "nas") -> NamedDestination:
    return NamedDestination(
        0, name, "s3://bucket/prefix", {"secret_access_key": "Geheim789"}, NOW, DestinationOptions(lock_days=3)
    )


def test_a_destination_comes_back_as_it_was_stored_and_its_secrets_are_encrypted(
    catalogue: Catalogue, opened_home: Home
) -> None:
    stored = catalogue.destinations.create(_destination())
    assert catalogue.destinations.get("nas") == stored
    assert "Geheim" not in repr(stored)
    assert "Geheim" not in raw_content(opened_home)
    with pytest.raises(UsageError, match="named nas already"):
        catalogue.destinations.create(_destination())
    catalogue.destinations.save(replace(stored, url="s3://other", options=DestinationOptions(bandwidth=5)))
    assert [(one.url, one.options.bandwidth) for one in catalogue.destinations.all()] == [("s3://other", 5)]
    catalogue.destinations.delete("nas")
    with pytest.raises(NotFoundError, match="'nas'"):
        catalogue.destinations.get("nas")


def test_a_repository_comes_back_as_it_was_stored_and_its_secret_is_encrypted(
    catalogue: Catalogue, opened_home: Home
) -> None:
    catalogue.destinations.create(_destination())
    here = catalogue.repositories.create(NamedRepository(0, "here", "", "", "", NOW))
    secret = "5ec2e7" * 10
    there = catalogue.repositories.create(NamedRepository(0, "there", "nas", "repositories/there/", secret, NOW))
    assert catalogue.repositories.all() == [here, there]
    assert catalogue.repositories.get("there") == there
    assert catalogue.repositories.at("nas") == [there]
    assert secret not in repr(there)
    assert secret not in raw_content(opened_home)
    with pytest.raises(UsageError, match="named here already"):
        catalogue.repositories.create(NamedRepository(0, "here", "", "", "", NOW))
    with pytest.raises(NotFoundError, match="nowhere"):
        catalogue.repositories.create(NamedRepository(0, "x", "nowhere", "", "", NOW))
    catalogue.repositories.delete("there")
    for forget in (catalogue.repositories.get, catalogue.repositories.delete):
        with pytest.raises(NotFoundError, match="'there'"):
            forget("there")


def test_a_snapshot_is_kept_with_its_backup_and_goes_with_it_or_with_its_repository(catalogue: Catalogue) -> None:
    for name in ("here", "there"):
        catalogue.repositories.create(NamedRepository(0, name, "", "", "", NOW))
    first, second, third = (catalogue.backups.create(profile_id=1, backupstart=NOW, type="full").id for _ in range(3))
    for number in (first, second, third):
        catalogue.backups.update(number, filesexist=True)
    parts = (SnapshotPart("a\udce9.j01", 5 << 30), SnapshotPart("a\udce9.jpa", 7))
    row = SnapshotRow(first, "here", "0123456789abcdef", {"format": "jpa", "part_size": 5 << 30}, parts, 3 << 30)
    catalogue.snapshots.create(row)
    catalogue.snapshots.create(replace(row, backup_id=second, snapshot="1" * 16))
    catalogue.snapshots.create(replace(row, backup_id=second, snapshot="2" * 16, parts=(), form={}))
    catalogue.snapshots.create(replace(row, backup_id=third, repository="there"))
    assert catalogue.snapshots.of(first) == row
    assert [found.snapshot for found in catalogue.snapshots.at("here")] == [row.snapshot, "2" * 16]
    assert sorted(catalogue.snapshots.of_many([first, third, 99])) == [first, third]
    assert catalogue.snapshots.of_many([]) == {}
    with pytest.raises(NotFoundError, match="nowhere"):
        catalogue.snapshots.create(replace(row, repository="nowhere"))
    assert catalogue.snapshots.delete(first)
    assert not catalogue.snapshots.delete(first)
    catalogue.backups.delete(second)
    catalogue.repositories.delete("there")
    assert catalogue.snapshots.of_many([first, second, third]) == {}
    exist = [(backup.id, backup.filesexist) for backup in catalogue.backups.newest(status="run")]
    assert exist == [(third, False), (first, False)]


def test_a_copy_is_kept_part_by_part_and_goes_with_its_record(catalogue: Catalogue) -> None:
    catalogue.destinations.create(_destination("nas"))
    catalogue.destinations.create(_destination("cloud"))
    backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
    parts = (CopyPart("a\udce9.j01"), CopyPart("a\udce9.jpa", 7, "f" * 64, {"sha256": "00"}, "token", started=True))
    copy = catalogue.copies.create(backup.id, "nas", created=NOW, parts=parts, locked_until=NOW)
    assert (copy.parts, copy.state, copy.destination, copy.locked_until) == (parts, "sending", "nas", NOW)
    catalogue.copies.update_part(copy.id, "a\udce9.j01", resume="other", started=True)
    catalogue.copies.update(copy.id, state="stored", sent_at=NOW, proven_at=NOW, proven_how="sha256")
    found = catalogue.copies.find(backup.id, "nas")
    assert found is not None
    assert (found.parts[0].resume, found.state, found.proven_at) == ("other", "stored", NOW)
    assert catalogue.copies.find(backup.id, "cloud") is None
    assert catalogue.copies.at("nas") == catalogue.copies.of(backup.id) == catalogue.copies.all(state="stored")
    with pytest.raises(NotFoundError, match="'nowhere'"):
        catalogue.copies.create(backup.id, "nowhere", created=NOW)
    catalogue.backups.delete(backup.id)
    assert catalogue.copies.all() == []


def test_a_catalogue_of_the_version_before_is_brought_up_to_date(own_home: Home) -> None:
    with open_catalogue(own_home) as catalogue:
        backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full", description="kept")
    with closing(sqlite3.connect(own_home.catalogue)) as connection:
        later = ("copy_parts", "copies", "destinations", "runs", "schedules", "alarms", "deliveries", "recipients")
        newest = ("repositories", "passkeys", "sessions", "invitations", "users", "journal", "tasks")
        fleet = ("snapshots", "token_groups", "user_groups", "remote_runs", "sites", "groups")
        for table in ("machines", "workers", *fleet, *newest, *later, "counts", "unproven", "observations"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("ALTER TABLE jobs DROP COLUMN paused")
        for table in ("profiles", "backups"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN machine")
        connection.execute("DROP INDEX ix_backups_profile_id_status")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    with open_catalogue(own_home) as catalogue:
        assert catalogue.backups.get(backup.id).description == "kept"  # type: ignore[union-attr]  # made above
        assert (catalogue.destinations.all(), catalogue.copies.all()) == ([], [])
