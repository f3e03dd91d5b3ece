"""Proofs by a schedule: what is read again and when, what that shows, and that it ends with whoever started it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue import Backup, ProofOptions, Run, Schedule
from backstay.catalogue.schedules import Work
from backstay.errors import UsageError, VerificationError
from backstay.jobs.drill import drill_backup
from backstay.jobs.installation import Installation
from backstay.jobs.places import look_around
from backstay.jobs.proofs import Target, chosen, prove, share, targets
from backstay.jobs.records import get_backup
from backstay.jobs.schedules import add_schedule, run_now
from backstay.jobs.stored_backups import choose_copy
from backstay.jobs.verification import verify_backup
from backstay.restore import DrillReport
from backstay.steps import finished
from support.backups import make_database, make_files, take
from support.destinations import Place
from support.repositories import add_sites, damage
from support.stored import add_storage, store

NEVER = datetime.min.replace(tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small site."""
    return make_files(tmp_path / "site", 5)


@pytest.fixture
def nas(installation: Installation, tmp_path: Path) -> Path:
    """A storage named nas."""
    (tmp_path / "nas").mkdir()
    add_storage(installation, Place(f"folder://{tmp_path / 'nas'}", {}))
    return tmp_path / "nas"


def added(installation: Installation, profile_id: int, what: Work = "verify", **options: object) -> Schedule:
    """Add a daily schedule that proves backups."""
    proof = replace(ProofOptions(), **options)  # type: ignore[arg-type]
    return add_schedule(installation, profile_id, at="@daily", now=datetime.now(UTC), what=what, options=proof)


def proven(installation: Installation, schedule: Schedule) -> tuple[str, Run]:
    """Make a run of a schedule and prove; return what it says."""
    run = run_now(installation, schedule.id, datetime.now(UTC))
    assert installation.catalogue.runs.begin(run.id, datetime.now(UTC))
    return prove(installation, run), run


def kept(installation: Installation, backup: Backup, storage: str = "") -> dict[str, object]:
    """Return what the record keeps of the last verification at a place."""
    found: dict[str, object] = get_backup(installation, backup.id).proof["verifications"][storage]
    return found


def test_each_backup_comes_round_here_and_at_its_storage_and_the_result_is_kept(
    installation: Installation, site: Path, nas: Path
) -> None:
    first = store(installation, take(installation, site), local=True)
    second = take(installation, site)
    schedule = added(installation, first.profile_id, which="rotating", within=1)
    places = {(one.backup_id, one.storage) for one in targets(installation, schedule)}
    assert places == {(first.id, ""), (first.id, "nas"), (second.id, "")}
    told, run = proven(installation, schedule)
    assert told == "3 of 3 were read and compared, and are good."
    assert kept(installation, first)["ok"] is kept(installation, first, "nas")["ok"] is True
    copy = choose_copy(installation, get_backup(installation, first.id), "nas")
    assert copy.proven_at is not None
    assert copy.proven_at.isoformat() == kept(installation, first, "nas")["at"]
    before = kept(installation, first)
    assert prove(installation, run) == told
    assert kept(installation, first) == before, "what was proven since the run was made is not read again"


def test_damage_and_files_that_are_gone_are_found_told_and_kept(
    installation: Installation, site: Path, nas: Path
) -> None:
    damaged = store(installation, take(installation, site), local=True)
    gone = take(installation, site)
    stored = next(path for path in nas.rglob("*.jpa"))
    stored.write_bytes(stored.read_bytes()[:-300] + bytes(300))
    Path(gone.absolute_path).unlink()
    schedule = added(installation, gone.profile_id, which="rotating", within=1)
    with pytest.raises(VerificationError) as caught:
        proven(installation, schedule)
    assert f"Backup {damaged.id} at nas" in str(caught.value)
    assert f"Backup {gone.id}:" in str(caught.value)
    assert kept(installation, damaged)["ok"] is True
    assert kept(installation, damaged, "nas")["ok"] is kept(installation, gone)["ok"] is False
    assert choose_copy(installation, get_backup(installation, damaged.id), "nas").error


