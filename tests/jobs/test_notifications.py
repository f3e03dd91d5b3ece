"""Events on their way to receivers that are there, were down for a while, or never come back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import Recipient, RecipientOptions
from backstay.jobs import lock
from backstay.jobs.backup_events import publish_backup
from backstay.jobs.installation import Installation
from backstay.jobs.notifications import deliver, deliver_due, due, pause_after, publish, retry_for_a_while
from backstay.jobs.profiles import create_profile
from backstay.notifications.model import Event
from support.receivers import HttpReceiver

NOW = datetime(2026, 11, 26, 3, 17, tzinfo=UTC)
SECRET = "x" * 32
LATE = Event("alarm:1:opened", "late", "Late", "No good backup since Monday.", profile_id=1)
CLOSED = Event("alarm:1:closed", "closed", "Over", "All is well again.", profile_id=1, alarm="late")


def add(installation: Installation, url: str, *events: str, name: str = "ops") -> Recipient:
    """Store a recipient."""
    return installation.catalogue.recipients.create(
        Recipient(0, name, url, SECRET, events or ("problems", "closed"), RecipientOptions(mark="m"), NOW)
    )


def minutes(count: float) -> datetime:
    """Return the moment so many minutes after the start."""
    return NOW + timedelta(minutes=count)


def test_what_a_receiver_missed_while_it_was_down_arrives_once_and_in_order(installation: Installation) -> None:
    with HttpReceiver() as receiver:
        recipient = add(installation, f"webhook+http://{receiver.address}/Geheim")
        assert publish(installation, LATE, now=NOW) == 1
        assert publish(installation, LATE, now=NOW) == 0
        tried = [minute for minute in range(16) if _failed(installation, minutes(minute))]
        assert tried == [0, 1, 3, 7, 15]
        publish(installation, CLOSED, now=minutes(20))
        assert deliver_due(installation, minutes(20)) == 0
        receiver.up()
        assert deliver_due(installation, minutes(31)) == 2
        assert deliver_due(installation, minutes(200)) == 0
    assert [json.loads(one.body)["data"]["event"] for one in receiver.requests] == ["alarm:1:opened", "alarm:1:closed"]
    assert {one.state for one in installation.catalogue.deliveries.of(recipient.id)} == {"delivered"}


def test_without_a_server_what_is_not_taken_is_tried_again_for_a_quarter_of_an_hour(installation: Installation) -> None:
    moments = [NOW]

    def sleep(seconds: float) -> None:
        moments.append(moments[-1] + timedelta(seconds=seconds))
        if moments[-1] == minutes(7):
            receiver.up()

    with HttpReceiver() as receiver:
        recipient = add(installation, f"webhook+http://{receiver.address}/")
        publish(installation, LATE, now=NOW)
        assert deliver_due(installation, NOW) == 0
        with lock.tried(installation.home.queue / "messages"):
            retry_for_a_while(installation, clock=lambda: moments[-1], sleep=sleep)
        assert moments == [NOW]
        retry_for_a_while(installation, clock=lambda: moments[-1], sleep=sleep)
        assert moments == [minutes(count) for count in (0, 1, 3, 7)]
        receiver.down()
        publish(installation, CLOSED, now=minutes(7))
        deliver_due(installation, minutes(7))
        retry_for_a_while(installation, clock=lambda: moments[-1], sleep=sleep)
    assert moments[-1] == minutes(22)
    assert [one.state for one in installation.catalogue.deliveries.of(recipient.id)] == ["waiting", "delivered"]


def _failed(installation: Installation, now: datetime) -> bool:
    was_due = due(installation, now) != []
    assert deliver_due(installation, now) == 0
    return was_due


def test_a_message_is_given_up_after_three_days_and_says_why(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver(status=404).up() as receiver:
        recipient = add(installation, f"ping+http://{receiver.address}/Geheim", "failed")
        publish(installation, Event("backup:7:failed", "failed", "t", "m", backup_id=7), now=NOW)
        for moment in (NOW, NOW + timedelta(days=3, minutes=-1)):
            deliver_due(installation, moment)
            assert installation.catalogue.deliveries.of(recipient.id)[0].state == "waiting"
        deliver_due(installation, NOW + timedelta(days=3, hours=1))
        assert len(receiver.requests) == 3
    (delivery,) = installation.catalogue.deliveries.of(recipient.id)
    assert delivery.state == "given up"
    assert "answered HTTP 404" in delivery.error
    counts = installation.catalogue.deliveries.counts()[recipient.id]
    assert (counts.delivered, counts.waiting, counts.given_up, counts.error) == (0, 0, 1, delivery.error)
    assert "is given up" in caplog.text
    assert "Geheim" not in caplog.text + delivery.error
    assert [pause_after(count) // timedelta(minutes=1) for count in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]


_DELIVER = """
import sys
from datetime import datetime
from pathlib import Path
from backstay.jobs.backup_events import publish_backup
from backstay.jobs.installation import open_installation
from backstay.jobs.notifications import deliver_due
with open_installation(Path(sys.argv[1])) as installation:
    print("ready", flush=True)
    sys.stdin.readline()
    print(deliver_due(installation, datetime.fromisoformat(sys.argv[2])))
