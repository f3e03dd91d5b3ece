"""Drills as a person asks for them, or a profile: done, and their verdict kept in the backup's record."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from backstay.archives import find_parts
from backstay.archives.deep_trees import remove_tree, walk
from backstay.catalogue import Backup
from backstay.databases import DatabaseAddress
from backstay.errors import BackstayError, UsageError, VerificationError
from backstay.jobs import lock
from backstay.jobs.archive_of import LocalArchive, RepositoryArchive, archive_here, archive_of
from backstay.jobs.fetching import fetch_stored
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.stored_backups import open_remote, remote_archive, stored_copies
from backstay.platforms import find_site
from backstay.profiles import Settings
from backstay.restore import ArchiveElsewhere, DrillReport, RestoreProgress, drill

_SHOWN_PROBLEMS = 5

_log = logging.getLogger(__name__)


def drill_backup(
    installation: Installation,
    backup_id: int,
    *,
    server: str = "",
    scratch: Path | None = None,
    password: str | None = None,
    settings: Settings | None = None,
    storage: str = "",
) -> Generator[RestoreProgress | DrillReport, None, None]:
    """Prove a backup by restoring it where nobody needs it; the verdict goes into its record.

    Args:
        installation: whose.
        backup_id: number of the record.
        server: URL of any database on a server where scratch ones may be made; empty: the profile's for drills, else
            that of the site's own.
        scratch: folder with space for the site; None: in the home.
        password: of the archive; None: that of the profile.
        settings: those the backup was taken with; None: its profile's.
        storage: name of the destination whose copy is drilled; empty: the local files where they are there.

    Yields:
        The progress, and last a ``DrillReport``.

    Raises:
        NotFoundError: there is no such record.
        UsageError: the record is of no complete backup.
    """
    backup = get_backup(installation, backup_id)
    if backup.status != "complete" or backup.type == "dbonly":
        raise UsageError(f"Backup {backup_id} can't be drilled: it is no complete archive.")
    settings = settings or _settings(installation, backup)
    with _scratch_folder(installation, backup_id, scratch) as place:
        secret = password or (settings.archive_password.get_secret_value() if settings else "") or None
        archive = _archive(installation, backup, storage, secret)
        for step in drill(archive, secret, _servers(server, settings), place):
            if isinstance(step, DrillReport):
                found = step if isinstance(archive, ArchiveElsewhere) else _against_record(backup, step)
                _keep(installation, backup_id, found)
                yield found
            else:
                yield step


@contextmanager
def _scratch_folder(installation: Installation, backup_id: int, given: Path | None) -> Iterator[Path]:
    """Make a folder that is removed in the end; with it go those in the home whose drills were killed."""
    folder = given or installation.home.path / "drills"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Held until the new one is locked, or another drill would take it for one that was left.
    with lock.exclusive(installation.home.jobs / "drills.lock"):
        for left in folder.glob("drill-*") if given is None else ():
            with _locked(left) as taken:
                if taken:
                    _remove(left)
        place = Path(tempfile.mkdtemp(prefix=f"drill-{backup_id}-", dir=folder))
        held = ExitStack()
        held.enter_context(_locked(place))
    with held:
        try:
            yield place
        finally:
            _remove(place)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder if that can be had at once; gives whether it could. A process that dies lets go of it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # It was removed at this moment.
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _archive(installation: Installation, backup: Backup, storage: str, password: str | None) -> Path | ArchiveElsewhere:
    # That the files of a backup without copies are gone is what a drill finds out.
    only_here = not storage and not stored_copies(installation, backup.id)
    where = archive_here(installation, backup) if only_here else archive_of(installation, backup, storage)
    if isinstance(where, LocalArchive):
        return where.main
    if isinstance(where, RepositoryArchive):
        return ArchiveElsewhere(f"backup {backup.id} in the repository {where.row.repository}", where.opener())
    remote = remote_archive(installation, where.copy)
    return ArchiveElsewhere(remote.place, lambda: open_remote(remote, password), remote, fetch_stored)


def drill_error(backup_id: int, report: DrillReport) -> VerificationError:
    """Return the error that names what a drill has found, or why it could not be made."""
    found = " ".join(report.problems[:_SHOWN_PROBLEMS])
    more = f" And {report.problem_count - _SHOWN_PROBLEMS} more." if report.problem_count > _SHOWN_PROBLEMS else ""
    what = "failed its drill" if report.verdict == "failed" else "could not be proven"
    return VerificationError(f"Backup {backup_id} {what}: {found}{more}")


def drill_after_backup(installation: Installation, backup_id: int, settings: Settings) -> None:
    """Drill a backup that was just taken, if it is one; nothing that goes wrong is raised."""
    backup = installation.catalogue.backups.get(backup_id)
    if backup is None or backup.status != "complete" or backup.type == "dbonly":
        return
    try:
        for step in drill_backup(installation, backup_id, settings=settings):
            if isinstance(step, DrillReport):
                level = logging.INFO if step.verdict == "passed" else logging.ERROR
                _log.log(level, "Drill %s in %.1f s: %s", step.verdict, step.seconds, "; ".join(step.problems))
    except (BackstayError, OSError) as error:
        _log.error("The drill could not be made: %s", error)


def _servers(given: str, settings: Settings | None) -> dict[str, DatabaseAddress]:
    given = given or (settings.drill_database.get_secret_value() if settings is not None else "")
    if given:
        address = DatabaseAddress.parse(given)
        return {address.kind: address}
    if settings is None:
        return {}
    url = settings.database.get_secret_value()
    if url and url != "none":
        address = DatabaseAddress.parse(url)
        return {address.kind: address}
    root = Path(settings.root) if settings.root else None
    found = find_site(root).databases if root and root.is_dir() and not url else []
    return {database.address.kind: database.address for database in reversed(found)}


def _settings(installation: Installation, backup: Backup) -> Settings | None:
    try:
        return installation.catalogue.profiles.get(backup.profile_id).settings()
    except BackstayError:
        return None


def _against_record(backup: Backup, report: DrillReport) -> DrillReport:
    """Hold the archive's parts to what the record says of them: a part that is gone need not be missed otherwise."""
    listed = {str(part["name"]): int(part["size"]) for part in backup.proof.get("parts", ())}
    try:
        found = {path.name: path.stat().st_size for path in find_parts(Path(backup.absolute_path))}
    except (BackstayError, OSError):
        found = {}
    wrong = [name for name, size in listed.items() if found.get(name) != size]
    if not wrong:
        return report
    problems = tuple(f"The part {name} is missing, or not as long as it was." for name in wrong)
    return DrillReport(
        "failed",
        report.at,
        report.seconds,
        (*problems, *report.problems)[:20],
        len(problems) + report.problem_count,
        report.files,
        report.tables,
        report.rows,
    )


def _keep(installation: Installation, backup_id: int, report: DrillReport) -> None:
    installation.catalogue.backups.update_proof(backup_id, lambda proof: {**proof, "drill": report.to_json()})


def _remove(place: Path) -> None:
    with suppress(OSError):
        # A site may hold folders that their owner cannot enter.
        for found in walk(place):
            for name in found.folders:
                os.chmod(name, 0o700, dir_fd=found.descriptor)
        remove_tree(place)
