"""A destination that is a folder of this machine, of a disk or a network share that is mounted there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from backstay.errors import BackstayError, ConnectionFailedError, DiskFullError, NotFoundError, StorageError
from backstay.storage.address import Address
from backstay.storage.back_end import BackEnd
from backstay.storage.local import sync
from backstay.storage.model import Capabilities, OnProgress, OnResume, PutOptions, StoredFile
from backstay.storage.names import checked, is_safe_name
from backstay.storage.throttle import Throttle

PARTIAL = ".backstay-partial"
"""How the name of a file that has not arrived whole ends; such files are not listed."""
_PIECE = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_GONE = {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENODEV}


def open_address(address: Address, secrets: Mapping[str, str]) -> Folder:  # noqa: ARG001  each back end has this form
    """Open the folder of an address; ``mount`` in its options names the mount point that must be mounted."""
    mount = address.options.get("mount")
    return Folder(Path(address.path), url=address.url, mount=Path(mount) if mount else None)


class Folder(BackEnd):
    """Implements `backstay.storage.model.Destination`."""

    def __init__(self, root: Path, *, url: str = "", mount: Path | None = None) -> None:
        """Name the folder.

        Args:
            root: it must exist: a share that is not mounted must not become a folder of the system's disk.
            url: how it is called in messages.
            mount: a mount point that must be mounted.
        """
        self._root = root
        super().__init__(url or f"folder://{root}")
        self._mount = mount

    @property
    def capabilities(self) -> Capabilities:
        """What a folder can promise: no checksums, so that a file is proven by reading it back."""
        return Capabilities(resumes=True)

    def put(
        self,
        name: str,
        source: Path,
        *,
        options: PutOptions,
        resume: str = "",
        on_resume: OnResume,
        on_progress: OnProgress,
    ) -> StoredFile:
        """Write a file under another name, make it safe on the disk, and rename it."""
        target = self._path(name)
        if options.lock_until is not None:
            raise StorageError(f"{self._url} can't lock files: unset lock_days for this destination.")
        with self._errors(name):
            self._check_root()
            self._make_folders(target.parent)
        with _reading(source) as original:
            partial = self._partial_of(name, resume)
            if partial is None or not partial.is_file():
                partial = target.with_name(f".{target.name[:150]}.{uuid4().hex[:12]}{PARTIAL}")
            on_resume(json.dumps({"partial": partial.name}))
            with self._errors(name):
                with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
                    self._copy(original, file, Throttle(options.bandwidth), on_progress)
                    size = file.tell()
                    file.flush()
                    os.fsync(file.fileno())
                    # What is read back to prove the copy should come from the disk, not from this machine's memory.
                    with contextlib.suppress(AttributeError, OSError):
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                partial.replace(target)
                sync([target.parent])
        found = self.head(name)
        if found.size != size:
            raise StorageError(f"{name} in {self._url} changed while it was written: send it again.")
        return found

    def _copy(self, original: BinaryIO, file: BinaryIO, throttle: Throttle, on_progress: OnProgress) -> None:
        """Keep what is the same already, after a power cut too, and write the rest."""
        done = 0
        while (there := file.read(_PIECE)) and there == _piece(original, len(there)):
            done += len(there)
            on_progress(done)
        original.seek(done)
        file.seek(done)
        file.truncate()
        while piece := _piece(original, _PIECE):
            throttle.wait(len(piece))
            file.write(piece)
            done += len(piece)
            on_progress(done)

    def abandon(self, name: str, resume: str) -> None:
        """Remove the partial file."""
        partial = self._partial_of(name, resume)
        with self._errors(name):
            self._check_root()
            if partial is not None:
                partial.unlink(missing_ok=True)

    def _partial_of(self, name: str, resume: str) -> Path | None:
        try:
            partial = json.loads(resume)["partial"] if resume else None
        except (ValueError, KeyError, TypeError):
            return None
        if not isinstance(partial, str) or "/" in partial or not partial.endswith(PARTIAL):
            return None
        return self._path(name).with_name(partial)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a range."""
        with self._errors(name), self._path(name).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Read from an offset to the end."""
        with self._errors(name):
            file = self._path(name).open("rb")
        with file:
            file.seek(offset)
            while True:
                with self._errors(name):
                    piece = file.read(_PIECE)
                if not piece:
                    return
                yield piece

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """List regular files; links are not followed."""
        with self._errors(""):
            self._check_root()
        folder = prefix.rpartition("/")[0]
        if folder and not is_safe_name(folder):
            return
        start = self._root / folder
        if not start.is_dir():
            return

        def fail(error: OSError) -> None:
            if error.errno != errno.ENOENT:  # a folder that was removed meanwhile has no files
                raise error

        with self._errors(""):
            for parent, _folders, names in os.walk(start, onerror=fail):
                for base in names:
                    path = Path(parent, base)
                    name = path.relative_to(self._root).as_posix()
                    if not name.startswith(prefix) or base.endswith(PARTIAL) or not is_safe_name(name):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = path.lstat()
                        if stat.S_ISREG(status.st_mode):
                            yield _stored(name, status)

    def head(self, name: str) -> StoredFile:
        """Return size and time of a file."""
        with self._errors(name):
            status = self._path(name).lstat()
        if not stat.S_ISREG(status.st_mode):
            raise NotFoundError(f"{name} in {self._url} is no file.")
        return _stored(name, status)

    def delete(self, name: str) -> None:
        """Delete a file, so that it stays deleted after a power cut, and the folders that are empty then."""
        path = self._path(name)
        with self._errors(name):
            self._check_root()
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                sync([path.parent])
        for folder in path.relative_to(self._root).parents[:-1]:
            with contextlib.suppress(OSError):
                (self._root / folder).rmdir()

    def _path(self, name: str) -> Path:
        return self._root / checked(name)

    def _check_root(self) -> None:
        if self._mount is not None and not os.path.ismount(self._mount):
            raise ConnectionFailedError(f"Nothing is mounted at {self._mount}: mount it, then try again.")
        if not self._root.is_dir():
            raise NotFoundError(f"The folder {self._root} is not there: mount its disk or share, or make the folder.")

    def _make_folders(self, folder: Path) -> None:
        missing = [one for one in (folder, *folder.parents) if one.is_relative_to(self._root) and not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
            sync([one.parent])

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except BackstayError:
            raise
        except OSError as error:
            raise self._error(name, error) from error

    def _error(self, name: str, error: OSError) -> BackstayError:
        what = f"{name} in {self._url}" if name else self._url
        kind: type[BackstayError] = StorageError
        if error.errno in _FULL:
            kind, sentence = DiskFullError, f"{self._url} is full: free space there, or keep fewer backups."
        elif error.errno in _GONE:
            kind = ConnectionFailedError
            sentence = f"{what} can't be reached ({error.strerror}): check that it is still mounted."
        elif error.errno in {errno.ENOENT, errno.ENOTDIR}:
            kind, sentence = NotFoundError, f"{what} is not there."
            if not self._root.is_dir():
                sentence = f"The folder {self._root} is not there: mount its disk or share, or make the folder."
        elif error.errno == errno.EROFS:
            sentence = f"{self._url} is read-only: mount it for writing."
        elif error.errno in {errno.EACCES, errno.EPERM}:
            sentence = f"{what} is not open to this user: check the permissions of the folder."
        else:
            sentence = f"{what} can't be used ({error.strerror}): check the disk."
        return kind(sentence)


def _reading(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise StorageError(f"{source} can't be read ({error.strerror}): check that it is there.") from error


def _piece(original: BinaryIO, size: int) -> bytes:
    try:
        return original.read(size)
    except OSError as error:
        raise StorageError(f"{original.name} can't be read ({error.strerror}): check the disk.") from error


def _stored(name: str, status: os.stat_result) -> StoredFile:
    return StoredFile(name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
