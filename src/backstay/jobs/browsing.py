"""Looking inside the archive of a backup, here or at a storage, without writing any of it.

The index of each archive (`backstay.jobs.archive_index`) is a file in ``cache`` of the home: made once, by one process
at a time, bounded in number and bytes, made again where it is missing or damaged. The names in an encrypted archive lie
there only while the backup's profile keeps the password too, for then whoever has the home can read them in any case;
with a password that somebody typed the index stays in memory.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

from backstay.archives import ArchiveReader
from backstay.catalogue import Backup
from backstay.errors import ArchiveError, NotFoundError, WrongPasswordError
from backstay.jobs.archive_index import ArchiveIndex, Item, open_index
from backstay.jobs.archive_index_making import make_index
from backstay.jobs.archive_of import archive_of, open_backup
from backstay.jobs.installation import Installation
from backstay.jobs.lock import exclusive
from backstay.jobs.records import get_backup
from backstay.jobs.stored_backups import password_of

MOST_INDEXES: Final = 100
MOST_INDEX_BYTES: Final = 1 << 30
_VERSION: Final = 1
_SALT: Final = secrets.token_bytes(16)

_opened_with: dict[str, bytes] = {}
"""Encrypted archives that a profile's password opened in this process: key → salted hash of that password."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The archive of a backup as it can be looked into.

    Attributes:
        backup: its record.
        storage: name of the storage it is read at; empty: here where it is here.
        index: its tree.
    """

    backup: Backup
    storage: str
    index: ArchiveIndex
    _open: Callable[[], ArchiveReader]

    def open(self) -> ArchiveReader:
        """Open the archive, to read content."""
        return self._open()

    def read(self, item: Item) -> Iterator[bytes]:
        """Read the content of a file in pieces, compared with its hash where the archive has one.

        Raises:
            NotFoundError: it is no file.
            ArchiveError: it cannot be read, or is not what it should be.
        """
        with self.open() as archive:
            yield from archive.checked(*item.in_archive())


@contextlib.contextmanager
def look_inside(
    installation: Installation,
    backup_id: int,
    *,
    storage: str = "",
    password: str | None = None,
    index: ArchiveIndex | None = None,
    on_count: Callable[[int], None] = lambda _: None,
) -> Iterator[Inside]:
    """Open the tree of a backup's archive, made first where it is not there yet.

    Args:
        installation: whose.
        backup_id: number of the record.
        storage: name of the storage whose copy is read; empty: the files here where they are here.
        password: of an encrypted archive; None: that of the backup's profile.
        index: one that `remembered_index` made with the password, not closed here.
        on_count: called with the number of entries so far while the index is made.

    Raises:
        NotFoundError: there is no such backup, or nothing is left of it.
        WrongPasswordError: the archive needs another password.
        ArchiveError: it cannot be read, or holds more than can be shown.
        BackstayError: the storage cannot be reached.
    """
    backup = get_backup(installation, backup_id)
    kept = password_of(installation, backup)

    def opened() -> ArchiveReader:
        return open_backup(installation, backup_id, storage, password or kept)

    if index is not None:
        yield Inside(backup, storage, index, opened)
        return
    if not password or password == kept:
        index = _from_cache(installation, key_of(installation, backup, storage), kept, opened, on_count)
    if index is None:
        index = _in_memory(opened, on_count)
    with contextlib.closing(index):
        try:
            yield Inside(backup, storage, index, opened)
        except sqlite3.DatabaseError as error:
            _path(installation, key_of(installation, backup, storage)).unlink(missing_ok=True)
            raise ArchiveError(
                "The list of what is in the archive was damaged, and is made anew: ask once more."
            ) from error


def globs_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return patterns that a restore or an extraction takes for exactly these paths and all beneath them."""
    found: list[str] = []
    for path in paths:
        literal = glob.escape(path)
        # What stands for itself is taken with all beneath it; a pattern is not.
        found += [path] if literal == path else [literal, f"{literal}/*"]
    return tuple(found)


