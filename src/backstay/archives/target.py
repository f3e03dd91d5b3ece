"""Writing beneath a folder, and never anywhere else.

Every step of a path is opened by itself, relative to the folder above it, and never through a symbolic link: neither
one of the archive nor one that lies on disk leads out. Files that are in the way are removed, not written through, for
they may be linked from elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from backstay.archives.names import shown
from backstay.archives.parts import disk_errors
from backstay.archives.process import RefusedError
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_OPEN = 32
_PERMISSIONS = 0o777
_SPECIAL = 0o7777
# On a folder these two guard what is in it, and give no program a right: they are kept.
_FOLDER_PERMISSIONS = _PERMISSIONS | stat.S_ISGID | stat.S_ISVTX


class Target:
    """A folder that an archive is extracted to; safe to use from many threads.

    Args:
        root: the folder; it is made if it is not there.
        permissions: give files and directories the modes of the archive.
        special_modes: give them setuid bits, and files setgid and sticky bits, too.

    Attributes:
        descriptors: the open folder itself, for another process that writes into it.
        fold: the file system ignores case or Unicode form of names.
        made: the directories that were made, as paths.
    """

    def __init__(self, root: Path, *, permissions: bool = True, special_modes: bool = False) -> None:
        self.root = root
        with disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.descriptors: tuple[int, ...] = (self._root,)
        self._mask = (_SPECIAL if special_modes else _PERMISSIONS) if permissions else 0
        self._folder_mask = (_SPECIAL if special_modes else _FOLDER_PERMISSIONS) if permissions else 0
        self._opened: list[OrderedDict[str, int]] = []
        self._own = threading.local()
        self._lock = threading.Lock()
        self.made: set[str] = set()
        self.fold = self._folds()

    def _folds(self) -> bool:
        # Written as escapes: an editor that normalises would make the two forms of the letter one.
        composed, decomposed = "\u00c5", "A\u030a"
        name = f".backstay-{os.getpid()}-{composed}"
        with disk_errors(self.root):
            os.close(os.open(name, _NEW_FILE, 0o600, dir_fd=self._root))
        try:
            return any(self._exists(other) for other in (name.upper(), name.replace(composed, decomposed)))
        finally:
            os.unlink(name, dir_fd=self._root)

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _folder(self, path: str) -> int:
        if not path:
            return self._root
        cache: OrderedDict[str, int] | None = getattr(self._own, "folders", None)
        if cache is None:
            cache = self._own.folders = OrderedDict()
            with self._lock:
                self._opened.append(cache)
        descriptor = cache.get(path)
        if descriptor is not None:
            cache.move_to_end(path)
            return descriptor
        parent, name = posixpath.split(path)
        descriptor = self._open_folder(self._folder(parent), name, path)
        cache[path] = descriptor
        while len(cache) > _KEPT_OPEN:
            os.close(cache.popitem(last=False)[1])
        return descriptor

    def _open_folder(self, above: int, name: str, path: str) -> int:
        with _errors(path):
            try:
                return os.open(name, _DIRECTORY, dir_fd=above)
            except FileNotFoundError:
                return self._make_folder(above, name, path)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                    text = f"lies beneath {shown(path)}, which is a link or a file, not a folder"
                    raise RefusedError(text) from error
                raise

    def _make_folder(self, above: int, name: str, path: str) -> int:
        try:
            os.mkdir(name, 0o755, dir_fd=above)
        except FileExistsError:
            # Another thread was faster.
            return os.open(name, _DIRECTORY, dir_fd=above)
        descriptor = os.open(name, _DIRECTORY, dir_fd=above)
        if self._mask:
            os.fchmod(descriptor, 0o755)
        self.made.add(path)
        return descriptor

    def folder(self, path: str) -> None:
        """Make a folder, and those above it, if it is not there.

        Raises:
            RefusedError: if something else is in the way.
        """
        self._folder(path)

    def file(self, path: str, pieces: Iterable[bytes], mode: int | None, mtime: int | None) -> int:
        """Write a file, in place of one of the same name.

        Args:
            path: where.
            pieces: its content; if they raise, nothing of the file is left.
            mode: its permissions, 0644 if None.
            mtime: whole Unix seconds, now if None.

        Returns:
            Bytes written.

        Raises:
            RefusedError: if a folder or something else is in the way.
            DiskFullError: if there is no room left.
        """
        parent, name = posixpath.split(path)
        folder = self._folder(parent)
        written = 0
        with _errors(path):
            descriptor = self._new_file(folder, name)
            try:
                for piece in pieces:
                    written += len(piece)
                    done = os.write(descriptor, piece)
                    while done < len(piece):
                        done += os.write(descriptor, piece[done:])
                self._finish(descriptor, mode, 0o644, mtime)
            except BaseException:
                os.unlink(name, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)
        return written

    def _new_file(self, folder: int, name: str) -> int:
        mode = 0o666 if not self._mask else 0o600
        try:
            return os.open(name, _NEW_FILE, mode, dir_fd=folder)
        except FileExistsError:
            self._remove(folder, name)
            return os.open(name, _NEW_FILE, mode, dir_fd=folder)

    def _remove(self, folder: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.EISDIR, errno.EPERM}:
                raise RefusedError("was not made: a folder of that name is in its place") from error
            raise

    def _finish(self, descriptor: int, mode: int | None, default: int, mtime: int | None) -> None:
        if self._mask:
            os.fchmod(descriptor, (default if mode is None else mode) & self._mask)
        if mtime is not None:
            os.utime(descriptor, ns=(mtime * 1_000_000_000, mtime * 1_000_000_000))

    def link(self, path: str, target: str, mtime: int | None) -> None:
        """Make a symbolic link, in place of a file or link of the same name.

        Raises:
            RefusedError: if a folder is in the way, or the system takes no such link.
        """
        if not target:
            raise RefusedError("is a link that points to nothing")
        parent, name = posixpath.split(path)
        folder = self._folder(parent)
        with _errors(path):
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                self._remove(folder, name)
                os.symlink(target, name, dir_fd=folder)
            if mtime is not None:
                times = (mtime * 1_000_000_000, mtime * 1_000_000_000)
                os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)

    def attributes(self, path: str, mode: int | None, mtime: int | None) -> None:
        """Give a folder its permissions and time, when nothing more is written into it; do nothing if there is none."""
        above = os.dup(self._root)
        try:
            for step in path.split("/"):
                found = os.open(step, _DIRECTORY, dir_fd=above)
                os.close(above)
                above = found
            with _errors(path):
                if mode is not None and self._folder_mask:
                    os.fchmod(above, mode & self._folder_mask)
                if mtime is not None:
                    os.utime(above, ns=(mtime * 1_000_000_000, mtime * 1_000_000_000))
        except OSError as error:
            # It was left out, or another entry has taken its place; a warning has told of that.
            if error.errno not in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                raise ArchiveError(f"{shown(path)} cannot be written: {error.strerror}.") from error
        finally:
            os.close(above)

    def dropped_bits(self, mode: int | None, *, folder: bool) -> bool:
        """Say whether a mode has special bits that are not given."""
        mask = self._folder_mask if folder else self._mask
        return mode is not None and bool(mask) and bool(stat.S_IMODE(mode) & ~mask)

    def close(self) -> None:
        """Close all folders."""
        for cache in self._opened:
            while cache:
                os.close(cache.popitem()[1])
        self._opened.clear()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    """Tell names that this system does not take from a disk that is full or cannot be written."""
    try:
        with disk_errors(path):
            try:
                yield
            except OSError as error:
                if error.errno in {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}:
                    raise RefusedError(f"cannot be made here: {error.strerror}") from error
                raise
    except (ValueError, OverflowError) as error:
        raise RefusedError(f"cannot be made here: {error}") from error
