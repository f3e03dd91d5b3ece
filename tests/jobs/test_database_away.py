"""A backup whose catalogue is in a database that goes away while it runs, and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.catalogue import open_catalogue, open_home
from backstay.databases import DatabaseAddress
from backstay.jobs.backup import step_backup
from backstay.jobs.installation import open_installation
from support.backups import assert_gives_back, begin, finish, kill, make_files_and_noise
from support.catalogues import use_database
from support.links import Link

pytestmark = pytest.mark.postgresql
PATIENCE_SECONDS = 120.0


@pytest.fixture
def link(postgresql_database: DatabaseAddress) -> Iterator[Link]:
    """A way to the database that can be cut."""
    made = Link(postgresql_database)
    yield made
    made.close()


@pytest.mark.parametrize("seconds", [3.0, pytest.param(120.0, marks=pytest.mark.slow)])
def test_a_backup_goes_on_when_the_database_is_back_and_is_complete_once(
    home: Path, tmp_path: Path, link: Link, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    site = make_files_and_noise(tmp_path / "site")
    use_database(monkeypatch, link.address)
    with open_installation(home, patience=PATIENCE_SECONDS + seconds) as installation:
        state = begin(installation, site)
        link.cut()
        threading.Timer(seconds, link.mend).start()
        begun = time.monotonic()
        state = step_backup(installation, state.backupid)  # waits for the database as long as it is away
        state = finish(installation, state)
        assert time.monotonic() - begun >= seconds - 1
        assert (state.error, state.warnings) == ("", ())
        (backup,) = installation.catalogue.backups.newest()
        job = installation.catalogue.jobs.get(backup.id)
        assert job is not None
        assert (backup.status, job.attempts) == ("complete", 1)
        assert_gives_back(installation, backup.id, site, tmp_path / "out")


def test_a_process_that_was_killed_while_the_database_was_away_is_resumed(
    home: Path, tmp_path: Path, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_files_and_noise(tmp_path / "site")
    use_database(monkeypatch, link.address)
    with open_installation(home) as installation:
        state = begin(installation, site)
        link.cut()
        killed = kill(installation, state.backup_id)
        link.mend()
        state = finish(installation, state)
        assert killed
        assert state.error == ""
    with open_catalogue(open_home(home)) as catalogue:
        assert [backup.status for backup in catalogue.backups.newest()] == ["complete"]