def is_ready(installation: Installation, backup: Backup, storage: str = "") -> bool:
    """Return whether the index of a backup's archive is there, so that looking inside takes no time."""
    return _path(installation, key_of(installation, backup, storage)).exists()


def key_of(installation: Installation, backup: Backup, storage: str = "") -> str:
    """Return what identifies an archive as it is now.

    Raises:
        NotFoundError: nothing is left of it.
    """
    parts = archive_of(installation, backup, storage).identity()
    if backup.type == "dbonly":
        raise NotFoundError(f"Backup {backup.id} is a dump of a database, and no archive: download it.")
    return blake3(json.dumps([_VERSION, backup.id, parts]).encode()).hexdigest(length=16)


def remembered_index(
    installation: Installation, backup_id: int, storage: str, password: str, on_count: Callable[[int], None]
) -> ArchiveIndex:
    """Make the index of an archive with a password that somebody typed: no file holds it.

    Raises:
        BackstayError: as `look_inside`.
    """
    return _in_memory(lambda: open_backup(installation, backup_id, storage, password), on_count)


def _in_memory(opened: Callable[[], ArchiveReader], on_count: Callable[[int], None]) -> ArchiveIndex:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        with opened() as archive:
            make_index(connection, archive, on_count)
        return ArchiveIndex(connection)
    except BaseException:
        connection.close()
        raise


def _from_cache(
    installation: Installation,
    key: str,
    kept: str | None,
    opened: Callable[[], ArchiveReader],
    on_count: Callable[[int], None],
) -> ArchiveIndex:
    path = _path(installation, key)
    index = _ready(path)
    if index is None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(path.parent / "lock"):
            index = _ready(path)
            if index is None:
                _make(path, opened, on_count)
                index = open_index(path)
    if index.format == "jps":
        _prove_password(path, key, kept, opened, index)
    with contextlib.suppress(OSError):
        # Those that nobody asked for longest are removed first.
        os.utime(path)
    return index


def _prove_password(
    path: Path, key: str, kept: str | None, opened: Callable[[], ArchiveReader], index: ArchiveIndex
) -> None:
    """Show names of an encrypted archive only as long as the profile's password opens it; forget them else."""
    proof = blake3((kept or "").encode("utf-8", "surrogateescape"), key=_SALT.ljust(32, b"\0")).digest()
    if _opened_with.get(key) == proof:
        return
    try:
        opened().close()
    except WrongPasswordError:
        index.close()
        path.unlink(missing_ok=True)
        raise
    except BaseException:
        index.close()
        raise
    if len(_opened_with) >= MOST_INDEXES:
        _opened_with.clear()
    _opened_with[key] = proof


def _ready(path: Path) -> ArchiveIndex | None:
    if not path.exists():
        return None
    try:
        return open_index(path)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        return None


def _make(path: Path, opened: Callable[[], ArchiveReader], on_count: Callable[[int], None]) -> None:
    """Make an index in its file, whole or not at all; whoever calls holds the lock."""
    new = path.with_suffix(".new")
    for left in path.parent.glob("*.new*"):
        # Of a process that died while it made one.
        left.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with opened() as archive, contextlib.closing(sqlite3.connect(new)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            make_index(connection, archive, on_count)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _prune(path)


def _prune(newest: Path) -> None:
    """Remove indexes that nobody asked for longest, until what is left is within its bounds."""
    found = []
    for one in newest.parent.glob("*.sqlite"):
        with contextlib.suppress(FileNotFoundError):
            status = one.stat()
            found.append((one != newest, -status.st_mtime_ns, status.st_size, one))
    size = 0
    for count, (is_other, _time, length, path) in enumerate(sorted(found), 1):
        size += length
        if is_other and (count > MOST_INDEXES or size > MOST_INDEX_BYTES):
            path.unlink(missing_ok=True)


def _path(installation: Installation, key: str) -> Path:
    return installation.home.cache / "archives" / f"{key}.sqlite"
