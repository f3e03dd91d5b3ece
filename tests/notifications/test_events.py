"""Events: who hears of which, and how they are kept and told."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backstay.notifications.model import DEFAULT_KINDS, Event, event_as_json, event_from_json, wants
from backstay.notifications.ping import ping_body, ping_url
from backstay.notifications.text import body, one_line, several_lines, subject

NOW = datetime(2026, 11, 26, 3, 17, tzinfo=UTC)
FAILED = Event("backup:7:failed", "failed", "t", "m", profile_id=2, backup_id=7, since=NOW, at=NOW)
OPENED = Event("alarm:1:opened", "late", "t", "m", profile_id=2)
CLOSED = Event("alarm:1:closed", "closed", "t", "m", profile_id=2, alarm="late")
AGAIN = Event("alarm:2:opened", "failed", "t", "m", profile_id=2, backup_id=7)


@pytest.mark.parametrize(
    ("kinds", "events"),
    [
        (DEFAULT_KINDS, [OPENED, CLOSED, AGAIN]),
        (("all",), [OPENED, CLOSED, AGAIN, FAILED]),
        (("late",), [OPENED]),
        (("late", "closed"), [OPENED, CLOSED]),
        (("drill", "closed"), []),
        (("closed",), [CLOSED]),
        (("problems",), [OPENED, AGAIN]),
        (("failed", "succeeded"), [AGAIN, FAILED]),
    ],
)
def test_each_recipient_hears_of_what_it_asked_for(kinds: tuple[str, ...], events: list[Event]) -> None:
    assert [one for one in (OPENED, CLOSED, AGAIN, FAILED) if wants(kinds, (), one)] == events
    assert [one for one in (OPENED, CLOSED, AGAIN, FAILED) if wants(kinds, (1, 3), one)] == []


def test_a_failed_backup_is_one_event_whoever_tells_it_and_health_checks_hear_of_backups_only() -> None:
    assert AGAIN.identity == FAILED.identity == "backup:7:failed"
    assert not wants(("digest", "all"), (), Event("digest-1:x", "digest", "t", "m"))
    heard = [one for one in (OPENED, CLOSED, AGAIN, FAILED) if wants(("failed", "late"), (), one, is_ping=True)]
    assert heard == [FAILED]
    assert event_from_json({**event_as_json(FAILED), "of_later_versions": 1}) == FAILED


def test_a_message_says_what_happened_since_when_and_what_to_do() -> None:
    event = Event(
        "alarm:1:opened", "late", "No good\tbackup", "It is\nlate.", "Look.", NOW, 2, "shop", link="https://b.example.com/",
        command="backstay alarms", at=NOW,
    )  # fmt: skip
    assert subject(event) == "Backstay: No good backup (shop)"
    assert subject(Event("k", "failed", "The backup of shop failed", "m", profile="shop")) == (
        "Backstay: The backup of shop failed"
    )
    assert body(event, server="backup1", zone=ZoneInfo("Europe/Berlin")).split("\n") == [
        "It is",
        "late.",
        "",
        "Profile: 2 (shop)",
        "Since: 2026-11-26 04:17:00 CET",
        "Server: backup1",
        "",
        "What to do: Look.",
        "See more: backstay alarms",
        "Link: https://b.example.com/",
    ]
    other = Event("k", "late", "t", "m", site="/var/www/shop", backup_id=7, at=NOW)
    assert body(other, server="s", zone=UTC).split("\n")[2:] == [
        "Site: /var/www/shop",
        "Backup: 7",
        "Happened: 2026-11-26 03:17:00 UTC",
        "Server: s",
    ]
    assert subject(Event("k", "late", "x" * 300, "m")) == "Backstay: " + "x" * 199 + "…"


def test_texts_hold_no_control_characters() -> None:
    assert one_line(" a\r\nb\x00\u202e\u2028c\udce9  d ") == "a b c\\udce9 d"
    assert several_lines("\na  b\r\n\n c\x1b[0m \u2028d\n") == "a  b\n\n c [0m\nd"


def test_a_ping_goes_to_the_profile_s_check_and_is_cut_at_whole_characters() -> None:
    assert ping_url("https://h/{profile}-x/?a={profile}", FAILED) == "https://h/2-x/fail?a=2"
    assert ping_url("https://h", Event("t", "test", "", "")) == "https://h/log"
    long = Event("backup:7:failed", "failed", "t", "ä" * 9000, log_tail="é" * 9000)
    content = ping_body(long)
    assert 9_990 < len(content) <= 10_000
    assert content.decode().startswith("t\nä")
    assert content.decode().endswith("éé")
    assert ping_body(Event("k", "started", "t", "m")) == b"t\nm"
    assert {len(ping_body(Event("k", "started", "t", "x" * count + "ä" * 9000))) for count in (1, 2)} == {4_999, 5_000}
