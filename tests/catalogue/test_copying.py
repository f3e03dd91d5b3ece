"""Copying a catalogue into PostgreSQL: everything, or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import (
    ROOT_KEY,
    Backup,
    Catalogue,
    CopyPart,
    DestinationOptions,
    Finding,
    Home,
    NamedDestination,
    Observation,
    Profile,
    ProofOptions,
    Schedule,
    copying,
    open_catalogue,
)
from backstay.catalogue.counts import Counts
from backstay.databases import DatabaseAddress
from backstay.errors import DatabaseConnectionError, UsageError, VerificationError
from support.catalogues import catalogue_url, use_database
from support.postgresql import PostgreSQLServer

pytestmark = pytest.mark.postgresql

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
MACHINE = "here"


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_WORKER__NAME", MACHINE)


def fill(catalogue: Catalogue, path: Path) -> Backup:
    """Put something into the tables, of every type that they know; return the newest record."""
    profile = catalogue.profiles.create(Profile(0, "Käse \0 \udce9", {ROOT_KEY: str(path)}))
    catalogue.destinations.create(
        NamedDestination(0, "nas", "s3://bucket", {"secret_access_key": "x"}, NOW, DestinationOptions(lock_days=3))
    )
    gone = [catalogue.backups.create(profile_id=1, backupstart=NOW, type="full") for _ in range(700)]
    for backup in gone[600:]:
        catalogue.backups.delete(backup.id)
    plan = catalogue.jobs.encrypted({"a": 1})
    backup = catalogue.backups.create(profile_id=profile.id, backupstart=NOW, type="full", job=plan, tag="t")
    catalogue.backups.update(backup.id, absolute_path="/srv/caf\udce9/\0.jpa", status="complete", backupend=NOW)
    catalogue.backups.update_proof(backup.id, lambda _: {"drill": {"verdict": "failed", "text": "\0\udce9 ü 1.5"}})
    catalogue.backups.add_warnings(backup.id, 1, ["a\0", "b"])
    catalogue.jobs.update(backup.id, checkpoint={"part": 3, "path": "caf\udce9"}, warnings_reported=2)
    catalogue.copies.create(backup.id, "nas", created=NOW, parts=[CopyPart("a\udce9.jpa", 7, started=True)])
    options = ProofOptions(which="rotating")
    schedule = catalogue.schedules.create(
        Schedule(0, profile.id, "verify", "@daily", "UTC", 0, True, False, options, NOW, NOW)
    )
    catalogue.runs.begin(catalogue.runs.create_now(schedule.id, NOW).id, NOW)
    catalogue.alarms.reconcile([Finding("late", "p", "It is late.", "Take one.", NOW, aspects=("a",))], NOW)
    catalogue.observations.begin_round(NOW, timedelta(0))
    catalogue.observations.replace([Observation("disk", "/srv", NOW, NOW, "", {"free": 1})])
    catalogue.counts.keep(Counts(backup.id, profile.id, "full", 1, 1 << 40, 1, 2, "s", holdings={"folder": {"é": 1}}))
    catalogue.tokens.create("monitor", ["read"], NOW)
    return backup


def test_everything_is_there_afterwards_and_the_old_one_is_left(
    own_home: Home, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_catalogue(own_home) as old:
        last = fill(old, tmp_path)
        copied = old.copy_to(own_home, catalogue_url(postgresql_database))
        assert copied["backups"] == old.backups.count() == 601
        before = (old.backups.newest(), old.destinations.all(), old.copies.all(), old.tokens.all())
        rows = old.facts().rows
    use_database(monkeypatch, postgresql_database)
    with open_catalogue(own_home) as new:
        found = (new.backups.newest(), new.destinations.all(), new.copies.all(), new.tokens.all())
        assert found == ([replace(one, machine=MACHINE) for one in before[0]], *before[1:])
        assert {name: count for name, count in new.facts().rows.items() if name != "machines"} == {
            name: count for name, count in rows.items() if name != "machines"
        }
        assert new.backups.warnings(last.id) == [(1, "a\ufffd"), (2, "b")]
        job = new.jobs.get(last.id)
        assert job is not None
        assert (job.plan, job.checkpoint, job.warnings_reported) == ({"a": 1}, {"part": 3, "path": "caf\udce9"}, 2)
        assert [(one.state, one.started) for one in new.runs.waiting()] == [("waiting", NOW)]
        assert [one.subject for one in new.observations.all()] == [f"{MACHINE}:/srv"]
        assert new.backups.create(profile_id=1, backupstart=NOW, type="full").id == last.id + 1
        assert new.profiles.create(Profile(0, "next")).id == 3
        with pytest.raises(UsageError, match="pg_dump"):
            new.copy_to(own_home, catalogue_url(postgresql_database))
    assert own_home.catalogue.exists()


def test_numbers_of_records_that_were_deleted_last_are_not_given_again(
    own_home: Home, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_catalogue(own_home) as old:
        last = old.backups.create(profile_id=1, backupstart=NOW, type="full")
        old.backups.delete(last.id)
        old.copy_to(own_home, catalogue_url(postgresql_database))
    use_database(monkeypatch, postgresql_database)
    with open_catalogue(own_home) as new:
        assert new.backups.create(profile_id=1, backupstart=NOW, type="full").id == last.id + 1


def test_a_database_that_holds_a_catalogue_is_refused(
    own_home: Home, postgresql_database: DatabaseAddress, tmp_path: Path
) -> None:
    url = catalogue_url(postgresql_database)
    with open_catalogue(own_home) as old:
        fill(old, tmp_path)
        old.copy_to(own_home, url)
        with pytest.raises(UsageError, match="holds a catalogue already"):
            old.copy_to(own_home, url)
        with pytest.raises(DatabaseConnectionError, match="can't be reached"):
            old.copy_to(own_home, "postgresql://u@/name?host=/nowhere")


def test_nothing_is_there_where_what_was_read_back_differs(
    own_home: Home,
    postgresql_database: DatabaseAddress,
    postgresql_server: PostgreSQLServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    right = copying._copy

    def wrong(table: Any, *arguments: Any) -> int:
        count = right(table, *arguments)
        if table.name == "tokens":
            arguments[1].exec_driver_sql("UPDATE tokens SET scopes = 'everything'")
        return count

    with open_catalogue(own_home) as old:
        fill(old, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(copying, "_copy", wrong)
            with pytest.raises(VerificationError, match="table tokens"):
                old.copy_to(own_home, catalogue_url(postgresql_database))
        assert postgresql_server.execute("SELECT count(*) FROM backups", postgresql_database.name) == [(0,)]
        assert old.copy_to(own_home, catalogue_url(postgresql_database))["tokens"] == 1
