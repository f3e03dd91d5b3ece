"""Restores as a person asks for them: from a record, a file or another server, begun, resumed, undone, confirmed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backstay.archives import open_archive
from backstay.catalogue.vault import Vault
from backstay.errors import BackstayError, DiskFullError, NotFoundError, UsageError, VerificationError
from backstay.jobs.fetching import fetch_stored
from backstay.jobs.installation import Installation
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.stored_backups import choose_copy, remote_archive
from backstay.platforms import Site, find_site
from backstay.profiles import Settings
from backstay.restore import (
    Arrival,
    RemoteArchive,
    Reporter,
    RestorePlan,
    RestoreProgress,
    RestoreReport,
    RestoreRun,
    begin,
    extract_configuration,
    is_held,
    open_journals,
    read_layout,
    read_lines,
    reopen_journal,
)

if TYPE_CHECKING:
    # The client's library takes its time to load, and most restores need none.
    from backstay.client import Client, DownloadProgress

_TASK = "task"
State = Literal["staging", "swapping", "in place", "going back", "confirmed"]


@dataclass(frozen=True, slots=True)
class RestoreSource:
    """An archive to restore, and what is known of where it came from.

    Attributes:
        path: main file of the archive; its name alone where it lies on a server.
        password: of the archive, where it needs one.
        root: folder that was backed up; None where that is not known.
        database: URL of the site's database there; empty where that is not known.
        remote: where it is to be downloaded from; None where it lies here.
        is_own: the archive is of a backup of this installation.
    """

    path: Path
    password: str | None = field(default=None, repr=False)
    root: Path | None = None
    database: str = field(default="", repr=False)
    remote: RemoteArchive | None = None
    is_own: bool = False


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


def source_of_backup(
    installation: Installation, backup_id: int, password: str | None = None, storage: str = ""
) -> RestoreSource:
    """Return what a record of this installation gives to restore.

    Args:
        installation: whose.
        backup_id: number of the record.
        password: of the archive; None: that of its profile.
        storage: name of the destination whose copy is restored; empty: the local files where they are there.

    Raises:
        NotFoundError: there is no such record, or its files are gone and it has no copy.
    """
    backup = get_backup(installation, backup_id)
    files = backup_files(installation, backup)
    remote = None
    if storage or not files:
        remote = remote_archive(installation, choose_copy(installation, backup, storage))
    path = Path(remote.parts[-1][0]) if remote else files[-1].path
    # What was found at a storage says of itself what it is: nothing here can check whether that is true.
    is_own = not backup.proof.get("imported") and (remote is None or all(remote.hashes))
    try:
        settings = installation.catalogue.profiles.get(backup.profile_id).settings()
    except BackstayError:
        return RestoreSource(path, password, remote=remote, is_own=is_own)
    return RestoreSource(
        path,
        password or settings.archive_password.get_secret_value() or None,
        Path(settings.root) if settings.root else None,
        _database_of(settings) or _database_in(path, settings, remote),
        remote,
        is_own,
    )


def _database_of(settings: Settings) -> str:
    """Return the URL of the database that a site uses today: the profile's, else what its configuration names."""
    given = settings.database.get_secret_value()
    if given or not settings.root:
        return "" if given == "none" else given
    try:
        return _first_of(find_site(Path(settings.root)))
    except (BackstayError, OSError):
        return ""


def _database_in(path: Path, settings: Settings, remote: RemoteArchive | None) -> str:
    """Return the URL of the database that a site's configuration in an archive names: of a site that is lost, say.

    Of an archive elsewhere it is not looked for: that would take its time.
    """
    if settings.database.get_secret_value() or remote is not None:
        return ""
    password = settings.archive_password.get_secret_value() or None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="backstay-") as folder,
            open_archive(path, password=password) as archive,
        ):
            extract_configuration(archive, read_layout(archive), Path(folder))
            return _first_of(find_site(Path(folder)))
    except (BackstayError, OSError):
        return ""


def _first_of(site: Site) -> str:
    return next((one.address.url() for one in site.databases if one.address.kind != "sqlite"), "")


def source_of_archive(path: Path, password: str | None = None) -> RestoreSource:
    """Return what a file gives to restore.

    Args:
        path: main file of an archive.
        password: of the archive.

    Raises:
        NotFoundError: there is no such file.
        UsageError: it is a dump and no archive.
    """
    if path.is_file() and path.suffix.lower() == ".sql":
        raise UsageError(
            f"{path} is a dump and no archive: load it with the database's own client, such as mariadb, psql "
            "or sqlite3."
        )
    if not path.is_file():
        raise NotFoundError(
            f"There is no archive {path}: give the path of its main file, a backup's number, or an address."
        )
    return RestoreSource(path.resolve(), password)


def source_of_server(
    client: Client, address: tuple[str, str], backup_id: int | None, password: str | None = None, connections: int = 1
) -> RestoreSource:
    """Return what a server of the API gives to restore; nothing is downloaded yet.

    Args:
        client: of the server.
        address: its address and its secret: a restore that is resumed later calls it again.
        backup_id: number of the record there; None: the newest that is complete.
        password: of the archive.
        connections: how many connections the download takes at once.

    Raises:
        NotFoundError: there is no such backup, none that is complete, or its files are gone.
        BackstayError: the server could not be reached, or refused.
    """
    if backup_id is None:
        backup_id = next((record.id for record in client.list_backups(0, 0) if record.meta == "ok"), None)
        if backup_id is None:
            raise NotFoundError("The server has no complete backup with its files: take one first.")
    parts = tuple((part.name, part.size) for part in client.get_backup_info(backup_id).filenames)
    if not parts:
        raise NotFoundError(f"The files of backup {backup_id} are not on the server: choose another one.")
    remote = RemoteArchive(*address, backup_id, parts, connections)
    return RestoreSource(Path(parts[-1][0]), password, remote=remote)


@contextmanager
def fetched(
    installation: Installation, source: RestoreSource, on_progress: Callable[[DownloadProgress], None]
) -> Iterator[RestoreSource]:
    """Download an archive to be looked at; it is removed at the end of the block.

    Args:
        installation: where it goes meanwhile.
        source: yielded as it is where it lies here already, or at a storage, where it is read without that.
        on_progress: called with how far the download is.
    """
    if source.remote is None or source.remote.storage:
        yield source
        return
    restores = _restores(installation)
    restores.mkdir(mode=0o700, exist_ok=True)
    _check_space(restores, source.remote)
    with tempfile.TemporaryDirectory(prefix="look-", dir=restores) as folder:
        from backstay.client import Client

        with Client(source.remote.url, source.remote.secret) as client:
            parts = client.download(source.remote.backup_id, folder, on_progress=on_progress)
        yield replace(source, path=parts[-1], remote=None)


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


def _check_space(folder: Path, remote: RemoteArchive) -> None:
    free = shutil.disk_usage(folder).free
    if free < remote.size:
        raise DiskFullError(
            f"There is no space for the download in {folder}: the archive has {remote.size} bytes, and {free} are free."
        )


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
        _check_space(installation.home.path, plan.remote)
    return begin(_restores(installation), _vault(installation), plan)


def run_restore(
    run: RestoreRun, on_warning: Callable[[str], None]
) -> Generator[RestoreProgress | RestoreReport, None, None]:
    """Do a restore, from wherever it is; see ``RestoreRun.run``."""
    run.fetch = _fetch
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
    journal = reopen_journal(_restores(installation), name_of_restore(installation, name))
    try:
        return RestoreRun(journal, _vault(installation))
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
    for folder in open_journals(_restores(installation)):
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
        (_restores(installation) / name / _TASK).write_text(str(task_id))


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
