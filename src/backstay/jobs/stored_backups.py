"""Backups that lie at a destination: which copy is read, and its archive read there without fetching it first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from backstay.archives import ArchiveReader, open_parts
from backstay.catalogue import Backup, Copy, NamedDestination
from backstay.errors import ArchiveError, BackstayError, MissingPartError, NotFoundError
from backstay.jobs.installation import Installation
from backstay.jobs.machines import refuse_elsewhere
from backstay.restore import RemoteArchive
from backstay.storage import Destination, open_destination

_NEVER = datetime.min.replace(tzinfo=UTC)


class StoredParts:
    """The parts of an archive at a destination, a `backstay.archives.PartSource`.

    Args:
        destination: open; closed with this.
        name: of the destination, for messages.
        files: name there and size in bytes of each part, in order.
    """

    is_remote = True
    may_fork = False
    descriptors: tuple[int, ...] = ()

    def __init__(self, destination: Destination, name: str, files: Sequence[tuple[str, int]]) -> None:
        self._destination = destination
        self._files = files
        self.parts = [(f"{name}:{file}", size) for file, size in files]

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read a piece of a part; see `PartSource.read`."""
        return self._destination.read(self._files[part][0], offset, size)

    def close(self) -> None:
        """Close the destination."""
        self._destination.close()


def stored_copies(installation: Installation, backup_id: int) -> list[Copy]:
    """Return the whole copies of a backup: those whose proof is newest come first, damaged ones last."""
    found = [copy for copy in installation.catalogue.copies.of(backup_id) if copy.state == "stored" and copy.parts]
    return sorted(found, key=lambda copy: (not copy.error, copy.proven_at or _NEVER), reverse=True)


def choose_copy(installation: Installation, backup: Backup, storage: str = "") -> Copy:
    """Return the copy of a backup to be read.

    Args:
        installation: whose.
        backup: the record.
        storage: name of a destination; empty: the copy whose arrival was proven last.

    Raises:
        NotFoundError: it has no whole copy, or none there.
    """
    found = stored_copies(installation, backup.id)
    if storage:
        installation.catalogue.destinations.get(storage)
    for copy in found:
        if storage in ("", copy.destination):
            return copy
    if found:
        raise NotFoundError(
            f"Backup {backup.id} has no copy at {storage}: choose {' or '.join(copy.destination for copy in found)}."
        )
    refuse_elsewhere(installation, backup)
    raise NotFoundError(
        f"Backup {backup.id} has no files here, and no copy at a storage (its state is {backup.meta}): choose another."
    )


@contextmanager
def naming_copies(installation: Installation, backup_id: int) -> Iterator[None]:
    """Let errors about damaged or missing local files name the copies of the backup that lie at a storage."""
    try:
        yield
    except ArchiveError as error:
        if sentence := copies_sentence(installation, backup_id):
            raise type(error)(f"{error} {sentence}") from error
        raise


def copies_sentence(installation: Installation, backup_id: int) -> str:
    """Return a sentence that names the copies of a backup; empty without any."""
    names = [copy.destination for copy in stored_copies(installation, backup_id)]
    return f"A copy lies at {' and at '.join(names)}: use it with --storage {names[0]}." if names else ""


def open_copy(installation: Installation, copy: Copy, password: str | None) -> ArchiveReader:
    """Open the archive of a copy where it lies.

    Raises:
        BackstayError: the destination cannot be reached, or what lies there is no such archive.
    """
    destination = installation.catalogue.destinations.get(copy.destination)
    files = [(copy.file_name(part.name), part.size) for part in copy.parts]
    return _open(destination, files, password)


def open_named(installation: Installation, name: str, password: str | None) -> ArchiveReader:
    """Open an archive at a destination of which the catalogue need not know.

    Args:
        installation: that knows the destination.
        name: ``NAME:archive``, the main file's name at the destination.
        password: of the archive.

    Raises:
        NotFoundError: there is no such destination or archive.
        MissingPartError: a part of it is missing.
    """
    storage, _, main = name.partition(":")
    destination = installation.catalogue.destinations.get(storage)
    with open_destination(destination.url, destination.secrets) as place:
        files = {file.name: file.size for file in place.list(main.rpartition(".")[0])}
    return _open(destination, parts_among(files, main, storage), password)


