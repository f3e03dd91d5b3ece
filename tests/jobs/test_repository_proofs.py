"""Repositories prove themselves: all of them is read again in time, and damage is told, healed and then over."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Task
from backstay.errors import NotFoundError, UsageError
from backstay.jobs import repository_proofs
from backstay.jobs.alarms import check as check_alarms
from backstay.jobs.installation import Installation
from backstay.jobs.repositories import delete_repository, opened_repository
from backstay.jobs.repository_proofs import begin_due, check_repository
from backstay.jobs.tasks import begin_task
from backstay.repository import packs
from support.backups import make_files
from support.repositories import damage, packs_of
from support.snapshots import NAME, make_repository, take_into
from support.tasks import ended

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site with a file of noise."""
    root = make_files(tmp_path / "site", 30, 2000)
    (root / "noise.bin").write_bytes(noise())
    return root


def noise() -> bytes:
    """Give the content of the file of noise."""
    return random.Random(2).randbytes(300_000)


def messages(installation: Installation) -> list[str]:
    """Give what the open alarms of repositories say."""
    check_alarms(installation, datetime.now(UTC))
    return [alarm.message for alarm in installation.catalogue.alarms.of() if alarm.kind == "repository"]


def test_a_share_is_read_each_day_in_a_task_of_its_own(installation: Installation, site: Path) -> None:
    make_repository(installation)
    take_into(installation, site)
    now = datetime.now(UTC)
    assert begin_due(installation, now) == []
    (task,) = begin_due(installation, now + DAY)
    assert begin_due(installation, now + DAY) == []
    done = ended(installation, task)
    assert (done.state, done.started_by) == ("done", "Backstay")
    assert done.result["read"] > 0
    assert messages(installation) == []


def test_all_of_it_comes_round_within_the_days_that_are_set(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(installation)
    monkeypatch.setattr(packs, "PACK_SIZE", 20_000)
    take_into(installation, site)
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(repository_proofs, "begin_task", lambda _i, _k, _t, what, **_: given.append(dict(what)))
    now = datetime.now(UTC)
    read = 0
    for day in range(1, 11):
        begin_due(installation, now + day * DAY)
        share = given[-1]["share"] if day == 1 else 1 / 10
        read += check_repository(installation, NAME, share).read
    with opened_repository(installation, NAME) as repository:
        assert read >= sum(repository.index.packs().values())
        with repository.index.used() as connection:
            assert connection.execute("SELECT count(*) FROM packs WHERE read = 0").fetchone() == (0,)


def test_days_on_which_nothing_was_read_are_made_good(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(installation)
    take_into(installation, site)
    given: list[float] = []
    monkeypatch.setattr(repository_proofs, "begin_task", lambda _i, _k, _t, what, **_: given.append(what["share"]))
    now = datetime.now(UTC)
    for days in (1, 16, 400):
        begin_due(installation, now + days * DAY)
    assert given == pytest.approx([1 / 30, 16 / 30, 1.0], rel=0.01)


def test_a_task_that_cannot_begin_is_tried_again_the_next_day(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(installation)
    take_into(installation, site)

    def refuse(*_args: object, **_options: object) -> Task:
        raise UsageError("Too many tasks run.")

    now = datetime.now(UTC)
    with monkeypatch.context() as patch:
        patch.setattr(repository_proofs, "begin_task", refuse)
        assert begin_due(installation, now + DAY) == []
    assert [ended(installation, task).state for task in begin_due(installation, now + 2 * DAY)] == ["done"]


def test_nothing_is_read_by_itself_where_that_is_not_wanted(
    installation: Installation, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(installation)
    take_into(installation, site)
    unwanted = installation.configuration.repositories.model_copy(update={"reread_days": 0})
    wanted = installation.configuration.model_copy(update={"repositories": unwanted})
    monkeypatch.setattr(installation, "configuration", wanted)
    assert begin_due(installation, datetime.now(UTC) + 9 * DAY) == []


def test_damage_is_told_with_file_and_backup_and_over_when_the_next_backup_has_stored_it_anew(
    installation: Installation, site: Path
) -> None:
    make_repository(installation)
    backup = take_into(installation, site)
    damage(installation, noise(), NAME)
    task = begin_task(installation, "check repository", "Check", {"name": NAME, "share": 1.0}, started_by="anna")
    assert ended(installation, task).state == "failed"
    (message,) = messages(installation)
    assert f"The repository {NAME} is damaged: noise.bin of backup {backup.id}." in message
    before = set(packs_of(installation, NAME))
    take_into(installation, site)
    assert len(set(packs_of(installation, NAME)) - before) == 1
    assert check_repository(installation, NAME, 0.0).ok
    assert messages(installation) == []


def test_a_repository_that_cannot_be_read_is_an_alarm_until_it_can(installation: Installation, site: Path) -> None:
    make_repository(installation)
    take_into(installation, site)
    folder = installation.home.repositories / NAME / "files"
    folder.rename(folder.with_name("away"))
    with pytest.raises(NotFoundError, match="no repository"):
        check_repository(installation, NAME, 1.0)
    (message,) = messages(installation)
    assert "could not be checked" in message
    folder.with_name("away").rename(folder)
    check_repository(installation, NAME, 1.0)
    assert messages(installation) == []


def test_a_repository_that_was_deleted_is_no_alarm_any_more(installation: Installation, site: Path) -> None:
    make_repository(installation)
    take_into(installation, site)
    damage(installation, noise(), NAME)
    check_repository(installation, NAME, 1.0)
    assert messages(installation)
    delete_repository(installation, NAME)
    assert messages(installation) == []
