"""What is restored: the archive of a record, a file, or a backup of another server; and how each is read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backstay.archives import ArchiveReader, open_archive
from backstay.errors import BackstayError, DiskFullError, NotFoundError, UsageError
from backstay.jobs.archive_of import CopiedArchive, LocalArchive, RecordArchive, archive_of
from backstay.jobs.installation import Installation
from backstay.jobs.records import get_backup
from backstay.jobs.repositories import stored_opener
from backstay.jobs.stored_backups import open_remote, remote_archive
from backstay.platforms import Site, find_site
from backstay.profiles import Settings
from backstay.restore import RemoteArchive, RestorePlan, extract_configuration, read_layout

if TYPE_CHECKING:
    # The client's library takes its time to load, and most restores need none.
    from backstay.client import Client, DownloadProgress


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
        repository, snapshot: name of the repository in which it lies, and its identity there; empty where in none.
        backup_id: number of its record here; 0 where it has none.
    """

    path: Path
    password: str | None = field(default=None, repr=False)
    root: Path | None = None
    database: str = field(default="", repr=False)
    remote: RemoteArchive | None = None
    is_own: bool = False
    repository: str = ""
    snapshot: str = ""
    backup_id: int = 0

    @property
    def name(self) -> str:
        """Where it lies, for a person."""
        if self.repository:
            return f"backup {self.backup_id} in the repository {self.repository}"
        return self.remote.place if self.remote else str(self.path)


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
    where = archive_of(installation, backup, storage)
    source = RestoreSource(Path(backup.archivename), password, backup_id=backup_id)
    # What was found at a storage says of itself what it is: nothing here can check whether that is true.
    is_own = not backup.proof.get("imported")
    if isinstance(where, CopiedArchive):
        remote = remote_archive(installation, where.copy)
        is_own = is_own and all(remote.hashes)
        source = replace(source, path=Path(remote.parts[-1][0]), remote=remote)
    elif isinstance(where, LocalArchive):
        source = replace(source, path=where.main)
    else:
        source = replace(source, repository=where.row.repository, snapshot=where.row.snapshot)
    try:
        settings = installation.catalogue.profiles.get(backup.profile_id).settings()
    except BackstayError:
        return replace(source, is_own=is_own)
    return replace(
        source,
        password=password or settings.archive_password.get_secret_value() or None,
        root=Path(settings.root) if settings.root else None,
        # Of an archive elsewhere it is not looked for: that would take its time.
        database=_database_of(settings) or ("" if source.remote else _database_in(where, settings)),
        is_own=is_own,
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


def _database_in(archive: RecordArchive, settings: Settings) -> str:
    """Return the URL of the database that a site's configuration in an archive names: of a site that is lost, say."""
    if settings.database.get_secret_value():
        return ""
    password = settings.archive_password.get_secret_value() or None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="backstay-") as folder,
            archive.open(password) as opened,
        ):
            extract_configuration(opened, read_layout(opened), Path(folder))
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
    restores = restores_of(installation)
    restores.mkdir(mode=0o700, exist_ok=True)
    check_space(restores, source.remote)
    with tempfile.TemporaryDirectory(prefix="look-", dir=restores) as folder:
        from backstay.client import Client

        with Client(source.remote.url, source.remote.secret) as client:
            parts = client.download(source.remote.backup_id, folder, on_progress=on_progress)
        yield replace(source, path=parts[-1], remote=None)


def plan_opener(installation: Installation, plan: RestorePlan) -> Callable[[], ArchiveReader]:
    """Return what opens the archive of a plan that is here, at a storage, or in a repository.

    Raises:
        NotFoundError: its repository is gone.
    """
    return _opener(installation, Path(plan.archive), plan.remote, (plan.repository, plan.snapshot), plan.password)


def source_opener(installation: Installation, source: RestoreSource) -> Callable[[], ArchiveReader]:
    """Return what opens what is restored; see `plan_opener`."""
    return _opener(installation, source.path, source.remote, (source.repository, source.snapshot), source.password)


def _opener(
    installation: Installation,
    path: Path,
    remote: RemoteArchive | None,
    stored: tuple[str, str],
    password: str | None,
) -> Callable[[], ArchiveReader]:
    if stored[0]:
        return stored_opener(installation, *stored)
    if remote is not None:
        return lambda: open_remote(remote, password)
    return lambda: open_archive(path, password=password)


def restores_of(installation: Installation) -> Path:
    """Return the folder with the journals of restores."""
    return installation.home.path / "restores"


def check_space(folder: Path, remote: RemoteArchive) -> None:
    """Refuse a download for which there is no space.

    Raises:
        DiskFullError: there is none.
    """
    free = shutil.disk_usage(folder).free
    if free < remote.size:
        raise DiskFullError(
            f"There is no space for the download in {folder}: the archive has {remote.size} bytes, and {free} are free."
        )
