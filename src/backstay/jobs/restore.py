"""Restores as a person asks for them: from a record, a file or another server, begun, taken up, undone, confirmed."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backstay.catalogue.vault import Vault
from backstay.errors import BackstayError, NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, get_backup
from backstay.restore import (
    RestorePlan,
    RestoreProgress,
    RestoreReport,
    RestoreRun,
    begin,
    open_journals,
    read_lines,
    take_up,
)

if TYPE_CHECKING:
    # The client's library takes its time to load, and most restores need none.
    from backstay.client import Client, DownloadProgress

State = Literal["staging", "swapping", "in place", "going back", "confirmed"]


@dataclass(frozen=True, slots=True)
class RestoreSource:
    """An archive to restore, and what is known of where it came from.

    Attributes:
        path: main file of the archive.
        password: of the archive, where it needs one.
        root: folder that was backed up; None where that is not known.
        database: URL of the site's database there; empty where that is not known.
        fetched: folder that was made for a download; empty where there was none.
    """

    path: Path
    password: str | None = field(default=None, repr=False)
    root: Path | None = None
    database: str = field(default="", repr=False)
    fetched: str = ""


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
    """

    name: str
    target: str
    archive: str
    state: State
    begun: str
    kept_until: datetime | None


def source_of_backup(installation: Installation, backup_id: int, password: str | None = None) -> RestoreSource:
    """Return what a record of this installation gives to restore.

    Raises:
        NotFoundError: there is no such record, or its files are gone.
    """
    backup = get_backup(installation, backup_id)
    files = backup_files(installation, backup)
    if not files:
        raise NotFoundError(f"Backup {backup.id} has no files (its state is {backup.meta}): choose another one.")
    try:
        settings = installation.catalogue.profiles.get(backup.profile_id).settings()
    except BackstayError:
        return RestoreSource(files[-1].path, password)
    database = settings.database.get_secret_value()
    return RestoreSource(
        files[-1].path,
        password or settings.archive_password.get_secret_value() or None,
        Path(settings.root) if settings.root else None,
        "" if database == "none" else database,
    )


def source_of_server(
    installation: Installation,
    client: Client,
    backup_id: int | None,
    password: str | None = None,
    on_progress: Callable[[DownloadProgress], None] | None = None,
) -> RestoreSource:
    """Download a backup from a server of the API, to be restored.

    Args:
        installation: where the download goes until the restore is over.
        client: of the server.
        backup_id: number of the record there; None: the newest that is complete.
        password: of the archive.
        on_progress: told how far the download is.

    Raises:
        NotFoundError: there is no such backup, or none that is complete.
        BackstayError: the server could not be reached, or refused.
    """
    if backup_id is None:
        backup_id = next((record.id for record in client.list_backups(0, 0) if record.meta == "ok"), None)
        if backup_id is None:
            raise NotFoundError("The server has no complete backup with its files: take one first.")
    folder = _restores(installation) / f"download-{secrets.token_hex(4)}"
    try:
        parts = client.download(backup_id, folder, on_progress=on_progress)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return RestoreSource(parts[-1], password, fetched=str(folder))


def begin_restore(installation: Installation, plan: RestorePlan) -> RestoreRun:
    """Write a restore down; ``run_restore`` does it.

    Raises:
        RestoreError: the target cannot be written to, or another restore of it is not over.
    """
    for pending in pending_restores(installation):
        same = pending.target == str(Path(plan.target).resolve())
        if same and pending.state not in ("in place", "confirmed"):
            raise UsageError(
                f"The restore {pending.name} of {pending.target} is not done: finish it with "
                f"'backstay restore --resume {pending.name}', or take it back with --undo."
            )
    return begin(_restores(installation), _vault(installation), plan)


def run_restore(run: RestoreRun, on_warning: Callable[[str], None]) -> Iterator[RestoreProgress | RestoreReport]:
    """Do a restore, from wherever it is; see ``RestoreRun.run``."""
    with run.journal:
        yield from run.run(on_warning)


def take_up_restore(installation: Installation, name: str = "") -> RestoreRun:
    """Open a restore that is not over.

    Args:
        installation: where it was begun.
        name: of the restore; empty: the newest.

    Raises:
        NotFoundError: there is none.
        RestoreError: it is running.
    """
    folder = _restores(installation)
    found = open_journals(folder)
    if not name:
        if not found:
            raise NotFoundError("There is no restore to take up: all are over.")
        name = found[-1].name
    journal = take_up(folder, name)
    try:
        return RestoreRun(journal, _vault(installation))
    except BaseException:
        journal.close()
        raise


def undo_restore(run: RestoreRun, on_warning: Callable[[str], None]) -> None:
    """Take a restore back; see ``RestoreRun.undo``."""
    with run.journal:
        run.undo(on_warning)


def confirm_restore(run: RestoreRun) -> None:
    """Drop what a restore replaced; see ``RestoreRun.confirm``."""
    with run.journal:
        run.confirm()


def pending_restores(installation: Installation) -> list[PendingRestore]:
    """Return the restores that are not over, oldest first."""
    found = []
    for folder in open_journals(_restores(installation)):
        lines = {line["step"]: line for line in read_lines(folder)}
        first = lines.get("begin")
        if first is None:
            continue
        until = None
        if swapped := lines.get("swapped"):
            until = datetime.fromisoformat(swapped["at"]) + timedelta(days=first["keep_days"])
        found.append(
            PendingRestore(folder.name, first["target"], first["archive"], _state(lines.keys()), first["at"], until)
        )
    return found


def confirm_overdue(installation: Installation, on_warning: Callable[[str], None]) -> list[str]:
    """Confirm restores whose time to be taken back is over; return their names."""
    done = []
    for pending in pending_restores(installation):
        if pending.state != "in place" or pending.kept_until is None or pending.kept_until > datetime.now(UTC):
            continue
        try:
            confirm_restore(take_up_restore(installation, pending.name))
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
