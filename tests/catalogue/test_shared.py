"""A catalogue in PostgreSQL: errors in one sentence, a database that goes away, and several processes at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from backstay.catalogue import (
    Catalogue,
    Finding,
    Home,
    Profile,
    ProofOptions,
    Recipient,
    RecipientOptions,
    Schedule,
    open_catalogue,
    open_home,
)
from backstay.databases import DatabaseAddress
from backstay.errors import ConfigurationError, DatabaseConnectionError, UsageError
from support.catalogues import VARIABLE, catalogue_url, use_database
from support.links import Link
from support.postgresql import PostgreSQLServer

pytestmark = pytest.mark.postgresql

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AT_ONCE = 3
PATIENCE = 60.0


@pytest.fixture
def shared_home(home: Path, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose catalogue is in an empty database."""
    use_database(monkeypatch, postgresql_database)
    return open_home(home)


@pytest.fixture
def shared(shared_home: Home) -> Iterator[Catalogue]:
    """Its catalogue."""
    with open_catalogue(shared_home) as opened:
        yield opened


@pytest.fixture
def link(postgresql_database: DatabaseAddress) -> Iterator[Link]:
    """A way to the database that can be cut."""
    made = Link(postgresql_database)
    yield made
    made.close()


def in_processes(home: Home, code: str) -> list[Any]:
    """Run code in several processes at once, with the catalogue open in each; return what each gave, read from JSON."""
    program = f"""
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from backstay.catalogue import *
from backstay.errors import BackstayError
NOW = datetime.fromisoformat({NOW.isoformat()!r})
catalogue = open_catalogue(open_home(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
def work():
{"".join(f"    {line}{chr(10)}" for line in code.strip().splitlines())}
try:
    print(json.dumps(work()))
except BackstayError as error:
    print(json.dumps(type(error).__name__))
"""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, str(home.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(AT_ONCE)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in processes]


def add_schedule(catalogue: Catalogue) -> Schedule:
    catalogue.profiles.create_first()
    options = ProofOptions()
    return catalogue.schedules.create(Schedule(0, 1, "backup", "@daily", "UTC", 0, True, False, options, NOW, NOW))


def add_recipient(catalogue: Catalogue) -> int:
    options = RecipientOptions()
    return catalogue.recipients.create(Recipient(0, "ops", "https://x.example", "", (), options, NOW)).id


def test_processes_that_start_at_once_over_an_empty_database_agree(shared_home: Home) -> None:
    assert in_processes(shared_home, "return catalogue.profiles.names()") == [[[1, "Default Backup Profile"]]] * AT_ONCE


def test_a_due_moment_has_one_run_and_a_run_one_backup(shared: Catalogue, shared_home: Home) -> None:
    add_schedule(shared)
    code = """
(times,) = catalogue.schedules.times()
(run,) = catalogue.runs.create_all([(times, NOW + timedelta(days=1), "")], NOW + timedelta(days=1))
return None if run is None else run.id
"""
    made = [number for number in in_processes(shared_home, code) if number is not None]
    assert len(made) == 1
    (run,) = shared.runs.waiting()
    code = f"return catalogue.backups.create(profile_id=1, backupstart=NOW, type='full', run_id={run.id}).id"
    answers = in_processes(shared_home, code)
    assert answers.count("BackupRunningError") == AT_ONCE - 1
    assert [backup.id for backup in shared.backups.newest()] == [one for one in answers if isinstance(one, int)]


def test_a_run_made_by_hand_is_made_once(shared: Catalogue, shared_home: Home) -> None:
    schedule = add_schedule(shared)
    assert len(set(in_processes(shared_home, f"return catalogue.runs.create_now({schedule.id}, NOW).id"))) == 1


def test_a_message_is_made_once_and_claimed_by_one(shared: Catalogue, shared_home: Home) -> None:
    number = add_recipient(shared)
    made = in_processes(shared_home, f"return catalogue.deliveries.create('late:1', 'late', [({number}, {{}})], NOW)")
    assert sorted(map(len, made)) == [0] * (AT_ONCE - 1) + [1]
    (delivery,) = shared.deliveries.due(NOW)
    claimed = in_processes(shared_home, f"return catalogue.deliveries.claim({delivery}, NOW) is not None")
    assert sorted(claimed) == [False] * (AT_ONCE - 1) + [True]


def test_an_alarm_is_opened_once(shared: Catalogue, shared_home: Home) -> None:
    in_processes(
        shared_home,
        """
found = [Finding("late", f"profile {n}", "It is late.", "Take one.", NOW) for n in range(20)]
catalogue.alarms.reconcile(found, NOW)
""",
    )
    assert len(shared.alarms.of(closed=True)) == len(shared.alarms.untold()) == 20
    shared.alarms.reconcile([Finding("late", "profile 1", "It is late.", "Take one.", NOW)], NOW)
    assert [one.subject for one in shared.alarms.of()] == ["profile 1"]


def test_what_several_know_of_a_proof_is_kept_of_each(shared: Catalogue, shared_home: Home) -> None:
    backup = shared.backups.create(profile_id=1, backupstart=NOW, type="full")
    code = f"""
for _ in range(10):
    catalogue.backups.update_proof({backup.id}, lambda proof: {{**proof, "count": proof.get("count", 0) + 1}})
"""
    in_processes(shared_home, code)
    found = shared.backups.get(backup.id)
    assert found is not None
    assert found.proof == {"count": 10 * AT_ONCE}


