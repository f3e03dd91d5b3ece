"""What a webhook gets, and what it is signed with."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from backstay.errors import UsageError
from backstay.notifications.model import Event
from backstay.notifications.webhook import new_secret, payload, signing_key

NOW = datetime(2026, 11, 26, 4, 17, tzinfo=timezone(timedelta(hours=1)))


def test_the_document_is_that_of_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md").read_text()
    (example,) = re.findall(r"^```json\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    shown = json.loads(example)
    event = Event(
        "alarm:12:opened",
        "late",
        shown["data"]["title"],
        shown["data"]["message"],
        shown["data"]["advice"],
        since=NOW,
        profile_id=2,
        profile="example.com",
        command="backstay alarms",
        log_tail="not for webhooks",
    )
    assert payload(event, server="backup1", sent=NOW) == shown
    over = Event(
        "alarm:12:closed", "closed", "t", "m", site="/srv", backup_id=7, link="l", alarm="late", at=NOW, log_tail="x"
    )
    document = payload(over, server="s", sent=NOW + timedelta(days=1))
    assert (document["type"], document["timestamp"]) == ("closed", "2026-11-26T03:17:00Z")
    assert {name: value for name, value in document["data"].items() if name not in {"title", "message"}} == {
        "event": "alarm:12:closed",
        "problem": False,
        "advice": "",
        "since": None,
        "alarm": "late",
        "profile_id": None,
        "profile": "",
        "site": "/srv",
        "backup_id": 7,
        "link": "l",
        "command": None,
        "server": "s",
    }


def test_secrets_stand_for_keys_of_at_least_24_bytes() -> None:
    assert len(signing_key(new_secret())) == 32
    assert new_secret() != new_secret()
    assert signing_key("a plain text of 24 bytes") == b"a plain text of 24 bytes"
    assert signing_key("whsec_" + b64encode(b"x" * 24).decode()) == b"x" * 24
    for short in ("a plain text of 23 byte", "whsec_" + b64encode(b"x" * 23).decode()):
        with pytest.raises(UsageError, match="too short"):
            signing_key(short)
    for wrong in ("whsec_ä", "whsec_" + b64encode(b"x" * 24).decode() + "\n!"):
        with pytest.raises(UsageError, match="no Base64"):
            signing_key(wrong)
