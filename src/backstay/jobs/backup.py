"""Starting a backup, and hearing how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from backstay.catalogue import Backup, Profile
from backstay.engine import Plan, Progress, Survey, make_plan, percent, survey, trees
from backstay.errors import BackupRunningError, DiskFullError, NotFoundError, UsageError
from backstay.jobs import lock, report
from backstay.jobs.installation import Installation
from backstay.jobs.launch import end, is_stuck, mark_failed, stop, stopped, tidy
from backstay.jobs.liveness import is_worked_on, latest_report
from backstay.jobs.machines import claim_site, is_of_here, refuse_elsewhere
from backstay.jobs.records import get_backup
from backstay.jobs.remote_runs import queue_backup
from backstay.jobs.waiting import awaited, start_waiting

# A client is answered at once when there is news, else after this time.
_STEP_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_ALIVE_SECONDS: Final = 0.25
_WAITING_SECONDS: Final = 0.5
_END_REPORTED: Final = "end"  # in place of a domain: a client was sent the end


@dataclass(frozen=True, slots=True)
class StepState:
    """How far a backup is, as a step reports it.

    Attributes:
        has_run: True while there is more to come.
        domain, step, substep: what is being worked on.
        error: why the backup failed; empty where it did not.
        warnings: those the client has not heard yet.
        archive: base name of the main part.
        tag, backupid: the names the API gives the backup.
        progress: 0 to 100.
        step_number: replies given so far, this one included.
        step_state: ``init``, ``running``, ``finished`` or ``error``.
        backup_id: number of the record.
        profile_id: whose backup it is.
        last_warning: number of the last of ``warnings``, for ``acknowledge``.
        report: the counts behind it, for a progress bar; None before the first.
    """

    has_run: bool
    domain: str
    step: str
    substep: str
    error: str
    warnings: tuple[str, ...]
    archive: str
    tag: str
    progress: int
    backupid: str
    step_number: int
    step_state: Literal["init", "running", "finished", "error"]
    backup_id: int
    profile_id: int
    last_warning: int = 0
    report: Progress | None = None


def start_backup(
    installation: Installation,
    *,
    profile_id: int = 1,
    description: str = "",
    comment: str = "",
    overrides: Mapping[str, object] | None = None,
    origin: str = "json",
    tag: str = "json",
    run_id: int | None = None,
) -> StepState:
    """Start a backup and wait for its first news; see ``begin_backup``.

    Returns:
        The first news of it.
    """
    backup = begin_backup(
        installation,
        profile_id=profile_id,
        description=description,
        comment=comment,
        overrides=overrides,
        origin=origin,
        tag=tag,
        run_id=run_id,
    )
    return step_backup(installation, backup.backupid or "")


def begin_backup(
    installation: Installation,
    *,
    profile_id: int = 1,
    description: str = "",
    comment: str = "",
    overrides: Mapping[str, object] | None = None,
    origin: str = "backend",
    tag: str = "backend",
    run_id: int | None = None,
) -> Backup:
    """Start a backup in a process of its own; where as many run as may, it waits until one ends.

    Args:
        installation: whose.
        profile_id: which profile.
        description: may hold variables; empty: one is made.
        comment: for the record.
        overrides: settings by dotted key, for this backup only.
        origin: who asked: ``json``, ``cli`` or ``backend``.
        tag: first half of the backup's name in logs.
        run_id: number of the schedule's run that it is taken for; None: a person or a client asked for it.

    Returns:
        Its record.

    Raises:
        NotFoundError: there is no such profile, or its site's folder is gone.
        ConfigurationError: the profile lacks something.
        UsageError: its site is on another machine.
        BackupRunningError: a backup of this profile is running or waits, or the run has its backup already.
    """
    if (site := installation.catalogue.sites.find_by_profile(profile_id)) is not None and site.kind == "remote":
        return queue_backup(
            installation,
            profile_id,
            run_id=run_id,
            description=description,
            comment=comment,
            overrides=overrides,
            origin=origin,
            tag=tag,
        )
    # Held over both, so that another start sees either no backup of this profile or a living one.
    with lock.exclusive(installation.home.jobs / f"profile-{profile_id}.lock"):
        backup = prepare_backup(
            installation,
            profile_id=profile_id,
            description=description,
            comment=comment,
            overrides=overrides,
            origin=origin,
            tag=tag,
            run_id=run_id,
        )
        start_waiting(installation)
    return backup


def prepare_backup(
    installation: Installation,
    *,
    profile_id: int = 1,
    description: str = "",
    comment: str = "",
    overrides: Mapping[str, object] | None = None,
    origin: str = "json",
    tag: str = "json",
    run_id: int | None = None,
) -> Backup:
    """Make the record and the job of a backup, and start nothing; see ``start_backup``, which holds the lock."""
    catalogue = installation.catalogue
    profile = catalogue.profiles.get(profile_id)
    claim_site(installation, profile)
    _refuse_second(installation, profile)
    plan = make_plan(
        installation.home,
        profile,
        overrides=overrides or {},
        description=description,
        comment=comment,
        tag=tag,
        moment=installation.now(),
        incremental_since=_last_complete(installation, profile_id),
    )
    return catalogue.backups.create(
        profile_id=profile_id,
        backupstart=datetime.fromisoformat(plan.started),
        type=plan.settings.backup_type,
        description=plan.description,
        comment=plan.comment,
        origin=origin,
        tag=tag,
        backupid=plan.backupid,
        archivename=Path(plan.archive).name,
        job=catalogue.jobs.encrypted(plan.to_json()),
        run_id=run_id,
    )


def survey_backup(
    installation: Installation, profile_id: int, overrides: Mapping[str, object] | None = None
) -> tuple[Plan, Survey, list[str]]:
    """Return what a backup would take, without taking it.

    Returns:
        The plan, the counts, and the warnings that the filters give.

    Raises:
        NotFoundError: there is no such profile, or its site's folder is gone.
        ConfigurationError: the profile lacks something.
    """
    plan = make_plan(
        installation.home,
        installation.catalogue.profiles.get(profile_id),
        overrides=overrides or {},
        description="",
        comment="",
        tag="",
        moment=installation.now(),
        incremental_since=_last_complete(installation, profile_id),
    )
    warnings: list[str] = []
    if plan.settings.backup_type in ("dbonly", "alldb"):
        return plan, Survey(0, 0, 0, 0, {}), warnings
    folders = (installation.home.path, Path(plan.archive).parent)
    return plan, survey(trees(plan, folders, on_warning=warnings.append)), warnings


def pause_backup(installation: Installation, backup_id: int) -> None:
    """Stop a backup; it is resumed by whoever steps it, and by nobody else.

    Raises:
        BackupRunningError: its process does not end, not even when it is killed.
    """
    refuse_elsewhere(installation, get_backup(installation, backup_id))
    installation.catalogue.jobs.update(backup_id, paused=True)
    stop(installation, backup_id)
    start_waiting(installation)


def resume_backup(installation: Installation, backup_id: int) -> None:
    """Let a backup that a person stopped go on, as soon as it may.

    Raises:
        NotFoundError: there is no such record.
        UsageError: it has ended.
    """
    backup = get_backup(installation, backup_id)
    if backup.status != "run":
        raise UsageError(f"Backup {backup_id} has ended: take a new one.")
    installation.catalogue.jobs.update(backup_id, paused=False)
    start_waiting(installation)


def step_backup(installation: Installation, backupid: str) -> StepState:
    """Wait for news of a backup and return them; one that waits, died or was stopped is started as soon as it may.

    Answers at once when there is a new warning, a new domain or the end, else within a second, and no later than the
    profile's maximum execution time. Blocks: call it in a thread.

    Raises:
        NotFoundError: there is no backup of that name.
    """
    backup = installation.catalogue.backups.find(backupid) if backupid else None
    if backup is None:
        raise NotFoundError(f"There is no backup named {backupid!r}: start one first.")
    if backup.status == "run" and backup.id in installation.catalogue.jobs.paused():
        installation.catalogue.jobs.update(backup.id, paused=False)
    _wait_for_news(installation, backup)
    return _state(installation, backup.id)


def acknowledge(installation: Installation, state: StepState) -> None:
    """Note that a client was sent a state: its warnings are not reported again.

    A reply that could not be sent is not acknowledged, and what it held comes again with the next one.
    """
    values: dict[str, object] = {}
    if state.last_warning:
        values["warnings_reported"] = state.last_warning
    if not state.has_run:
        values["domain_reported"] = _END_REPORTED
    if values:
        # What cannot be noted is reported once more.
        with contextlib.suppress(DiskFullError):
            installation.catalogue.jobs.update(state.backup_id, **values)


def unnamed_backupid(installation: Installation, tag: str) -> str:
    """The backup that a step without a name means: the newest running one of its tag.

    A backup may end between two steps; so where none runs, it is the newest of the tag, until its end was reported.
    Clients older than API level 330 send such steps (clients.md, third-party clients).

    Returns:
        Its backupid; empty where there is none.
    """
    table = installation.catalogue.backups
    running = next((one for one in table.newest(status="run") if one.tag == tag), None)
    if running is not None:
        return running.backupid or ""
    newest = next((one for one in table.newest(0, 50) if one.tag == tag), None)
    job = installation.catalogue.jobs.get(newest.id) if newest else None
    if newest is None or job is None or job.domain_reported == _END_REPORTED:
        return ""
    return newest.backupid or ""


def _refuse_second(installation: Installation, profile: Profile) -> None:
    """Refuse a second backup of a profile at the same time; one that died and was not resumed, or hangs, is ended."""
    tidy(installation)
    for backup in installation.catalogue.backups.newest(status="run", profile_id=profile.id):
        if is_stuck(installation, backup.id):
            minutes = int(report.silence(installation.home.job(backup.id)) // 60)
            with stopped(installation, backup.id, patience=0.0):
                end(
                    installation,
                    backup.id,
                    f"It hung: for {minutes} minutes it gave no sign of life, and a new backup of the same profile was "
                    "started.",
                )
            continue
        if not is_of_here(installation, backup):
            raise _running(backup, f"runs on the machine {backup.machine}")
        waits = _has_not_begun(installation, backup.id)
        superseded = not waits and mark_failed(
            installation, backup.id, "Its process died, and a new backup of the same profile was started."
        )
        if waits or (not superseded and lock.is_alive(installation.home.job(backup.id))):
            raise _running(backup, "waits" if waits else "is running")


def _running(backup: Backup, state: str) -> BackupRunningError:
    return BackupRunningError(
        f"Backup {backup.id} of profile {backup.profile_id} {state} since "
        f"{backup.backupstart:%Y-%m-%d %H:%M:%S} UTC: "
        f"wait for its end, or stop it with 'backstay delete {backup.id}'."
    )


def _has_not_begun(installation: Installation, backup_id: int) -> bool:
    """Return whether a backup waits for its first process."""
    job = installation.catalogue.jobs.get(backup_id)
    return job is not None and not job.attempts and job.checkpoint is None and not job.paused


def _last_complete(installation: Installation, profile_id: int) -> int | None:
    found = installation.catalogue.backups.newest(0, 1, status="complete", profile_id=profile_id)
    return int(found[0].backupstart.timestamp()) if found else None


def _wait_for_news(installation: Installation, backup: Backup) -> None:
    catalogue, folder = installation.catalogue, installation.home.job(backup.id)
    job = catalogue.jobs.get(backup.id)
    if job is None or not _goes_on(installation, backup):
        return
    limit = Plan.from_json(job.plan).settings.maximum_execution_time if job.plan else 0
    begun = looked_at = time.monotonic()
    seen, alive = (0, 0), True
    while True:
        version = report.version(folder)
        if version != seen or time.monotonic() - looked_at >= (_ALIVE_SECONDS if alive else _WAITING_SECONDS):
            seen, looked_at = version, time.monotonic()
            alive = is_worked_on(installation, backup)
            current = catalogue.backups.get(backup.id)
            if current is None or not _goes_on(installation, current):
                return
            if current.status == "complete":
                # Retention is short: its end is looked for each time.
                looked_at = 0.0
            elif not alive:
                start_waiting(installation)
            progress = report.read(folder)
            if current.warning_count > job.warnings_reported or (progress and progress.domain != job.domain_reported):
                return
        # 0 means that the profile sets no limit.
        if time.monotonic() - begun >= min(_STEP_SECONDS, limit or _STEP_SECONDS):
            return
        time.sleep(_POLL_SECONDS)


def _goes_on(installation: Installation, backup: Backup) -> bool:
    """Return whether there is more to come of a backup: one whose record is complete goes on until retention has ended.

    A process that dies or hangs in retention is not waited for: the next backup applies the same rules.
    """
    if backup.status != "complete":
        return backup.status == "run"
    job = installation.catalogue.jobs.get(backup.id)
    # The plan is wiped when retention has ended; a drill may follow, and is not waited for.
    in_retention = job is not None and bool(job.plan) and lock.is_alive(installation.home.job(backup.id))
    return in_retention and not is_stuck(installation, backup.id)


def _state(installation: Installation, backup_id: int) -> StepState:
    catalogue = installation.catalogue
    backup, job = catalogue.backups.get(backup_id), catalogue.jobs.get(backup_id)
    if backup is None:
        raise NotFoundError(f"Backup {backup_id} was deleted while it ran.")
    has_run = _goes_on(installation, backup)
    progress = latest_report(installation, backup) or Progress("init")
    if backup.status == "run" and (earlier := awaited(installation, backup_id)):
        progress = replace(progress, step=f"Waiting for the end of backup {earlier}", substep="")
    domain = "finale" if backup.status == "complete" else progress.domain
    warnings = catalogue.backups.warnings(backup_id, job.warnings_reported if job else 0)
    number = (job.step_number if job else 0) + 1
    if job is not None:
        # On a full disk the client is to hear how the backup ends, not that its step could not be counted.
        with contextlib.suppress(DiskFullError):
            catalogue.jobs.update(backup_id, step_number=number, domain_reported=domain)
    states: dict[str, Literal["init", "running", "finished", "error"]] = {"complete": "finished", "fail": "error"}
    return StepState(
        has_run=has_run,
        domain=domain,
        step=progress.step,
        substep=progress.substep,
        error=(backup.error or "The backup failed.") if backup.status == "fail" else "",
        warnings=tuple(message for _number, message in warnings),
        archive=backup.archivename,
        tag=backup.tag or "",
        progress=100
        if backup.status == "complete" and not has_run
        else percent(backup.type, domain, progress.fraction),
        backupid=backup.backupid or "",
        step_number=number,
        step_state="running" if has_run else states.get(backup.status, "running"),
        backup_id=backup.id,
        profile_id=backup.profile_id,
        last_warning=warnings[-1][0] if warnings else 0,
        report=progress,
    )