"""


def test_processes_that_deliver_at_once_send_each_message_once(installation: Installation, home: Path) -> None:
    with HttpReceiver().up() as receiver:
        add(installation, f"webhook+http://{receiver.address}/")
        for number in range(12):
            publish(installation, replace(LATE, key=f"alarm:{number}:opened"), now=NOW)
        command = [sys.executable, "-c", _DELIVER, str(home), NOW.isoformat()]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _number in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        counts = [int(process.communicate(timeout=120)[0]) for process in processes]
    ids = Counter(
        {name.lower(): value for name, value in one.headers.items()}["webhook-id"] for one in receiver.requests
    )
    assert ids == {f"m:alarm:{number}:opened": 1 for number in range(12)}
    assert sum(counts) == 12


def test_a_message_whose_process_died_is_taken_up_by_another_after_a_while(installation: Installation) -> None:
    with HttpReceiver().up() as receiver:
        add(installation, f"webhook+http://{receiver.address}/")
        publish(installation, LATE, now=NOW)
        (number,) = due(installation, NOW)
        claimed = installation.catalogue.deliveries.claim(number, NOW)
        assert claimed is not None
        assert not deliver(installation, number, minutes(1))
        assert deliver(installation, number, minutes(3))
        # Whoever claimed it first comes too late with its failure.
        installation.catalogue.deliveries.fail(claimed, "late", minutes(9))
        assert not deliver(installation, number, minutes(10))
    assert len(receiver.requests) == 1


def test_no_secret_of_a_profile_stands_in_a_message(installation: Installation, tmp_path: Path) -> None:
    profile = create_profile(
        installation,
        name="x\nBcc: y",
        values={
            "akeeba.platform.newroot": str(tmp_path),
            "backstay.site.database": "mysql://joe:Geheim%2F1@db/site",
            "engine.archiver.jps.key": "Geheim-2",
        },
    )
    event = Event(
        "backup:7:failed",
        "failed",
        "The backup failed: Geheim-2",
        "mysql://joe:Geheim%2F1@db/site refused Geheim/1; postgresql://u:Geheim3@h/d too",
        advice="Correct Geheim%2F1.",
        profile_id=profile.id,
        profile=profile.description,
        backup_id=7,
        log_tail="ERROR |20261126|Geheim/1\nnext line\x1b[1m",
    )
    with HttpReceiver().up() as receiver:
        add(installation, f"ping+http://{receiver.address}/", "failed")
        add(installation, f"webhook+http://{receiver.address}/", "all", name="hook")
        assert publish(installation, event, now=NOW) == 2
        assert deliver_due(installation, NOW) == 2
    bodies = b"".join(one.body for one in receiver.requests)
    assert b"Geheim" not in bodies
    assert b"|***\nnext line [1m" in bodies
    assert b'"x Bcc: y"' in bodies


def test_start_and_end_of_a_backup_are_told_with_the_end_of_its_log(installation: Installation) -> None:
    backups = installation.catalogue.backups
    backup = backups.create(profile_id=1, backupstart=NOW, type="full", tag="json", backupid="id-1")
    with HttpReceiver().up() as receiver:
        add(installation, f"ping+http://{receiver.address}/check", "started", "succeeded", "failed")
        add(installation, f"webhook+http://{receiver.address}/hook", name="hook")
        assert publish_backup(installation, backup.id, "started", now=NOW) == 1
        log = installation.home.log("json", "id-1")
        log.write_bytes(b"".join(b"INFO    |line %05d\r\n" % number for number in range(5000)) + b"ERROR   |caf\xe9")
        backups.end(backup.id, error="The disk is full.")
        assert publish_backup(installation, backup.id, "failed", now=NOW) == 1
        # The alarm of the same failure is for people: each of both gets one message.
        alarm = Event("alarm:1:opened", "failed", "Alarm", "The disk is full.", profile_id=1, backup_id=backup.id)
        assert publish(installation, alarm, now=NOW) == 1
        assert publish_backup(installation, backup.id, "failed", now=NOW) == 0
        assert deliver_due(installation, NOW) == 3
    assert sorted(one.path for one in receiver.requests) == ["/check/fail", "/check/start", "/hook"]
    (failed,) = [one.body for one in receiver.requests if one.path == "/check/fail"]
    assert failed.startswith(b"The backup of Default Backup Profile failed\nThe disk is full.\n\n")
    assert failed.endswith(b"\nINFO    |line 04999\nERROR   |caf\\xe9")
    assert 9_000 < len(failed) <= 10_000
    assert publish_backup(installation, 99, "failed") == 0


def test_addresses_and_secrets_of_recipients_are_not_in_the_files(installation: Installation, home: Path) -> None:
    recipient = add(installation, "webhook+http://example.com/Geheim")
    content = b"".join(path.read_bytes() for path in home.glob("catalogue.sqlite*"))
    assert b"Geheim" not in content
    assert SECRET.encode() not in content
    assert "Geheim" not in repr(recipient)
    assert installation.catalogue.recipients.get("ops") == recipient
    installation.catalogue.recipients.delete("ops")
    assert publish(installation, LATE, now=NOW) == 0
