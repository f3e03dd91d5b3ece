"""Runs of remote sites against Backstay's own server: what comes of one is a backup like any other."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import ANY_MACHINE, DestinationOptions, RemoteRun
from backstay.client import recovery
from backstay.errors import BackupRunningError, UsageError
from backstay.fleet.held_run import HeldRun
from backstay.fleet.performing import perform
from backstay.jobs.backup import begin_backup, pause_backup, step_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, delete_backup, get_backup, read_log
from backstay.jobs.storage import add_destination, copies_of
from backstay.jobs.verification import verify_backup
from backstay.jobs.watching import view_backup
from backstay.steps import finished
from client.real_server import RealServer, backstay, serving
from fleet.remote_sites import add_site, claimed, gone_on_with, performed, record_of
from support.s3 import S3Server

DEADLINE = 120.0


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Backstay's own server with a site, for all tests of a module."""
    with serving(tmp_path_factory.mktemp("real")) as server:
        server.backstay("profile", "edit", str(server.profile), "--set", "engine.archiver.common.part_size=1048576")
        yield server


@pytest.fixture
def to_s3(installation: Installation, s3_server: S3Server) -> dict[str, str]:
    """Settings of a site whose backups go to the S3 server, and stay nowhere else."""
    place = s3_server.place()
    add_destination(installation, "cloud", place.url, place.secrets, DestinationOptions())
    return {"backstay.storage.destinations": "cloud", "engine.postproc.common.delete_after": "1"}


def records_on(server: RealServer) -> list[dict[str, Any]]:
    """The server's own list."""
    listed: list[dict[str, Any]] = json.loads(server.backstay("list", "--json"))
    return listed


def taken_for(server: RealServer, run: RemoteRun) -> list[dict[str, Any]]:
    """Those of the server's backups that were taken for a run."""
    return [one for one in records_on(server) if run.checkpoint["mark"] in one["comment"]]


