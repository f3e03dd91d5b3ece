"""Alarms opened and closed by what really happens to sites, backups, storages and disks."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backstay.catalogue import Alarm, AlarmChange, Backup, Connection, DestinationOptions, NewSite, Profile, Site
from backstay.errors import BackstayError
from backstay.jobs.alarms import check
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.profiles import create_profile, delete_profile, edit_profile, profile_of_site
from backstay.jobs.schedules import add_schedule, look_up, pause_schedule, resume_schedule, timing_of
from backstay.jobs.storage import add_destination
from backstay.jobs.verification import verify_backup
from backstay.jobs.worker import run_job
from backstay.restore import DrillReport
from backstay.schedules import next_due
from backstay.steps import finished
from support.jobs import prepare


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    """A fresh installation."""
    with open_installation(home) as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with an upload folder and a cache."""
    root = tmp_path / "site"
    for name in ("wp-content/uploads/2026", "wp-content/cache", "wp-content/themes"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            (root / name / f"file-{number}.txt").write_text(f"{name} {number}")
    (root / "index.php").write_text("<?php")
    return root


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A SQLite database beside the site."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE posts (x TEXT)")
        connection.execute("CREATE TABLE session (x TEXT)")
        connection.executemany("INSERT INTO posts VALUES (?)", [(f"post {number}",) for number in range(30)])
        connection.executemany("INSERT INTO session VALUES (?)", [("s",)] * 20)
        connection.commit()
    return path


def take(installation: Installation, site: Path, database: str = "none", **overrides: str) -> Backup:
    """Take a backup within this process; return its record, however it ended."""
    number = prepare(installation, site, database, **overrides)
    with suppress(BackstayError):
        run_job(installation, number)
    backup = installation.catalogue.backups.get(number)
    assert backup is not None
    return backup


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


def open_kinds(installation: Installation, at: datetime | None = None) -> dict[str, Alarm]:
    """Check, and return the alarms that are not closed by their kinds."""
    check(installation, at or now(), look=True)
    return {alarm.kind: alarm for alarm in installation.catalogue.alarms.of()}


