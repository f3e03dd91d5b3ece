"""Runs of remote sites whose backups go into a repository: each costs what has changed, and is used like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay.client import recovery
from backstay.fleet.held_run import HeldRun
from backstay.fleet.performing import perform
from backstay.jobs.archive_of import parts_of
from backstay.jobs.installation import Installation
from backstay.jobs.repositories import opened_repository
from backstay.jobs.verification import verify_backup
from backstay.repository.checking import check
from backstay.steps import finished
from client.real_server import RealServer, backstay, serving
from fleet.remote_sites import add_site, claimed, gone_on_with, performed, record_of
from support.repositories import add_sites

TO_SITES = {"backstay.repository": "sites"}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server with a site, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        server.backstay("profile", "edit", str(server.profile), "--set", "engine.archiver.common.part_size=1048576")
        yield server


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archives(installation: Installation) -> list[str]:
    return [path.name for path in installation.home.archives.iterdir() if path.is_file()]


def test_two_nights_cost_little_more_than_one(installation: Installation, real: RealServer, tmp_path: Path) -> None:
    add_sites(installation)
    site = add_site(installation, real.url, real.secret, profile=real.profile, settings=TO_SITES)
    runs = [performed(installation, site) for _ in range(2)]
    assert [run.state for run in runs] == ["done", "done"], [run.message for run in runs]
    first, second = (record_of(installation, run) for run in runs)
    for backup in (first, second):
        assert (backup.status, backup.filesexist, backup.meta) == ("complete", True, "ok")
        assert installation.catalogue.backups.warnings(backup.id) == []
        assert sum(part.size for part in parts_of(installation, backup)) == backup.total_size
        assert finished(verify_backup(installation, backup.id)).problems == ()
    assert len(parts_of(installation, second)) > 1
    assert archives(installation) == []
    assert second.proof["added"] < first.proof["added"] / 10
    backstay(installation.home.path, "restore", str(second.id), "--to", str(tmp_path / "back"), "--yes")
    assert files_of(tmp_path / "back") == files_of(real.site)
    drilled = json.loads(backstay(installation.home.path, "drill", str(first.id), "--json"))
    assert drilled["verdict"] == "passed"


def test_a_worker_that_dies_at_every_checkpoint_leaves_one_snapshot(
    installation: Installation, real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """The worker died."""

    real_save = HeldRun.save
    reached: set[str] = set()

    def save(self: HeldRun, **changes: Any) -> None:
        real_save(self, **changes)
        if not set(changes) <= reached:
            reached.update(changes)
            raise Death

    add_sites(installation)
    monkeypatch.setattr(recovery, "LOOK_PAUSE", 0.01)
    monkeypatch.setattr(HeldRun, "save", save)
    site = add_site(installation, real.url, real.secret, profile=real.profile, settings=TO_SITES)
    run = claimed(installation, site)
    with pytest.raises(Death):
        perform(installation, run.id, run.holder)
    for number in range(2, 50):
        try:
            run = gone_on_with(installation, run, f"holder-{number}")
        except Death:
            continue
        break
    assert run.state == "done", run.message
    assert {"parts", "snapshot", "completing"} <= reached
    backup = record_of(installation, run)
    assert backup.meta == "ok"
    assert archives(installation) == []
    assert finished(verify_backup(installation, backup.id)).problems == ()
    with opened_repository(installation, "sites") as repository:
        row = installation.catalogue.snapshots.of(backup.id)
        assert row is not None
        assert repository.snapshot_ids() == [row.snapshot] == [run.checkpoint["snapshot"]]
        assert check(repository, read_data=1.0).ok


def test_what_no_repository_takes_is_kept_as_an_archive(installation: Installation, real: RealServer) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile, settings=TO_SITES)
    run = performed(installation, site)
    assert run.state == "done", run.message
    backup = record_of(installation, run)
    (warning,) = [text for _number, text in installation.catalogue.backups.warnings(backup.id)]
    assert "could not be put into the repository sites" in warning
    assert (backup.meta, installation.catalogue.snapshots.of(backup.id)) == ("ok", None)
    assert finished(verify_backup(installation, backup.id)).problems == ()
    add_sites(installation)
    assert "It is backup" in backstay(
        installation.home.path, "repository", "import", "sites", str(backup.id), "--record"
    )