def test_a_storage_that_is_not_there_is_asked_once_and_says_nothing_of_the_copies(
    installation: Installation, site: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = [store(installation, take(installation, site)) for _ in range(2)]
    nas.rename(nas.with_name("unmounted"))
    asked = []
    plain = subprocess.Popen

    def counted(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        asked.append(command)
        return plain(command, **options)

    monkeypatch.setattr("backstay.jobs.proofs.subprocess.Popen", counted)
    schedule = added(installation, backups[0].profile_id, which="rotating", within=1)
    with pytest.raises(VerificationError, match=r"Backup \d at nas could not be proven: .*is not there"):
        proven(installation, schedule)
    assert len(asked) == 1
    for backup in backups:
        assert "verifications" not in get_backup(installation, backup.id).proof
        assert choose_copy(installation, backup, "nas").error == ""


def test_the_newest_is_drilled_and_a_drill_that_fails_is_told(installation: Installation, site: Path) -> None:
    take(installation, site)
    newest = take(installation, site)
    schedule = added(installation, newest.profile_id, "drill")
    assert proven(installation, schedule)[0] == "1 of 1 were restored and compared, and are good."
    assert get_backup(installation, newest.id).proof["drill"]["verdict"] == "passed"
    installation.catalogue.runs.end(1, "done", "", datetime.now(UTC))
    archive = Path(newest.absolute_path)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(VerificationError, match=f"Backup {newest.id}"):
        proven(installation, schedule)


def test_a_backup_of_the_database_only_is_compared_with_its_hash(installation: Installation, site: Path) -> None:
    url = make_database(site.parent / "data.sqlite", 50)
    backup = take(installation, site, url, akeeba__basic__backup_type="dbonly")
    assert finished(verify_backup(installation, backup.id)).problems == ()
    path = Path(backup.absolute_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (problem,) = finished(verify_backup(installation, backup.id)).problems
    assert "not what was written" in problem
    assert kept(installation, backup)["ok"] is False


def test_nothing_is_told_of_a_profile_without_backups_and_of_one_that_runs(installation: Installation) -> None:
    schedule = added(installation, 1, which="rotating")
    assert proven(installation, schedule)[0] == "There is no backup to be proven yet."
    running = installation.catalogue.backups.create(profile_id=1, backupstart=datetime.now(UTC), type="full")
    with pytest.raises(UsageError, match="is not complete"):
        finished(verify_backup(installation, running.id))


def test_within_a_year_each_backup_is_read_again_within_its_span(installation: Installation) -> None:
    for at, span, keep in (("30 4 * * *", 30, 100), ("0 5 * * SUN", 30, 29), ("0 */6 * * *", 7, 40)):
        made = add_schedule(
            installation,
            1,
            at=at,
            now=datetime(2026, 1, 1, tzinfo=UTC),
            time_zone="UTC",
            what="verify",
            options=ProofOptions(which="rotating"),
        )
        found: list[Target] = []
        now, longest = datetime(2026, 1, 1, tzinfo=UTC), timedelta(0)
        for day in range(365):
            for hour in (0, 6, 12, 18) if "*/6" in at else (5,):
                due = now + timedelta(days=day, hours=hour)
                if "SUN" in at and due.isoweekday() != 7:
                    continue
                # A run is made a moment after the last proof, never at the same.
                run = Run(1, made.id, due, "running", None, due, None, None, "")
                found.sort(key=lambda target: target.proven)
                longest = max([longest, *(due - target.proven for target in found)])
                for target in chosen(found, made, run, timedelta(days=span)):
                    found.remove(target)
                    found.append(replace(target, proven=due, tried=due))
            found = [*found, Target(day, "", now + timedelta(days=day), NEVER, "")]
            # Retention keeps the newest, and one of each week.
            old = [target for target in found if target.backup_id % 7 and target.backup_id < day - keep]
            found = [target for target in found if target not in old]
        assert len(found) > keep
        assert longest <= timedelta(days=span + 7), (at, longest)


def test_so_many_are_read_at_a_run_that_all_come_round() -> None:
    assert share(0, 30, overdue=False) == 0
    assert share(30, 30, overdue=False) == 1
    assert share(31, 30, overdue=False) == 2
    assert share(31, 30, overdue=True) == 4
    assert share(5, 0, overdue=False) == 5


def test_the_process_of_a_proof_ends_with_whoever_started_it(
    installation: Installation, site: Path, tmp_path: Path
) -> None:
    (site / "large.bin").write_bytes(os.urandom(40_000_000))
    backup = take(installation, site)
    schedule = added(installation, backup.profile_id, "drill")
    run = run_now(installation, schedule.id, datetime.now(UTC))
    program = (
        "import sys; from pathlib import Path; from backstay.jobs.installation import open_installation;"
        "from backstay.jobs.proofs import prove\n"
        "with open_installation(Path(sys.argv[1])) as i: prove(i, i.catalogue.runs.get(int(sys.argv[2])))"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(installation.home.path), str(run.id)])
    drills = installation.home.path / "drills"
    deadline = time.monotonic() + 60
    while not (drills.is_dir() and any(drills.iterdir())):
        assert time.monotonic() < deadline
        assert starter.poll() is None
        time.sleep(0.005)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    while any(drills.iterdir()):
        assert time.monotonic() < deadline, "what the drill had made is there for ever"
        time.sleep(0.02)


def test_the_next_drill_removes_what_one_that_was_killed_left_and_nothing_of_one_that_runs(
    installation: Installation, site: Path
) -> None:
    backup = take(installation, site)
    running = drill_backup(installation, backup.id)
    next(running)
    (alive,) = (installation.home.path / "drills").iterdir()
    dead = alive.with_name("drill-1-dead")
    (dead / "site").mkdir(parents=True)
    assert [step.verdict for step in drill_backup(installation, backup.id) if isinstance(step, DrillReport)] == [
        "passed"
    ]
    assert list(alive.parent.iterdir()) == [alive]
    assert [step.verdict for step in running if isinstance(step, DrillReport)] == ["passed"]
    assert list(alive.parent.iterdir()) == []


def test_backups_in_a_repository_are_verified_and_drilled_by_schedules(installation: Installation, site: Path) -> None:
    add_sites(installation)
    (site / "noise.bin").write_bytes(random.Random(1).randbytes(20_000))
    backup = take(installation, site, backstay__repository="sites")
    assert [one for one in look_around(installation, datetime.now(UTC)) if one.what == "files"] == []
    for what in ("verify", "drill"):
        told, _run = proven(installation, added(installation, backup.profile_id, what))
        assert told.startswith("1 of 1 were")
    assert kept(installation, backup)["ok"]
    assert get_backup(installation, backup.id).proof["drill"]["verdict"] == "passed"
    damage(installation, random.Random(1).randbytes(20_000))
    with pytest.raises(VerificationError, match=r"noise\.bin"):
        proven(installation, added(installation, backup.profile_id))
