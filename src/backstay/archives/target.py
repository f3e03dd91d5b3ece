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

from backstay.archives.attributes import NO_ATTRIBUTES, Attributes, WhichXattrs, give_owner, give_xattrs, ids_here
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
_HOLE = 1 << 16
_ZEROS = bytes(_HOLE)
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
        xattrs: which extended attributes they are given.
        owners: give them their owners.

    Attributes:
        descriptors: the open folder itself, for another process that writes into it.
        fold: the file system ignores case or Unicode form of names.
        made: the directories that were made, as paths.
    """

    def __init__(
        self,
        root: Path,
        *,
        permissions: bool = True,
        special_modes: bool = False,
        xattrs: WhichXattrs = "harmless",
        owners: bool = False,
    ) -> None:
        self.root = root
        self._permissions = permissions
        self._xattrs = xattrs
        self._owners = owners
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
        # From the nearest folder that is open down, step by step: a path may have thousands of them.
        end = len(path)
        while (end := path.rfind("/", 0, end)) > 0:
            above = cache.get(path[:end])
            if above is not None:
                cache.move_to_end(path[:end])
                descriptor = above
                break
        else:
            end, descriptor = -1, self._root
        while end < len(path):
            start = end + 1
            end = path.find("/", start)
            end = len(path) if end < 0 else end
            descriptor = cache[path[:end]] = self._open_folder(descriptor, path[start:end], path[:end])
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

    def file(
        self,
        path: str,
        pieces: Iterable[bytes],
        mode: int | None,
        mtime: int | None,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> tuple[str, ...]:
        """Write a file, in place of one of the same name.

        Args:
            path: where.
            pieces: its content; if they raise, nothing of the file is left.
            mode: its permissions, 0644 if None.
            mtime: whole Unix seconds, now if None.
            attributes: what else there is to give.

        Returns:
            What could not be given, each as a part of a sentence.

        Raises:
            RefusedError: if a folder or something else is in the way.
            DiskFullError: if there is no space left.
        """
        parent, name = posixpath.split(path)
        folder = self._folder(parent)
        with _errors(path):
            descriptor = self._new_file(folder, name)
            try:
                write_sparsely(descriptor, pieces)
                lost = self._finish(descriptor, 0o644 if mode is None else mode, self._mask, mtime, attributes)
            except BaseException:
                os.unlink(name, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)
        return lost

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

    def _finish(
        self, descriptor: int, mode: int | None, mask: int, mtime: int | None, attributes: Attributes
    ) -> tuple[str, ...]:
        """Give an open file or folder all that belongs to it; a change of owner takes bits and capabilities away."""
        lost: list[str] = []
        if self._owners and attributes.owner and (reason := give_owner(descriptor, attributes.owner)):
            lost.append(reason)
        if self._permissions and mode is not None:
            os.fchmod(descriptor, mode & mask)
        if self._permissions and attributes.xattrs:
            lost += give_xattrs(descriptor, attributes.xattrs, self._xattrs)
        if mtime is not None:
            time = mtime * 1_000_000_000 + attributes.nanoseconds
            os.utime(descriptor, ns=(time, time))
        return tuple(lost)

    def link(
        self, path: str, target: str, mtime: int | None, attributes: Attributes = NO_ATTRIBUTES
    ) -> tuple[str, ...]:
        """Make a symbolic link, in place of a file or link of the same name.

        Returns:
            What could not be given of its attributes, each as a part of a sentence.

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
            lost: tuple[str, ...] = ()
            if self._owners and attributes.owner:
                try:
                    os.chown(name, *ids_here(attributes.owner), dir_fd=folder, follow_symlinks=False)
                except OSError as error:
                    lost = (f"the owner ({error.strerror})",)
            if self._permissions and attributes.xattrs:
                # There is no call that takes a folder and a name; the folder is not opened by its path.
                place = f"/proc/self/fd/{folder}/{name}"
                lost += give_xattrs(place, attributes.xattrs, self._xattrs)
            if mtime is not None:
                time = mtime * 1_000_000_000 + attributes.nanoseconds
                os.utime(name, ns=(time, time), dir_fd=folder, follow_symlinks=False)
        return lost

    def hard_link(self, first: str, path: str) -> bool:
        """Make another name of a file that was written before, in place of a file or link of that name.

        Returns:
            False where that cannot be done here; nothing was made then.

        Raises:
            RefusedError: if a folder or something else is in the way.
        """
        above, source = posixpath.split(first)
        parent, name = posixpath.split(path)
        # The folders of the one may be closed for those of the other.
        from_folder = os.dup(self._folder(above))
        try:
            folder = self._folder(parent)
            with _errors(path), contextlib.suppress(FileNotFoundError):
                self._remove(folder, name)
            os.link(source, name, src_dir_fd=from_folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False
        finally:
            os.close(from_folder)
        return True

    def attributes(
        self, path: str, mode: int | None, mtime: int | None, attributes: Attributes = NO_ATTRIBUTES
    ) -> tuple[str, ...]:
        """Give a folder its permissions, time and the rest, when nothing more is written into it.

        Returns:
            What could not be given, each as a part of a sentence; nothing where there is no such folder.
        """
        above = os.dup(self._root)
        try:
            for step in path.split("/"):
                found = os.open(step, _DIRECTORY, dir_fd=above)
                os.close(above)
                above = found
            with _errors(path):
                return self._finish(above, mode, self._folder_mask, mtime, attributes)
        except OSError as error:
            # It was left out, or another entry has taken its place; a warning has reported that.
            if error.errno not in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                raise ArchiveError(f"{shown(path)} cannot be written: {error.strerror}.") from error
            return ()
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


def write_sparsely(descriptor: int, pieces: Iterable[bytes]) -> None:
    """Write a new file; long runs of zeros become holes, which take no space."""
    hole = False
    for piece in pieces:
        if len(piece) < _HOLE:
            # Small files are the many: they have no holes worth a look.
            _write(descriptor, piece)
            hole = False
            continue
        for start in range(0, len(piece), _HOLE):
            block = piece[start : start + _HOLE]
            hole = len(block) == _HOLE and block == _ZEROS
            if hole:
                os.lseek(descriptor, _HOLE, os.SEEK_CUR)
            else:
                _write(descriptor, block)
    if hole:
        os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))


def _write(descriptor: int, data: bytes | memoryview) -> None:
    done = os.write(descriptor, data)
    while done < len(data):
        done += os.write(descriptor, data[done:])


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    """Distinguish names that this system does not take from a disk that is full or cannot be written."""
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