def test_a_run_brings_a_backup_here_that_is_proven_against_its_manifest(
    installation: Installation, real: RealServer
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    run = performed(installation, site)
    assert (run.state, run.message) == ("done", f"Backup {run.backup_id} is complete.")
    backup = record_of(installation, run)
    assert (backup.status, backup.machine, backup.filesexist, backup.multipart) == ("complete", "", True, 3)
    assert (backup.proof["level"], backup.proof["ok"]) == ("content", True)
    assert (backup.description, backup.profile_id) == ("nightly", site.profile_id)
    sizes = [file.size for file in backup_files(installation, backup)]
    assert sizes == [one["size"] for one in backup.proof["parts"]]
    assert len(taken_for(real, run)) == 1
    heard = installation.catalogue.sites.get(site.id)
    assert (heard.host, heard.problem) == ("127.0.0.1", "")
    assert heard.heard is not None
    assert "The archive is proven (content)" in read_log(installation, backup)


def test_a_run_goes_to_the_storage_and_is_restored_from_there_equal(
    installation: Installation, real: RealServer, to_s3: dict[str, str], s3_server: S3Server, tmp_path: Path
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile, settings=to_s3)
    run = performed(installation, site)
    backup = record_of(installation, run)
    assert (run.state, backup.filesexist, backup.meta) == ("done", False, "remote")
    assert list(Path(backup.absolute_path).parent.glob("*")) == []
    (copy,) = copies_of(installation, backup.id)
    assert copy.state == "stored"
    assert finished(verify_backup(installation, backup.id)).problems == ()
    backstay(installation.home.path, "restore", str(backup.id), "--to", str(tmp_path / "back"), "--yes")
    assert files_of(tmp_path / "back") == files_of(real.site)


def test_a_run_whose_worker_dies_at_every_checkpoint_takes_one_backup_on_the_server(
    installation: Installation, real: RealServer, to_s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_PAUSE", 0.01)
    site = add_site(installation, real.url, real.secret, profile=real.profile, settings=to_s3)
    run = claimed(installation, site)
    saved = deadly_saves(monkeypatch)
    with pytest.raises(Death):
        perform(installation, run.id, run.holder)
    for number in range(2, 100):
        try:
            run = gone_on_with(installation, run, f"holder-{number}")
        except Death:
            continue
        break
    assert run.state == "done", run.message
    assert run.attempts > 10
    assert {"mark", "record", "taken", "parts", "completing"} <= set(saved)
    assert len(taken_for(real, run)) == 1
    backup = record_of(installation, run)
    assert backup.status == "complete"
    (copy,) = copies_of(installation, backup.id)
    assert [(part.name, part.size) for part in copy.parts] == [
        (one["name"], one["size"]) for one in backup.proof["parts"]
    ]
    assert finished(verify_backup(installation, backup.id)).problems == ()


def test_a_worker_that_lost_its_run_changes_nothing_any_more(
    installation: Installation, real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_PAUSE", 0.01)
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    run = claimed(installation, site)
    done: list[RemoteRun] = []

    def taken_over(held: HeldRun, **changes: Any) -> None:
        if "mark" in changes and not done:
            done.append(installation.catalogue.remote_runs.get(run.id))
            done.append(gone_on_with(installation, run, "second"))
        save(held, **changes)

    save = HeldRun.save
    # The second holder waits for the folder that the first has on this machine: in life they are on two.
    monkeypatch.setattr("backstay.fleet.performing.lock.tried", lambda *_: contextlib.nullcontext(True))
    monkeypatch.setattr(HeldRun, "save", taken_over)
    perform(installation, run.id, run.holder)
    ended = installation.catalogue.remote_runs.get(run.id)
    assert (ended.state, ended.attempts) == ("done", 2)
    assert len(taken_for(real, ended)) == 1


def test_a_worker_that_stops_gives_the_run_back_where_it_is(installation: Installation, real: RealServer) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    run = claimed(installation, site)
    stopping = threading.Event()
    stopping.set()
    perform(installation, run.id, run.holder, stopping=stopping)
    left = installation.catalogue.remote_runs.get(run.id)
    assert (left.state, left.holder, left.checkpoint) == ("waiting", "", {})
    assert view_backup(installation, left.backup_id or 0).state == "waiting"
    assert gone_on_with(installation, run, "second").state == "done"


def test_a_client_of_our_api_steps_the_backup_of_a_remote_site_like_any_other(
    installation: Installation, real: RealServer
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    backup = begin_backup(installation, profile_id=site.profile_id, description="by the API", origin="json", tag="json")
    assert (backup.status, backup.machine, view_backup(installation, backup.id).state) == (
        "run",
        ANY_MACHINE,
        "waiting",
    )
    state = step_backup(installation, backup.backupid or "")
    assert (state.has_run, state.step) == (True, "Waiting for its turn")
    with pytest.raises(BackupRunningError, match="run of the site shop waits or is under way"):
        begin_backup(installation, profile_id=site.profile_id)
    with pytest.raises(UsageError, match="taken on the server of a remote site"):
        pause_backup(installation, backup.id)
    run = installation.catalogue.remote_runs.of_backup(backup.id)
    assert run is not None
    installation.catalogue.remote_runs.claim(run.id, "first", run.created)
    worker = threading.Thread(target=perform, args=(installation, run.id, "first"))
    worker.start()
    steps = []
    deadline = time.monotonic() + DEADLINE
    while state.has_run and time.monotonic() < deadline:
        state = step_backup(installation, backup.backupid or "")
        steps.append(state.step)
    worker.join()
    assert (state.has_run, state.step_state, state.progress) == (False, "finished", 100)
    # Which of its steps a client hears depends on how fast they follow each other.
    assert set(steps) - {"", "init", "Waiting for its turn"}
    assert get_backup(installation, backup.id).description == "by the API"


def test_deleting_a_backup_that_a_worker_takes_cancels_it_here_and_there(
    installation: Installation, real: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, deleted = threading.Event(), threading.Event()
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    run = claimed(installation, site)
    save = HeldRun.save

    def slow_save(held: HeldRun, **changes: Any) -> None:
        save(held, **changes)
        if "record" in changes:
            begun.set()
            while True:  # until the cancelling is seen
                held.wait(0.1)

    monkeypatch.setattr(HeldRun, "save", slow_save)
    worker = threading.Thread(target=perform, args=(installation, run.id, run.holder))
    worker.start()
    assert begun.wait(DEADLINE)
    backup_id = installation.catalogue.remote_runs.get(run.id).backup_id or 0
    delete_backup(installation, backup_id)
    deleted.set()
    worker.join(DEADLINE)
    ended = installation.catalogue.remote_runs.get(run.id)
    assert (ended.state, ended.message) == ("cancelled", "It was cancelled.")
    assert installation.catalogue.backups.get(backup_id) is None
    assert taken_for(real, ended) == []


def test_older_backups_of_this_site_are_deleted_on_the_server_and_nobody_elses(
    installation: Installation, real: RealServer
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile, keep_there=1)
    before = {one["id"] for one in records_on(real)}
    runs = [performed(installation, site) for _ in range(2)]
    assert [run.state for run in runs] == ["done", "done"]
    assert [run.message for run in runs] == [f"Backup {run.backup_id} is complete." for run in runs]
    assert taken_for(real, runs[0]) == []
    assert len(taken_for(real, runs[1])) == 1
    assert before < {one["id"] for one in records_on(real)}


class Death(BaseException):
    """A worker dies."""


def deadly_saves(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every worker die at its first checkpoint that none died at, now before it is written and now behind it.

    Returns:
        The names of what was written, as it grows.
    """
    saved: list[str] = []
    died: set[tuple[str, ...]] = set()
    save = HeldRun.save

    def deadly(held: HeldRun, **changes: Any) -> None:
        place = (*changes, str(sum(bool(part["blake3"]) for part in changes.get("parts", ()))))
        for moment in ("before", "behind"):
            if moment == "behind":
                save(held, **changes)
                saved.extend(changes)
            if (*place, moment) not in died:
                died.add((*place, moment))
                raise Death

    monkeypatch.setattr(HeldRun, "save", deadly)
    return saved


def files_of(folder: Path) -> dict[str, bytes]:
    """What a site holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_profile_of_a_remote_site_is_backed_up_by_the_command_as_any_other(
    installation: Installation, real: RealServer
) -> None:
    site = add_site(installation, real.url, real.secret, profile=real.profile)
    taken = json.loads(
        backstay(
            installation.home.path, "backup", "--profile", str(site.profile_id), "--description", "by hand", "--json"
        )
    )
    backup = get_backup(installation, taken["id"])
    assert (backup.status, backup.description, backup.profile_id) == ("complete", "by hand", site.profile_id)
    shown = json.loads(backstay(installation.home.path, "list", "--json"))
    assert shown[0]["id"] == backup.id
    backstay(installation.home.path, "verify", str(backup.id))
    assert "ok" in str(get_backup(installation, backup.id).proof["verifications"])