def execute(database: Path, *statements: str) -> None:
    """Change a SQLite database."""
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_an_unmounted_upload_folder_is_suspicious_from_the_first_backup_until_its_files_are_back(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    take(installation, site)
    assert open_kinds(installation) == {}
    (site / "wp-content/uploads").rename(tmp_path / "elsewhere")
    (site / "wp-content/uploads").mkdir()
    for file in (site / "wp-content/cache").iterdir():
        file.unlink()
    second = take(installation, site)
    found = open_kinds(installation)
    assert set(found) == {"suspicious"}
    assert "the folder wp-content/uploads holds nothing, and held 3 files in backup 1" in found["suspicious"].message
    assert found["suspicious"].backup_id == second.id
    assert "cache" not in found["suspicious"].message
    # It does not become usual by lasting.
    take(installation, site)
    assert open_kinds(installation)["suspicious"].id == found["suspicious"].id
    (site / "wp-content/uploads").rmdir()
    (tmp_path / "elsewhere").rename(site / "wp-content/uploads")
    take(installation, site)
    assert open_kinds(installation) == {}
    assert [alarm.state for alarm in installation.catalogue.alarms.of(closed=True)] == ["closed"]


def test_an_emptied_database_is_suspicious_at_once_and_an_acknowledged_alarm_that_becomes_worse_is_open_again(
    installation: Installation, site: Path, database: Path
) -> None:
    url = f"sqlite:///{database}"
    take(installation, site, url)
    execute(database, "DELETE FROM session", "CREATE TABLE other AS SELECT * FROM posts", "DELETE FROM posts")
    take(installation, site, url)
    found = open_kinds(installation)["suspicious"]
    assert "the table site.sql/posts holds nothing, and held 30 rows in backup 1" in found.message
    assert "session" not in found.message
    installation.catalogue.alarms.acknowledge(found.id, now())
    assert open_kinds(installation)["suspicious"].state == "acknowledged"
    execute(database, "DELETE FROM other")
    take(installation, site, url)
    changes = check(installation, now())
    worse = installation.catalogue.alarms.get(found.id)
    assert [change.change for change in changes] == ["worsened"]
    assert (worse.state, "the database site.sql holds nothing" in worse.message) == ("open", True)
    execute(database, "INSERT INTO posts VALUES ('again')", "INSERT INTO other VALUES ('again')")
    take(installation, site, url)
    assert "holds nothing" not in "".join(alarm.message for alarm in open_kinds(installation).values())


def test_an_emptied_sqlite_database_that_is_archived_in_its_place_is_suspicious_too(
    installation: Installation, site: Path, database: Path
) -> None:
    database.rename(site / "shop.db")
    take(installation, site)
    execute(site / "shop.db", "DELETE FROM posts", "DELETE FROM session")
    take(installation, site)
    found = open_kinds(installation)["suspicious"]
    assert "the database shop.db holds nothing, and held 50 rows in backup 1" in found.message


def test_a_failed_backup_is_an_alarm_until_a_later_one_is_complete(
    installation: Installation, site: Path, database: Path
) -> None:
    database.rename(database.with_suffix(".away"))
    failed = take(installation, site, f"sqlite:///{database}")
    assert failed.status == "fail"
    found = open_kinds(installation)["failed"]
    assert (found.backup_id, "there is no good one" in found.message) == (failed.id, True)
    database.with_suffix(".away").rename(database)
    take(installation, site, f"sqlite:///{database}")
    assert open_kinds(installation) == {}


def test_a_profile_with_an_interval_is_late_when_it_and_the_grace_are_over(
    installation: Installation, site: Path
) -> None:
    profile = profile_of_site(installation, site, "none")
    taken = take(installation, site)
    assert open_kinds(installation, now() + timedelta(days=9)) == {}
    edit_profile(installation, profile.id, values={"backstay.alarms.expected_every": "24"})
    assert open_kinds(installation, taken.backupstart + timedelta(hours=26)) == {}
    found = open_kinds(installation, taken.backupstart + timedelta(hours=28))["late"]
    assert found.since == taken.backupstart + timedelta(hours=24)
    take(installation, site)
    assert open_kinds(installation) == {}


def test_a_profile_is_late_after_a_due_time_of_its_schedule_unless_it_is_paused_or_changed_since(
    installation: Installation, site: Path
) -> None:
    profile = profile_of_site(installation, site, "none")
    made = now()
    schedule = add_schedule(installation, profile.id, at="0 3 * * *", time_zone="Europe/Berlin", now=made)
    due = next_due(timing_of(schedule), made)
    assert due is not None
    # A run that was made and came to nothing is no backup.
    look_up(installation, due + timedelta(minutes=1))
    assert open_kinds(installation, due + timedelta(hours=3)) == {}
    assert open_kinds(installation, due + timedelta(hours=3, minutes=1))["late"].since == due
    pause_schedule(installation, schedule.id)
    assert open_kinds(installation, due + timedelta(hours=4)) == {}
    # What was due while it was paused is none of its business.
    resume_schedule(installation, schedule.id, due + timedelta(hours=5))
    assert open_kinds(installation, due + timedelta(hours=9)) == {}
    assert open_kinds(installation, due + timedelta(hours=28))["late"].since == due + timedelta(days=1)
    take(installation, site)
    assert open_kinds(installation) == {}


def test_more_warnings_than_usual_are_an_alarm_as_long_as_they_last(installation: Installation, site: Path) -> None:
    take(installation, site)
    os.mkfifo(site / "pipe")
    for _ in range(3):
        assert take(installation, site).warning_count == 1
        assert "with 1 warning" in open_kinds(installation)["warnings"].message
    (site / "pipe").unlink()
    take(installation, site)
    assert open_kinds(installation) == {}


def test_much_less_or_much_more_than_usual_and_no_change_at_all_are_suspicious(
    installation: Installation, site: Path, database: Path
) -> None:
    profile = profile_of_site(installation, site, "none")
    edit_profile(installation, profile.id, values={"backstay.alarms.unchanged": "2"})
    for _ in range(3):
        take(installation, site)
    assert "no row has changed in 3 backups" in open_kinds(installation)["suspicious"].message
    for number in range(60):
        (site / f"more-{number}.txt").write_text("x" * 1000)
    take(installation, site)
    grown = open_kinds(installation)["suspicious"].message
    assert "entries, and" in grown
    assert "has changed" not in grown
    for number in range(60):
        (site / f"more-{number}.txt").unlink()
    take(installation, site)
    assert open_kinds(installation) == {}


def test_a_storage_that_is_gone_and_a_copy_that_did_not_arrive_are_alarms_until_they_are_there(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    nas = tmp_path / "nas"
    nas.mkdir()
    add_destination(installation, "nas", f"folder://{nas}", {}, DestinationOptions())
    profile = profile_of_site(installation, site, "none")
    edit_profile(installation, profile.id, values={"backstay.storage.destinations": "nas"})
    nas.rename(tmp_path / "away")
    take(installation, site, backstay__storage__patience="0")
    found = open_kinds(installation)
    assert {"storage", "copy"} <= set(found)
    assert "has arrived at nas" in found["copy"].message
    (tmp_path / "away").rename(nas)
    take(installation, site)
    assert open_kinds(installation) == {}


def test_an_archive_that_was_removed_by_hand_is_missed(installation: Installation, site: Path) -> None:
    taken = take(installation, site)
    content = Path(taken.absolute_path).read_bytes()
    Path(taken.absolute_path).unlink()
    assert "no storage has a copy" in open_kinds(installation)["copy"].message
    Path(taken.absolute_path).write_bytes(content)
    assert open_kinds(installation) == {}


def test_a_disk_with_less_room_than_the_setting_asks_for_is_an_alarm(installation: Installation, site: Path) -> None:
    profile = profile_of_site(installation, site, "none")
    edit_profile(installation, profile.id, values={"backstay.alarms.free_space": "99"})
    take(installation, site)
    found = open_kinds(installation)["disk"]
    assert str(installation.home.path) in found.message
    edit_profile(installation, profile.id, values={"backstay.alarms.free_space": "0"})
    edit_profile(installation, 1, values={"backstay.alarms.free_space": "0"})
    assert open_kinds(installation) == {}


def test_a_drill_that_failed_and_damage_that_a_verification_found_are_alarms_until_they_pass(
    installation: Installation, site: Path
) -> None:
    taken = take(installation, site)
    archive = Path(taken.absolute_path)
    content = archive.read_bytes()
    archive.write_bytes(content[:200] + b"damaged" + content[207:])
    assert finished(verify_backup(installation, taken.id)).problems
    assert [step.verdict for step in drill_backup(installation, taken.id) if isinstance(step, DrillReport)] == [
        "failed"
    ]
    found = open_kinds(installation)
    assert set(found) == {"drill", "verification"}
    assert f"the verification of backup {taken.id} failed" in found["verification"].message
    archive.write_bytes(content)
    finished(verify_backup(installation, taken.id))
    assert set(open_kinds(installation)) == {"drill"}
    for _ in drill_backup(installation, taken.id):
        pass
    assert open_kinds(installation) == {}


def test_a_drill_without_a_server_is_an_alarm_until_one_of_the_profile_passes(
    installation: Installation, site: Path
) -> None:
    report = DrillReport("impossible", now().isoformat(), 1.0, ("No mysql server is given.",), 1, 0, 0, 0)
    first, second = take(installation, site), take(installation, site)
    installation.catalogue.backups.update_proof(first.id, lambda proof: {**proof, "drill": report.to_json()})
    assert "could not be made" in open_kinds(installation)["drill"].message
    for _ in drill_backup(installation, second.id):
        pass
    assert open_kinds(installation) == {}


def test_a_storage_that_refuses_the_key_is_told_apart_from_one_that_is_not_reached(
    installation: Installation, site: Path
) -> None:
    with refusing() as url:
        secrets = {"access_key_id": "key", "secret_access_key": "secret"}
        add_destination(installation, "cloud", f"s3://bucket/sites?endpoint={url}", secrets, DestinationOptions())
        profile = profile_of_site(installation, site, "none")
        edit_profile(installation, profile.id, values={"backstay.storage.destinations": "cloud"})
        found = open_kinds(installation)
        assert set(found) == {"credential"}
        assert "secret access key is wrong" in found["credential"].message
    edit_profile(installation, profile.id, values={"backstay.storage.destinations": ""})
    assert open_kinds(installation) == {}


@contextmanager
def refusing() -> Iterator[str]:
    """Run a service of S3's kind that knows no key; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name it is called by
            del format, arguments

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_removing_a_profile_closes_its_alarms(installation: Installation) -> None:
    profile = create_profile(installation, name="Shop", values={"backstay.alarms.expected_every": "1"})
    assert open_kinds(installation)["late"].profile_id == profile.id
    delete_profile(installation, profile.id)
    assert installation.catalogue.alarms.of() == []
    assert open_kinds(installation) == {}
    assert check(installation, now()) == []


def test_checks_at_the_same_time_open_one_alarm_and_tell_of_it_once(installation: Installation) -> None:
    create_profile(installation, name="Shop", values={"backstay.alarms.expected_every": "1"})
    told: list[AlarmChange] = []
    together = threading.Barrier(4)

    def run() -> None:
        with open_installation(installation.home.path) as own:
            together.wait()
            told.extend(check(own, now()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(change.change, change.alarm.kind, change.key) for change in told] == [("opened", "late", "alarm:1:opened")]
    assert len(installation.catalogue.alarms.of(closed=True)) == 1


def test_a_silent_site_is_told_as_such_and_a_paused_one_is_neither_silent_nor_late(installation: Installation) -> None:
    catalogue = installation.catalogue
    made = now() - timedelta(days=3)
    site = Site(0, "my shop", "remote", 0, made)
    site = catalogue.sites.create(NewSite(site, Connection("a secret", {}), Profile(0, "my shop")))
    hourly = add_schedule(installation, site.profile_id, at="0 * * * *", now=made, time_zone="UTC")
    failed = catalogue.backups.create(profile_id=site.profile_id, backupstart=now() - timedelta(hours=1), type="full")
    catalogue.backups.update(failed.id, status="fail", backupend=now() - timedelta(minutes=59), error="It timed out.")
    found = open_kinds(installation)
    assert set(found) == {"silent", "late"}
    assert "my shop" in found["silent"].message
    assert "does not answer; it never did: It timed out." in found["silent"].message
    assert "'backstay site test 'my shop''" in found["silent"].advice
    assert found["silent"].backup_id == failed.id
    # It answers a test: its backup has failed all the same.
    catalogue.sites.update(site.id, heard=now())
    assert set(open_kinds(installation)) == {"failed", "late"}
    catalogue.sites.update(site.id, heard=now() - timedelta(hours=2), paused=True)
    assert open_kinds(installation) == {}
    catalogue.sites.update(site.id, paused=False)
    assert set(open_kinds(installation)) == {"silent", "late"}
    pause_schedule(installation, hourly.id)
    assert set(open_kinds(installation)) == {"silent"}
