"""Digests: when they are made, and what is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from backstay.alarms import RULES
from backstay.catalogue.schema import alarms
from backstay.jobs.digests import digest_due
from backstay.jobs.installation import Installation
from backstay.jobs.notifications import due
from backstay.jobs.profiles import create_profile
from backstay.jobs.recipients import Wishes, add_recipient, edit_recipient
from backstay.notifications.model import PROBLEMS

NOW = datetime(2026, 11, 26, 6, 59, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("digest", "at", "now", "expected"),
    [
        ("daily", "08:00", "2026-11-26T06:59Z", "2026-11-25T07:00Z"),
        ("daily", "08:00", "2026-11-26T07:00Z", "2026-11-26T07:00Z"),
        ("weekly", "08:00", "2026-11-26T07:00Z", "2026-11-23T07:00Z"),
        ("weekly", "08:00", "2026-11-23T06:59Z", "2026-11-16T07:00Z"),
        ("daily", "02:30", "2026-03-29T12:00Z", "2026-03-29T01:30Z"),  # the hour that is left out: right after it
        ("daily", "02:30", "2026-10-25T12:00Z", "2026-10-25T00:30Z"),  # the hour that comes twice: once
    ],
)
def test_a_digest_is_due_at_its_local_time(digest: str, at: str, now: str, expected: str) -> None:
    assert digest_due(digest, at, datetime.fromisoformat(now), BERLIN) == datetime.fromisoformat(expected)


def test_each_kind_of_alarm_can_be_asked_for() -> None:
    assert list(PROBLEMS) == [rule.kind for rule in RULES]


def test_a_digest_tells_of_each_profile_and_is_made_once(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSTAY_JOBS__TIME_ZONE", "Europe/Berlin")
    other = create_profile(installation, name="shop", values={"akeeba.platform.newroot": str(tmp_path)}).id
    wishes = Wishes("webhook+http://127.0.0.1:9/", events=["digest"], digest_at="08:00")
    recipient = add_recipient(installation, "boss", wishes, NOW)
    assert due(installation, NOW) == []
    backups = installation.catalogue.backups
    for status, ended in (("complete", 1), ("complete", 2), ("fail", 3), ("complete", 30)):
        made = backups.create(profile_id=other, backupstart=NOW, type="full")
        backups.update(made.id, status=status, backupend=NOW - timedelta(hours=ended), total_size=1 << 20)
    values = {"since": NOW, "opened": NOW, "message": "No good backup.", "advice": "", "details": {}, "subject": ""}
    columns = {**{name: "" for name in ("untold",) if name in alarms.c}, **values}
    with installation.catalogue.activity._engine.begin() as connection:
        connection.execute(insert(alarms).values(kind="late", profile_id=other, **columns))
    recently, before = (NOW - timedelta(hours=1)).isoformat(), (NOW - timedelta(days=2)).isoformat()
    verified = {"": {"ok": True, "at": recently}, "nas": {"ok": False, "at": recently}}
    backups.update(1, proof={"drill": {"verdict": "passed", "at": recently}, "verifications": verified})
    backups.update(2, proof={"ok": True, "drill": {"verdict": "failed", "at": before}})
    later = NOW + timedelta(minutes=1)
    assert len(due(installation, later)) == 1
    assert len(due(installation, later)) == 1
    (message,) = installation.catalogue.deliveries.of(recipient.id)
    assert message.content["title"] == "Daily digest: 2 backups, 1 failed, 1 alarm open"
    lines = message.content["message"].splitlines()
    assert lines[0] == "From 2026-11-25 08:00 CET to 2026-11-26 08:00 CET."
    assert "- late, profile 2 (shop), since 2026-11-26 07:59 CET: No good backup." in lines
    counts = "backups: 2, failed: 1, late: 1, proofs passed: 2, proofs failed: 1, kept here: 3"
    assert f"profile 2 (shop): {counts}, storage: 3.0 MiB here." in lines
    # After three days without a process there is one, of all that time.
    due(installation, later + timedelta(days=3, hours=2))
    (newest, _first) = installation.catalogue.deliveries.of(recipient.id)
    assert newest.content["message"].startswith("From 2026-11-26 08:00 CET to 2026-11-29 10:00 CET.")
    edit_recipient(installation, "boss", Wishes(events=["failed"], digest="none"), later)
    due(installation, later + timedelta(days=9))
    assert len(installation.catalogue.deliveries.of(recipient.id)) == 2
