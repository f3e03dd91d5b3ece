"""Proofs by a schedule: which backups are read or restored at a run, each of them in a process of its own.

In rotation the one whose proof is oldest comes first, and so many are proven at each run that all come round within the
span that the profile sets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from backstay.catalogue import Backup, Copy, Run, Schedule
from backstay.engine import is_here
from backstay.errors import VerificationError
from backstay.jobs.environment import child_environment
from backstay.jobs.installation import Installation
from backstay.jobs.schedules import timing_of
from backstay.jobs.verification import HERE
from backstay.schedules import due_times

_NEVER = datetime.min.replace(tzinfo=UTC)
_SHOWN_PROBLEMS = 5
_LOOK_SECONDS = 0.2
_MOST_TOLD = 1 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """One backup at one place, which a schedule proves.

    Attributes:
        backup_id: number of its record.
        storage: name of the destination; ``HERE`` for this machine.
        proven: moment of its newest proof, the one at its making among them; of a drill, when it was made or drilled.
        tried: moment at which it was last proven after its making, or seen to be damaged.
        problem: what was wrong then; empty where nothing was.
    """

    backup_id: int
    storage: str
    proven: datetime
    tried: datetime
    problem: str

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"Backup {self.backup_id}" + (f" at {self.storage}" if self.storage else "")


def prove(installation: Installation, run: Run, *, wait: Callable[[float], None] = time.sleep) -> str:
    """Verify or drill what a run of a schedule is to prove; what was proven since the run was made is not done again.

    Args:
        installation: whose.
        run: of a schedule whose ``what`` is ``verify`` or ``drill``.
        wait: waits for so many seconds; what it raises ends the proof under way.

    Returns:
        What was proven, in one sentence.

    Raises:
        VerificationError: a backup is damaged, or could not be proven; the others were proven nonetheless.
        NotFoundError: the schedule or its profile is gone.
    """
    schedule = installation.catalogue.schedules.get(run.schedule_id)
    span = timedelta(days=schedule.options.within or _span_of_profile(installation, schedule.profile_id))
    found = targets(installation, schedule)
    failed: dict[tuple[int, str], str] = {}
    for target in chosen(found, schedule, run, span):
        if target.storage not in {storage for _, storage in failed if storage}:
            failed.update(_proven(installation, schedule, target, run, wait))
    # What retention has removed meanwhile is not missed.
    found = targets(installation, schedule)
    there = {(target.backup_id, target.storage) for target in found}
    done = [target for target in found if target.tried >= run.created]
    problems = [f"{target.name}: {target.problem}" for target in done if target.problem]
    problems += [why for where, why in failed.items() if where in there]
    if problems:
        more = f" And {len(problems) - _SHOWN_PROBLEMS} more." if len(problems) > _SHOWN_PROBLEMS else ""
        raise VerificationError(" ".join(problems[:_SHOWN_PROBLEMS]) + more)
    if not found:
        return "There is no backup to be proven yet."
    verb = "restored and compared" if schedule.what == "drill" else "read and compared"
    return f"{len(done)} of {len(found)} were {verb}, and are good."


def targets(installation: Installation, schedule: Schedule) -> list[Target]:
    """Return what a schedule proves in the course of time, the one whose proof is oldest first."""
    kept = [
        backup
        for backup in installation.catalogue.backups.newest(status="complete", profile_id=schedule.profile_id)
        if backup.meta in ("ok", "remote") and not (schedule.what == "drill" and backup.type == "dbonly")
    ]
    copies = installation.catalogue.copies.of_many(backup.id for backup in kept)
    found: list[Target] = []
    for backup in kept:
        stored = [copy for copy in copies.get(backup.id, ()) if copy.state == "stored" and copy.parts]
        places = _places(installation, schedule, backup, stored)
        found += [_target(schedule, backup, place) for place in places]
        if found and schedule.options.which == "newest":
            break
    return sorted(found, key=lambda target: target.proven)


def _places(
    installation: Installation, schedule: Schedule, backup: Backup, stored: Sequence[Copy]
) -> list[Copy | None]:
    """Return the copies of a backup that are proven, None standing for the files here."""
    options = schedule.options
    if options.storage:
        return [copy for copy in stored if copy.destination == options.storage]
    here: list[Copy | None] = [None] if backup.filesexist else []
    if options.here_only:
        return here
    if schedule.what == "verify":
        return [*here, *stored]
    whole = backup.filesexist and is_here(installation.catalogue, installation.home, backup)
    return here if whole else list(stored[:1])


def _target(schedule: Schedule, backup: Backup, copy: Copy | None) -> Target:
    storage = HERE if copy is None else copy.destination
    if schedule.what == "drill":
        drill: dict[str, Any] = backup.proof.get("drill") or {}
        problem = "" if drill.get("verdict") == "passed" else " ".join(drill.get("problems", ()))
        tried = _moment(drill.get("at"))
        return Target(backup.id, storage, max(tried, backup.backupstart), tried, problem)
    kept: dict[str, Any] = backup.proof.get("verifications", {}).get(storage) or {}
    tried = _moment(kept.get("at"))
    made = (copy.proven_at or _NEVER) if copy is not None else _NEVER
    if copy is None and backup.proof.get("level") == "content":
        made = _moment(backup.proof.get("at"))
    return Target(backup.id, storage, max(tried, made), tried, " ".join(kept.get("problems", ())))


def chosen(found: Sequence[Target], schedule: Schedule, run: Run, span: timedelta) -> list[Target]:
    """Return what is still to be proven at a run.

    Args:
        found: what ``targets`` gave.
        schedule: of the run.
        run: what was tried since it was made is done.
        span: within which each is to be proven again.
    """
    left = [target for target in found if target.tried < run.created]
    if schedule.options.which == "newest":
        return left
    following = takewhile(lambda due: due <= run.due + span, due_times(timing_of(schedule), run.due))
    runs = sum(1 for _ in islice(following, len(found)))
    overdue = bool(left) and left[0].proven + span < run.due
    return left[: max(share(len(found), runs, overdue=overdue) - (len(found) - len(left)), 0)]


def share(kept: int, runs: int, *, overdue: bool) -> int:
    """Return how many are proven at one run so that all of them come round in so many runs.

    While one is overdue, because runs were missed or the schedule is new, it is twice as many.
    """
    return -(-kept // max(runs, 1)) * (2 if overdue else 1)


def _moment(text: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return _NEVER
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _span_of_profile(installation: Installation, profile_id: int) -> int:
    return installation.catalogue.profiles.get(profile_id).settings().proof_span


def _proven(
    installation: Installation, schedule: Schedule, target: Target, run: Run, wait: Callable[[float], None]
) -> dict[tuple[int, str], str]:
    """Prove one backup; return, by its name, why that came to no result: where it did, its record says which."""
    code, told = _ended(installation, [schedule.what, str(target.backup_id), target.storage], wait)
    current = installation.catalogue.backups.get(target.backup_id)
    if code == 0 or current is None:
        return {}
    copy = installation.catalogue.copies.find(target.backup_id, target.storage) if target.storage else None
    if _target(schedule, current, copy).tried >= run.created:
        return {}
    lines = told.strip().splitlines()
    why = lines[-1] if lines else f"Its process ended with {code}: see the system's log."
    return {(target.backup_id, target.storage): f"{target.name} could not be proven: {why}"}


def _ended(installation: Installation, arguments: Sequence[str], wait: Callable[[float], None]) -> tuple[int, str]:
    """Run the process of a proof to its end; return its exit code and what it wrote on standard error."""
    # -P: the folder the caller stands in must not be searched for code.
    command = [sys.executable, "-P", "-m", "backstay.jobs.proof_worker", str(installation.home.path), str(os.getpid())]
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            [*command, *arguments],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
        try:
            while process.poll() is None:
                wait(_LOOK_SECONDS)
        finally:
            # Nothing but an order to stop leaves it running; a drill removes what it made.
            process.terminate()
            process.wait()
        told.seek(0)
        return process.returncode, told.read(_MOST_TOLD).decode("utf-8", "replace")
