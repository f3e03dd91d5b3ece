"""The journal of who did what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backstay.catalogue import JournalSearch
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.journal import API, COMMAND, PAGE, note


@pytest.fixture
def installation(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """Open a fresh home that keeps 1,000 entries."""
    monkeypatch.setenv("BACKSTAY_JOURNAL__KEEP_ENTRIES", "1000")
    with open_installation(home) as opened:
        yield opened


def test_entries_are_found_by_each_of_their_columns(installation: Installation) -> None:
    note(installation, "anna", PAGE, "backup deleted", "backup 12", {"files_only": True}, "192.0.2.7")
    note(installation, "token ci", API, "startBackup", "profile 3", address="192.0.2.8")
    note(installation, "the shell user ben", COMMAND, "restore", "100%_done")

    def found(**wanted: object) -> list[str]:
        return [one.who for one in installation.catalogue.journal.newest(JournalSearch(**wanted), 10)]  # type: ignore[arg-type]  # by name

    assert found() == ["the shell user ben", "token ci", "anna"]
    assert found(who="anna") == ["anna"]
    assert found(who="ann") == []
    assert found(through=API) == ["token ci"]
    assert found(action="restore") == ["the shell user ben"]
    assert found(text="BACKUP") == ["token ci", "anna"]
    assert found(text="%_") == ["the shell user ben"]
    assert found(text="192.0.2.7") == ["anna"]
    assert found(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(found(until=datetime.now(UTC) + timedelta(hours=1))) == 3
    newest, *_, oldest = installation.catalogue.journal.newest(JournalSearch(), 10)
    assert (oldest.details, oldest.address) == ({"files_only": True}, "192.0.2.7")
    assert [one.id for one in installation.catalogue.journal.newest(JournalSearch(), 1, 1)] == [newest.id - 1]


def test_texts_of_any_length_and_bytes_are_kept_as_far_as_they_fit(installation: Installation) -> None:
    note(installation, "w" * 9999, PAGE, "a" * 9999, "name \udcff" + "s" * 9999, {"path": "\udcfe" + "d" * 9999})
    (entry,) = installation.catalogue.journal.newest(JournalSearch(), 10)
    assert (len(entry.who), len(entry.action), len(entry.subject) < 600, len(entry.details["path"])) == (
        200,
        60,
        True,
        500,
    )


def test_the_oldest_entries_are_forgotten(installation: Installation) -> None:
    journal = installation.catalogue.journal
    journal.add(datetime.now(UTC) - timedelta(days=4000), "old", PAGE, "", "a", "b", {})
    for _number in range(98):
        journal.add(datetime.now(UTC), "young", PAGE, "", "a", "b", {})
    note(installation, "newest", PAGE, "a", "b")
    assert {one.who for one in journal.newest(JournalSearch(), 1000)} == {"young", "newest"}
    journal.forget(datetime.now(UTC) - timedelta(days=1), 10)
    assert len(journal.newest(JournalSearch(), 1000)) == 10


def test_what_was_done_stands_where_the_journal_cannot_be_written(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    installation.catalogue.close()
    installation.home.catalogue.write_bytes(b"no database at all" * 1000)
    note(installation, "anna", PAGE, "backup deleted", "backup 12")
    assert "backup deleted, by anna" in caplog.text
