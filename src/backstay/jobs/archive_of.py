"""The archive of a record, wherever it lies: parts on this machine, a copy at a storage, or a snapshot of a repository.

Whoever reads a backup asks here, and need not know where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from backstay.archives import ArchiveReader, find_parts, open_archive, open_parts
from backstay.catalogue import Backup, Copy, SnapshotRow
from backstay.engine import BackupFile, main_file, repository_by_name, repository_opener
from backstay.errors import BackstayError, DamagedRepositoryError
from backstay.jobs.installation import Installation
from backstay.jobs.machines import lies_elsewhere, refuse_elsewhere
from backstay.jobs.records import backup_files, get_backup
from backstay.jobs.stored_backups import (
    StoredFile,
    choose_copy,
    naming_copies,
    open_copy,
    password_of,
    stored_files,
)
from backstay.repository.archive_bytes import SnapshotArchive, hand_out
from backstay.repository.entry_formats import Form
from backstay.repository.opened import Repository
from backstay.storage import open_destination

_PIECE = 1 << 20


class RecordArchive(Protocol):
    """Where the archive of a record is read."""

    @property
    def storage(self) -> str:
        """Name of the storage whose copy it is; empty where it is the backup itself."""
        ...

    def open(self, password: str | None) -> ArchiveReader:
        """Open it where it lies.

        Raises:
            BackstayError: it cannot be read.
        """
        ...

    def identity(self) -> list[Any]:
        """Return what tells it from every other archive, and from itself when it has changed, as JSON."""
        ...

    def stream(self, name: str) -> Iterator[bytes]:
        """Read one of its parts."""
        ...

    def is_gone(self) -> bool:
        """Return whether parts of it are missing, after reading it has failed; False where that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class LocalArchive:
    """Parts that are files of this machine.

    Attributes:
        installation: whose.
        backup: the record.
        main: the main file.
    """

    installation: Installation
    backup: Backup
    main: Path
    storage = ""

    def open(self, password: str | None) -> ArchiveReader:
        """Open it; see `RecordArchive.open`. What is wrong with it names the copies that lie at storages."""
        with naming_copies(self.installation, self.backup.id):
            return open_archive(self.main, password=password)

    def identity(self) -> list[Any]:
        """Return names, sizes and times; see `RecordArchive.identity`."""
        statuses = [(part.name, part.stat()) for part in find_parts(self.main)]
        return [[str(self.main.parent), name, one.st_size, one.st_mtime_ns, one.st_ino] for name, one in statuses]

    def stream(self, name: str) -> Iterator[bytes]:
        """Read one of its parts."""
        with self.main.with_name(name).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def is_gone(self) -> bool:
        """Return that it is gone: its parts were about to be read."""
        return True


@dataclass(frozen=True, slots=True)
class CopiedArchive:
    """A copy at a storage.

    Attributes:
        installation: whose.
        copy: as the catalogue has it.
    """

    installation: Installation
    copy: Copy

    @property
    def storage(self) -> str:
        """Name of the storage."""
        return self.copy.destination

    def open(self, password: str | None) -> ArchiveReader:
        """Open it; see `RecordArchive.open`."""
        return open_copy(self.installation, self.copy, password)

    def identity(self) -> list[Any]:
        """Return names, sizes and hashes; see `RecordArchive.identity`."""
        copy = self.copy
        return [[copy.destination, copy.file_name(one.name), one.size, one.blake3 or ""] for one in copy.parts]

    def stream(self, name: str) -> Iterator[bytes]:
        """Read one of its parts."""
        destination = self.installation.catalogue.destinations.get(self.copy.destination)
        with open_destination(destination.url, destination.secrets) as place:
            yield from place.stream(self.copy.file_name(name))

    def is_gone(self) -> bool:
        """Return whether the storage answers and lacks parts of it."""
        destination = self.installation.catalogue.destinations.get(self.copy.destination)
        try:
            with open_destination(destination.url, destination.secrets) as place:
                there = {file.name for file in place.list(self.copy.folder)}
        except (BackstayError, OSError):
            return False
        return not {self.copy.file_name(part.name) for part in self.copy.parts} <= there


@dataclass(frozen=True, slots=True)
class RepositoryArchive:
    """A snapshot of a repository, read as the archive that it is handed out as.

    Attributes:
        installation: whose.
        backup: the record.
        row: which snapshot, and as which archive.
    """

    installation: Installation
    backup: Backup
    row: SnapshotRow
    storage = ""

    def open(self, password: str | None) -> ArchiveReader:
        """Open it; see `RecordArchive.open`. What is damaged is found out, and named, when its file is read."""
        del password
        return self.opener()()

    def opener(self) -> Callable[[], ArchiveReader]:
        """Return what opens it without the catalogue, as a forked process must."""
        archive = self._opener(damaged=True)
        return lambda: open_parts(archive())

    def opened(self) -> SnapshotArchive:
        """Open it to be handed out: the same bytes every time, or an error.

        Raises:
            NotFoundError: the repository or the snapshot is gone.
            DamagedRepositoryError: its list of files is damaged.
        """
        archive = self._opener(damaged=False)()
        if list(archive.parts) != [(part.name, part.size) for part in self.row.parts]:
            archive.close()
            raise DamagedRepositoryError(
                f"Backup {self.backup.id} in the repository {self.row.repository} is not what was written: see "
                f"'backstay repository check {self.row.repository}'."
            )
        return archive

    def _opener(self, *, damaged: bool) -> Callable[[], SnapshotArchive]:
        opened = repository_opener(self.installation.catalogue, self.installation.home, self.row.repository)
        return partial(_handed_out, opened, self.row, damaged=damaged)

    def identity(self) -> list[Any]:
        """Return which snapshot it is; see `RecordArchive.identity`."""
        return [[self.row.repository, self.row.snapshot, dict(self.row.form)]]

    def stream(self, name: str) -> Iterator[bytes]:
        """Read one of its parts."""
        archive = self.opened()
        try:
            yield from archive.stream_part([part for part, _size in archive.parts].index(name))
        finally:
            archive.close()

    def is_gone(self) -> bool:
        """Return whether the repository can be read and lacks it."""
        catalogue, home = self.installation.catalogue, self.installation.home
        try:
            with repository_by_name(catalogue, home, self.row.repository) as repository:
                return self.row.snapshot not in repository.snapshot_ids()
        except (BackstayError, OSError):
            return False