def parts_among(files: dict[str, int], main: str, storage: str) -> list[tuple[str, int]]:
    """Return the parts of an archive, in order, among the files of a destination.

    Args:
        files: name → size in bytes.
        main: name of the main file.
        storage: name of the destination, for messages.

    Raises:
        NotFoundError: the main file is not there.
        MissingPartError: a part before another is missing.
    """
    if main not in files:
        raise NotFoundError(f"There is no archive {main!r} at {storage}: give the name of its main file there.")
    stem, suffix = main.rpartition(".")[0], PurePosixPath(main).suffix
    pattern = re.compile(re.escape(stem + suffix[:2]) + r"(\d{2,})", re.ASCII)
    numbers = {int(match[1]): file for file in files if (match := pattern.fullmatch(file))}
    for number in range(1, max(numbers, default=0) + 1):
        if number not in numbers:
            raise MissingPartError(f"Part {number} of {main} is missing at {storage}: take another copy.")
    return [*((numbers[number], files[numbers[number]]) for number in sorted(numbers)), (main, files[main])]


def _open(destination: NamedDestination, files: Sequence[tuple[str, int]], password: str | None) -> ArchiveReader:
    place = open_destination(destination.url, destination.secrets)
    return open_parts(StoredParts(place, destination.name, files), password=password)


def password_of(installation: Installation, backup: Backup) -> str | None:
    """Return the password that a backup's profile has for archives; None where it has none, or is gone."""
    try:
        settings = installation.catalogue.profiles.get(backup.profile_id).settings()
    except BackstayError:
        return None
    return settings.archive_password.get_secret_value() or None


def remote_archive(installation: Installation, copy: Copy) -> RemoteArchive:
    """Return a copy as what a restore fetches by itself, and goes on with after a crash."""
    destination = installation.catalogue.destinations.get(copy.destination)
    parts = tuple((part.name, part.size) for part in copy.parts)
    return RemoteArchive(
        destination.url,
        json.dumps(dict(destination.secrets)),
        copy.backup_id,
        parts,
        storage=destination.name,
        folder=copy.folder,
        hashes=tuple(part.blake3 for part in copy.parts),
    )


def open_remote(remote: RemoteArchive, password: str | None) -> ArchiveReader:
    """Open what `remote_archive` gave where it lies."""
    place = open_destination(remote.url, json.loads(remote.secret))
    files = [(f"{remote.folder}{name}", size) for name, size in remote.parts]
    return open_parts(StoredParts(place, remote.storage, files), password=password)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One part of a backup at a destination, for who sends it on.

    Attributes:
        destination: where it lies.
        file: its name there.
        part: its number, from 1; the main file is last.
        name: base name.
        size: in bytes.
        version: stays the same as long as its content does.
    """

    destination: NamedDestination
    file: str
    part: int
    name: str
    size: int
    version: str

    @property
    def place(self) -> str:
        """Where it lies, for a person."""
        return self.destination.name

    def opened(self) -> _StoredPart:
        """Open it to be read in pieces; it is to be closed."""
        return _StoredPart(open_destination(self.destination.url, self.destination.secrets), self.file)


class _StoredPart:
    def __init__(self, place: Destination, file: str) -> None:
        self._place = place
        self._file = file

    def read(self, offset: int, size: int) -> bytes:
        return self._place.read(self._file, offset, size)

    def close(self) -> None:
        self._place.close()


def stored_files(installation: Installation, backup: Backup) -> list[StoredFile]:
    """Return the parts of a backup at the destination where it is read best; none where it has no copy."""
    copies = stored_copies(installation, backup.id) if backup.status == "complete" else []
    if not copies:
        return []
    destination = installation.catalogue.destinations.get(copies[0].destination)
    return [
        StoredFile(
            destination,
            copies[0].file_name(part.name),
            number,
            part.name,
            part.size,
            # The same at each destination and on each machine: a download goes on from another copy.
            part.blake3 or f"{backup.backupid}-{part.name}-{part.size}",
        )
        for number, part in enumerate(copies[0].parts, 1)
    ]
