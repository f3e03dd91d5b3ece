"""Restores as a person asks for them: begun, resumed, undone, confirmed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backstay.catalogue.vault import Vault
from backstay.errors import BackstayError, NotFoundError, UsageError, VerificationError
from backstay.jobs.fetching import fetch_stored
from backstay.jobs.installation import Installation
from backstay.jobs.restore_sources import check_space, plan_opener, restores_of
from backstay.restore import (
    Arrival,
    RemoteArchive,
    Reporter,
    RestorePlan,
    RestoreProgress,
    RestoreReport,
    RestoreRun,
    begin,
    is_held,
    open_journals,
    read_lines,
    reopen_journal,
)

if TYPE_CHECKING:
    # The client's library takes its time to load, and most restores need none.
    from backstay.client import DownloadProgress

_TASK = "task"
State = Literal["staging", "swapping", "in place", "going back", "confirmed"]


@dataclass(frozen=True, slots=True)
class PendingRestore:
    """A restore that is not over: unfinished, or kept so that it can be taken back.

    Attributes:
        name: what it is called.
        target: folder of the site.
        archive: what was restored.
        state: how far it is.
        begun: moment, ISO 8601.
        kept_until: until when what was replaced is kept; None before the swap.
        databases: what it loads into, passwords blanked.
        running: a process works on it at this moment.
        task_id: number of the task that did or does it; None: it was done by a command.
    """

    name: str
    target: str
    archive: str
    state: State
    begun: str
    kept_until: datetime | None
    databases: tuple[str, ...] = ()
    running: bool = False
    task_id: int | None = None


def _fetch(remote: RemoteArchive, folder: Path, arrival: Arrival, reporter: Reporter) -> None:
    """Download an archive for a restore, from wherever an earlier process came to."""
    if remote.storage:
        fetch_stored(remote, folder, arrival, reporter)
        return
    from backstay.client import Client

    names, sizes = zip(*remote.parts, strict=True)
    before = dict(zip(names, accumulate(sizes, initial=0), strict=False))

    def report(progress: DownloadProgress) -> None:
        # Over several connections a part has gaps until it is whole.
        arrival.count = max(progress.done, 0) if remote.connections == 1 else before.get(progress.name, 0)
        reporter.progress(progress.name, progress.done, progress.total)

    with Client(remote.url, remote.secret) as client:
        found = client.download(remote.backup_id, folder, connections=remote.connections, on_progress=report)
    if tuple((path.name, path.stat().st_size) for path in found) != remote.parts:
        raise VerificationError(
            f"The files of backup {remote.backup_id} on the server are not those of when the restore was begun."
        )
    arrival.count = remote.size


def begin_restore(installation: Installation, plan: RestorePlan) -> RestoreRun:
    """Write a restore down; ``run_restore`` does it.

    Raises:
        RestoreError: the target cannot be written to.
        UsageError: another restore of it is not over.
        DiskFullError: there is no space for what it downloads.
    """
    for pending in pending_restores(installation):
        same = pending.target == str(Path(plan.target).resolve())
        if same and pending.state not in ("in place", "confirmed"):
            raise UsageError(
                f"The restore {pending.name} of {pending.target} is not done: finish it with "
                f"'backstay restore --resume {pending.name}', or take it back with --undo."
            )
    if plan.remote is not None:
        check_space(installation.home.path, plan.remote)
    run = begin(restores_of(installation), _vault(installation), plan)
    try:
        return _ready(installation, run)
    except BaseException:
        run.journal.remove()
        raise


def _ready(installation: Installation, run: RestoreRun) -> RestoreRun:
    """Say how a restore comes by its archive."""
    run.fetch = _fetch
    if run.plan.repository:
        run.opener = plan_opener(installation, run.plan)
    return run


def run_restore(
    run: RestoreRun, on_warning: Callable[[str], None]
) -> Generator[RestoreProgress | RestoreReport, None, None]:
    """Do a restore, from wherever it is; see ``RestoreRun.run``."""
    with run.journal:
        yield from run.run(on_warning)


def resume_restore(installation: Installation, name: str = "") -> RestoreRun:
    """Open a restore that is not over.

    Args:
        installation: where it was begun.
        name: of the restore; empty: the newest, where all are of one site.

    Raises:
        NotFoundError: there is none.
        UsageError: there are several of different sites.
        RestoreError: it is running.
    """
    journal = reopen_journal(restores_of(installation), name_of_restore(installation, name))
    try:
        return _ready(installation, RestoreRun(journal, _vault(installation)))
    except BaseException:
        journal.close()
        raise


def name_of_restore(installation: Installation, name: str = "") -> str:
    """Return the name of a restore that is not over: the given one, or the newest, where all are of one site.

    Raises:
        NotFoundError: there is none.
        UsageError: there are several of different sites.
    """
    if name:
        return name
    found = pending_restores(installation)
    if not found:
        raise NotFoundError("There is no restore to resume: all are over.")
    if len({one.target for one in found}) > 1:
        listed = ", ".join(f"{one.name} of {one.target}" for one in found)
        raise UsageError(f"There are restores of several sites, so name the one that is meant: {listed}.")
    return found[-1].name


def undo_restore(installation: Installation, run: RestoreRun, on_warning: Callable[[str], None]) -> None:
    """Take a restore back; see ``RestoreRun.undo``.

    Raises:
        UsageError: a later one is built on it, and must be taken back first.
        BackstayError: it could not be taken back; the call may be repeated.
    """
    with run.journal:
        listed = pending_restores(installation)
        own = next(one for one in listed if one.name == run.journal.name)
        for later in listed[listed.index(own) + 1 :]:
            if later.target == own.target or set(later.databases) & set(own.databases):
                raise UsageError(
                    f"The restore {later.name} came after {own.name}, in the same place: take that back first, "
                    f"with 'backstay restore --undo {later.name}', or confirm it."
                )
        run.undo(on_warning)


def confirm_restore(run: RestoreRun) -> None:
    """Drop what a restore replaced; see ``RestoreRun.confirm``."""
    with run.journal:
        run.confirm()


def pending_restores(installation: Installation) -> list[PendingRestore]:
    """Return the restores that are not over, oldest first."""
    found = []
    for folder in open_journals(restores_of(installation)):
        lines = {line["step"]: line for line in read_lines(folder)}
        first = lines.get("begin")
        if first is None:
            continue
        until = None
        if swapped := lines.get("swapped"):
            until = datetime.fromisoformat(swapped["at"]) + timedelta(days=first["keep_days"])
        found.append(
            PendingRestore(
                folder.name,
                first["target"],
                first["archive"],
                _state(lines.keys()),
                first["at"],
                until,
                tuple(first.get("databases", ())),
                is_held(folder),
                _task_of(folder),
            )
        )
    return sorted(found, key=lambda one: one.begun)


def pending_restore(installation: Installation, name: str) -> PendingRestore:
    """Return a restore that is not over.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = next((one for one in pending_restores(installation) if one.name == name), None)
    if found is None:
        raise NotFoundError(f"There is no restore {name} to finish or to take back: it is over.")
    return found