def _handed_out(opened: Callable[[], Repository], row: SnapshotRow, *, damaged: bool) -> SnapshotArchive:
    repository = opened()
    try:
        snapshot = repository.snapshot(row.snapshot)
        stem = Path(row.parts[-1].name).stem
        return hand_out(repository, snapshot, form_of(row), stem, damaged=damaged, owns=True)
    except BaseException:
        repository.close()
        raise


def form_of(row: SnapshotRow) -> Form:
    """Return as what a snapshot is handed out."""
    return Form(str(row.form["format"]), int(row.form.get("part_size", 0)), str(row.form.get("comment", "")))


def archive_of(
    installation: Installation, backup: Backup, storage: str = ""
) -> LocalArchive | CopiedArchive | RepositoryArchive:
    """Return where the archive of a backup is read best.

    Args:
        installation: whose.
        backup: the record.
        storage: name of the storage whose copy is read; empty: the backup itself where it is here, else the copy
            whose arrival was proven last.

    Raises:
        NotFoundError: nothing is left of it, it is not whole, or it has no copy there.
        UsageError: it lies on the disk of another machine alone.
    """
    if not storage and backup.status == "complete":
        row = installation.catalogue.snapshots.of(backup.id)
        if row is not None and not lies_elsewhere(installation, backup):
            return RepositoryArchive(installation, backup, row)
        main = None if row is not None else main_file(installation.home, backup)
        if main is not None:
            return LocalArchive(installation, backup, main)
    return CopiedArchive(installation, choose_copy(installation, backup, storage))


def archive_here(installation: Installation, backup: Backup) -> LocalArchive | RepositoryArchive:
    """Return the archive of a backup where it was written, whether or not it is there still, and no copy of it.

    Raises:
        UsageError: that is on another machine.
    """
    refuse_elsewhere(installation, backup)
    row = installation.catalogue.snapshots.of(backup.id)
    if row is not None:
        return RepositoryArchive(installation, backup, row)
    return LocalArchive(installation, backup, main_file(installation.home, backup) or Path(backup.absolute_path))


def open_backup(installation: Installation, backup_id: int, storage: str, password: str | None) -> ArchiveReader:
    """Open the archive of a backup where it is read best; see `archive_of`.

    Args:
        installation: whose.
        backup_id: number of the record.
        storage: name of a storage, or empty.
        password: of the archive; None: that of its profile.

    Raises:
        NotFoundError: there is no such backup, or nothing is left of it.
        BackstayError: it cannot be read.
    """
    backup = get_backup(installation, backup_id)
    return archive_of(installation, backup, storage).open(password or password_of(installation, backup))


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One part of the archive as which a snapshot is handed out.

    Attributes:
        archive: of the backup.
        part: its number, from 1; the main file is last.
        name: base name.
        size: in bytes.
    """

    archive: RepositoryArchive
    part: int
    name: str
    size: int

    @property
    def place(self) -> str:
        """Where it lies, for a person."""
        return f"the repository {self.archive.row.repository}"

    @property
    def version(self) -> str:
        """What stays the same as long as its content does: for ever."""
        return f"{self.archive.row.snapshot}-{self.name}-{self.size}"

    def opened(self) -> _SnapshotPart:
        """Open it to be read in pieces; it is to be closed."""
        return _SnapshotPart(self.archive.opened(), self.part - 1)


class _SnapshotPart:
    def __init__(self, archive: SnapshotArchive, number: int) -> None:
        self._archive = archive
        self._number = number

    def read(self, offset: int, size: int) -> bytes:
        return self._archive.read(self._number, offset, size)

    def close(self) -> None:
        self._archive.close()


def parts_of(installation: Installation, backup: Backup) -> Sequence[BackupFile | StoredFile | SnapshotFile]:
    """Return the parts of a complete backup where it is read best, in order, the main file last; none where it is gone.

    Nothing is opened to find out.
    """
    return own_parts(installation, backup) or stored_files(installation, backup)


def own_parts(installation: Installation, backup: Backup) -> Sequence[BackupFile | SnapshotFile]:
    """Return the parts of a complete backup itself, none of a copy."""
    row = installation.catalogue.snapshots.of(backup.id) if backup.status == "complete" else None
    if row is None:
        return backup_files(installation, backup)
    archive = RepositoryArchive(installation, backup, row)
    return [SnapshotFile(archive, number, part.name, part.size) for number, part in enumerate(row.parts, 1)]
