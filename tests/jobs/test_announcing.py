"""A health check hears of a backup's start and end from the backup itself, without any server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.catalogue import Recipient, RecipientOptions
from backstay.jobs import announcing
from backstay.jobs.installation import Installation
from backstay.jobs.launch import mark_failed
from support.backups import make_files, take
from support.jobs import prepare
from support.receivers import HttpReceiver


def add_ping(installation: Installation, address: str) -> None:
    options = RecipientOptions(mark="m")
    events = ("started", "succeeded", "failed")
    installation.catalogue.recipients.create(
        Recipient(0, "check", f"ping+http://{address}/uuid", "", events, options, datetime.now(UTC))
    )


def wait_for_paths(receiver: HttpReceiver, count: int) -> list[str]:
    deadline = time.monotonic() + 100
    while len(receiver.requests) < count:
        assert time.monotonic() < deadline, receiver.requests
        time.sleep(0.05)
    return [request.path for request in receiver.requests]


def test_a_health_check_hears_of_start_end_and_failure(installation: Installation, tmp_path: Path) -> None:
    site = make_files(tmp_path / "site", count=5)
    with HttpReceiver() as receiver:
        receiver.up()
        add_ping(installation, receiver.address)
        take(installation, site)
        assert wait_for_paths(receiver, 2) == ["/uuid/start", "/uuid"]
        dead = prepare(installation, site)
        assert mark_failed(installation, dead, "Its process died 5 times.")
        assert wait_for_paths(receiver, 3)[2:] == ["/uuid/fail"]


def test_what_goes_wrong_with_a_message_fails_no_backup(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_ping(installation, "127.0.0.1:9")

    def fail(_installation: Installation) -> None:
        raise OSError("no process can be started")

    monkeypatch.setattr(announcing, "_send_beside", fail)
    announcing.announce(installation, prepare(installation, make_files(tmp_path / "site", count=2)), "started")
    assert len(installation.catalogue.deliveries.due(datetime.now(UTC))) == 1