def note_task(installation: Installation, name: str, task_id: int) -> None:
    """Note which task works on a restore; nothing depends on it."""
    with suppress(OSError):
        (restores_of(installation) / name / _TASK).write_text(str(task_id))


def _task_of(folder: Path) -> int | None:
    try:
        return int((folder / _TASK).read_text())
    except (OSError, ValueError):
        return None


def confirm_overdue(installation: Installation, on_warning: Callable[[str], None]) -> list[str]:
    """Confirm restores whose time to be taken back is over; return their names."""
    done = []
    for pending in pending_restores(installation):
        if pending.state != "in place" or pending.kept_until is None or pending.kept_until > datetime.now(UTC):
            continue
        try:
            confirm_restore(resume_restore(installation, pending.name))
        except (BackstayError, OSError) as problem:
            on_warning(f"What the restore {pending.name} replaced could not be removed: {problem}")
            continue
        done.append(pending.name)
    return done


def _state(steps: Collection[str]) -> State:
    states: dict[str, State] = {
        "confirmed": "confirmed",
        "undo": "going back",
        "swapped": "in place",
        "swap": "swapping",
    }
    return next((state for step, state in states.items() if step in steps), "staging")


def _restores(installation: Installation) -> Path:
    return installation.home.path / "restores"


def _vault(installation: Installation) -> Vault:
    return Vault(installation.home.key)