def test_a_name_is_given_once_and_a_round_is_begun_by_one(shared: Catalogue, shared_home: Home) -> None:
    answers = in_processes(shared_home, "return catalogue.tokens.create('monitor', ['read'], NOW)")
    assert answers.count("UsageError") == AT_ONCE - 1
    rounds = in_processes(shared_home, "return catalogue.observations.begin_round(NOW, timedelta(minutes=15))")
    assert rounds.count(True) == 1
    assert len(shared.tokens.all()) == 1


def test_texts_that_postgresql_cannot_hold_do_no_harm(shared: Catalogue) -> None:
    shared.profiles.create(Profile(0, "a\0b \udce9 \U0001f4a3"))
    assert shared.profiles.names()[-1][1] == "a\ufffdb \\udce9 \U0001f4a3"
    assert shared.backups.find("id-\0") is None
    backup = shared.backups.create(profile_id=1, backupstart=NOW, type="full", tag="t\0")
    proof = {"drill": {"verdict": "failed", "at": NOW.isoformat(), "why": "\0 \udce9"}}
    shared.backups.update_proof(backup.id, lambda _proof: proof)
    found = shared.backups.get(backup.id)
    assert found is not None
    assert (found.tag, found.proof) == ("t\ufffd", proof)
    (activity,) = [one for one in shared.activity.between(NOW, NOW + timedelta(days=1)) if one.profile_id == 1]
    assert activity.disproven == 1
    with pytest.raises(UsageError, match="too long"):
        shared.tokens.create("n" * 300, [], NOW)


def test_a_reader_sees_one_moment(shared: Catalogue) -> None:
    shared.backups.create(profile_id=1, backupstart=NOW, type="full")
    with shared.figures._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM backups").scalar() == 1
        shared.backups.create(profile_id=1, backupstart=NOW, type="full")
        assert connection.exec_driver_sql("SELECT count(*) FROM backups").scalar() == 1


def test_the_setting_is_read_from_the_file_and_the_environment_counts_more(
    home: Path, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_home(home)
    opened.configuration.write_text(f'[catalogue]\nurl = "{catalogue_url(postgresql_database)}"\n')
    with open_catalogue(opened) as catalogue:
        assert catalogue.is_shared
        assert catalogue.place.endswith(f"/{postgresql_database.name}")
    assert not opened.catalogue.exists()
    monkeypatch.setenv(VARIABLE, "mysql://user:Geheim@host/name")
    with pytest.raises(ConfigurationError, match="postgresql://") as refused:
        open_catalogue(opened)
    assert "Geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"name": "nowhere"}, ConfigurationError, "There is no database for the catalogue"),
        ({"user": "nobody_here"}, ConfigurationError, "refuses the log-in"),
        ({"socket": "/nowhere"}, DatabaseConnectionError, "can't be reached"),
    ],
)
def test_a_database_that_can_not_be_opened_is_named_without_its_password(
    shared_home: Home,
    postgresql_server: PostgreSQLServer,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    error: type[Exception],
    said: str,
) -> None:
    address = postgresql_server.address("postgres")
    use_database(monkeypatch, replace(address, password="Geheim", **change))  # type: ignore[arg-type]  # texts
    with pytest.raises(error, match=said) as refused:
        open_catalogue(shared_home)
    assert "Geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_away_is_named_and_waited_for_by_who_has_patience(
    shared_home: Home, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_database(monkeypatch, link.address)
    link.cut()
    with pytest.raises(DatabaseConnectionError, match=f"127.0.0.1:{link.address.port}/"):
        open_catalogue(shared_home)
    mending = threading.Timer(1.0, link.mend)
    mending.start()
    with open_catalogue(shared_home, patience=PATIENCE) as catalogue:
        link.cut()
        with pytest.raises(DatabaseConnectionError, match="catalogue"):
            catalogue.patient(0.0).backups.newest()
        threading.Timer(1.0, link.mend).start()
        begun = time.monotonic()
        backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
        assert time.monotonic() - begun < PATIENCE
        assert [one.id for one in catalogue.backups.newest()] == [backup.id]


def test_connections_that_the_server_closed_are_made_anew(
    shared: Catalogue, postgresql_server: PostgreSQLServer, postgresql_database: DatabaseAddress
) -> None:
    shared.profiles.names()
    for _ in range(2):
        postgresql_server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{postgresql_database.name}' AND pid <> pg_backend_pid()"
        )
        assert shared.profiles.names() == [(1, "Default Backup Profile")]


@pytest.mark.parametrize("moment", ["commit", "begin"])
def test_what_was_lost_on_the_way_is_done_once(
    shared_home: Home, link: Link, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    use_database(monkeypatch, link.address)
    with open_catalogue(shared_home, patience=PATIENCE) as catalogue:
        event.listen(catalogue._engine, moment, lambda _connection: link.lose_replies(), once=True)
        backup = catalogue.backups.create(profile_id=1, backupstart=NOW, type="full")
        assert [one.id for one in catalogue.backups.newest()] == [backup.id]
