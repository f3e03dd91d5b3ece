"""A run that one machine has begun and another goes on with, over one catalogue in PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import ANY_MACHINE
from backstay.databases import DatabaseAddress
from backstay.fleet.held_run import HeldRun
from backstay.fleet.performing import perform
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.waiting import resume_unfinished
from backstay.jobs.watching import view_backup
from client.real_server import RealServer, serving
from fleet.remote_sites import add_site, claimed, gone_on_with, record_of
from support.catalogues import use_database

pytestmark = pytest.mark.postgresql


class Death(BaseException):
    """A worker dies."""


@pytest.fixture
def machines(
    tmp_path: Path, postgresql_database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Installation, Installation]]:
    """Two machines that share a catalogue."""
    with ExitStack() as opened:
        yield (
            opened.enter_context(machine("a", tmp_path, postgresql_database, monkeypatch)),
            opened.enter_context(machine("b", tmp_path, postgresql_database, monkeypatch)),
        )


@contextmanager
def machine(
    name: str, folder: Path, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """A home of its own, with the key that all have."""
    home = folder / name
    if name != "a":
        home.mkdir(mode=0o700)
        shutil.copy(folder / "a" / "key", home / "key")
    with monkeypatch.context() as patch:
        use_database(patch, database)
        patch.setenv("BACKSTAY_WORKER__NAME", name)
        opened = open_installation(home)
    with opened:
        yield opened


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server with a site, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        server.backstay("profile", "edit", str(server.profile), "--set", "engine.archiver.common.part_size=1048576")
        yield server


def test_another_machine_goes_on_and_nothing_is_left_on_the_first(
    machines: tuple[Installation, Installation], real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines
    site = add_site(first, real.url, real.secret, profile=real.profile)
    run = claimed(first, site)
    save = HeldRun.save

    def dies_with_two_parts(held: HeldRun, **changes: Any) -> None:
        save(held, **changes)
        if sum(bool(part["blake3"]) for part in changes.get("parts", ())) == 2 and held.holder == "first":
            raise Death

    monkeypatch.setattr(HeldRun, "save", dies_with_two_parts)
    with pytest.raises(Death):
        perform(first, run.id, run.holder)
    left = list(first.home.archives.glob("*"))
    assert len(left) == 2
    backup = record_of(second, second.catalogue.remote_runs.get(run.id))
    assert (backup.machine, view_backup(second, backup.id).state) == (ANY_MACHINE, "running")
    resume_unfinished(first)
    assert list(first.home.archives.glob("*")) == left, "the run has not ended: they may serve still"
    ended = gone_on_with(second, run, "second")
    assert ended.state == "done", ended.message
    backup = get_backup(second, backup.id)
    assert (backup.status, backup.machine) == ("complete", "b")
    assert len(backup_files(second, backup)) == 3
    resume_unfinished(second)
    assert len(backup_files(second, backup)) == 3
    resume_unfinished(first)
    assert list(first.home.archives.glob("*")) == []
