"""Walking over a folder in the order of the bytes of its paths, as sources for an archive.

The order is the same in every run, so that a walk can be taken up behind the last path that is safe in the archive.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from backstay.archives import EntryType, Source
from backstay.databases import is_sqlite_file
from backstay.engine.filters import KEPT_FILES, FileRules

# A SQLite database is a whole number of pages, and a page is at least this long (SQLite file format, 1.2).
_SQLITE_PAGE = 512
_SQLITE_SIDE_FILES = ("-wal", "-shm", "-journal")
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """One folder that is walked over, and how.

    Attributes:
        root: absolute path, as bytes: names of any encoding occur.
        prefix: folder in the archive that it goes to; empty: the archive's own root.
        rules: what is left out.
        follow_links: store what links point to instead of the links.
        one_file_system: do not enter folders on which another file system is mounted.
        newer_than: leave out files that were not modified after this moment (Unix seconds); None: take all.
    """

    root: bytes
    prefix: str
    rules: FileRules
    follow_links: bool = False
    one_file_system: bool = False
    newer_than: int | None = None


@dataclass(slots=True)
class _Folder:
    """A folder on the way from the root to where the walk is.

    Attributes:
        path: relative to the root.
        names: what is left of its listing.
        after: what is left of the path behind which the walk goes on; empty: everything is new.
        identity: device and inode, to find loops of links.
        all_names: of its files, to find the side files of databases.
    """

    path: bytes
    names: Iterator[tuple[bytes, str]]
    after: list[bytes]
    identity: tuple[int, int]
    all_names: frozenset[bytes]


def text(path: bytes) -> str:
    """Return a path as archives hold it: UTF-8, with what is not kept as surrogates."""
    return path.decode("utf-8", "surrogateescape")


def position(source: Source) -> str:
    """Return where a source stands in the order, to go on behind it: its path, folders with a slash behind."""
    return source.path + "/" if source.type is EntryType.DIRECTORY else source.path


class Scanner:
    """Walks over one tree and tells what it meets."""

    def __init__(
        self,
        tree: Tree,
        *,
        copy_database: Callable[[bytes], str] | None = None,
        on_warning: Callable[[str], None],
        on_excluded: Callable[[str, str], None] | None = None,
        is_reserved: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        """Prepare a walk.

        Args:
            tree: what is walked over.
            copy_database: makes a consistent copy of a live SQLite database and returns the copy's path; None: such
                files are taken as they are.
            on_warning: told of everything that could not be taken, with its path.
            on_excluded: told of each path that was left out and the filter that did it.
            is_reserved: whether a path in the archive belongs to the backup's own entries.
        """
        self._tree = tree
        self._copy_database = copy_database
        self._warn = on_warning
        self._excluded = on_excluded or (lambda _path, _reason: None)
        self._is_reserved = is_reserved
        self._device = -1

    def sources(self, after: str = "") -> Iterator[Source]:
        """Yield everything in the tree that is not left out, in the order of the bytes of the paths.

        Args:
            after: a ``position``; only what comes behind it is yielded.
        """
        prefix = self._tree.prefix
        relative = after[len(prefix) + 1 :] if prefix else after
        stack: list[_Folder] = []
        if root := self._enter(b"", _steps(relative), stack):
            stack.append(root)
            if not after and self._tree.prefix:
                yield from self._own(root)
        while stack:
            folder = stack[-1]
            following = next(folder.names, None)
            if following is None:
                stack.pop()
                continue
            name, kind = following
            place, deeper = _place(folder, name, kind)
            if place == "done":
                continue
            path = folder.path + b"/" + name if folder.path else name
            if kind != "folder":
                yield from self._file(folder, path, name, kind)
            elif child := self._enter(path, deeper, stack):
                if place == "new":
                    yield from self._own(child)
                stack.append(child)

    def _own(self, folder: _Folder) -> Iterator[Source]:
        """Yield the source of a folder itself; the root of the archive has no name there, and so none."""
        try:
            status = os.stat(self._absolute(folder.path))
        except OSError as error:
            self._lost(folder.path, error)
            return
        names = list(folder.names)
        folder.names = iter(names)
        yield Source(
            path=self._in_archive(folder.path),
            type=EntryType.DIRECTORY,
            mode=status.st_mode,
            mtime=int(status.st_mtime // 1),
            size=0,
            implied=bool(names),
        )

    def _enter(self, path: bytes, after: list[bytes], stack: list[_Folder]) -> _Folder | None:
        """Read a folder's listing, filtered and sorted; None where it is left out or cannot be read."""
        absolute = self._absolute(path)
        try:
            status = os.stat(absolute)
            if self._device < 0:
                self._device = status.st_dev
            if self._tree.one_file_system and status.st_dev != self._device:
                self._excluded(text(path), "one_file_system")
                return None
            identity = (status.st_dev, status.st_ino)
            if any(folder.identity == identity for folder in stack):
                self._warn(f"{_shown(path)} is a link to a folder that holds it: left out, or it would never end.")
                return None
            listing = self._listing(absolute, path)
        except OSError as error:
            self._lost(path, error)
            return None
        files = frozenset(name for name, kind in listing if kind == "file")
        return _Folder(path, iter(listing), after, identity, files)

    def _listing(self, absolute: bytes, path: bytes) -> list[tuple[bytes, str]]:
        rules = self._tree.rules
        skip_folders = rules.subdirectories(text(path))
        skip_files = rules.files(text(path))
        entries = []
        with os.scandir(absolute) as found:
            for entry in found:
                kind = self._kind(entry)
                relative = text(path + b"/" + entry.name if path else entry.name)
                if kind == "folder":
                    reason = skip_folders or rules.directory(relative)
                else:
                    kept = text(entry.name) in KEPT_FILES
                    reason = (None if kept else skip_files) or rules.file(relative)
                if reason:
                    self._excluded(relative, reason)
                else:
                    entries.append((entry.name, kind))
        entries.sort(key=lambda item: item[0] + b"/" if item[1] == "folder" else item[0])
        return entries

    def _kind(self, entry: os.DirEntry[bytes]) -> str:
        follow = self._tree.follow_links
        try:
            if entry.is_symlink() and not follow:
                return "link"
            if entry.is_dir(follow_symlinks=follow):
                return "folder"
            return "file" if entry.is_file(follow_symlinks=follow) else "special"
        except OSError:
            return "special"

    def _file(self, folder: _Folder, path: bytes, name: bytes, kind: str) -> Iterator[Source]:
        absolute = self._absolute(path)
        in_archive = self._in_archive(path)
        if self._is_reserved(in_archive):
            self._warn(f"{_shown(path)} has the name of an entry of the backup itself: it is NOT in the backup.")
            return
        try:
            status = os.stat(absolute) if self._tree.follow_links else os.lstat(absolute)
            mtime = int(status.st_mtime // 1)
            if kind == "link":
                target = os.readlink(absolute)
                yield Source(
                    path=in_archive,
                    type=EntryType.SYMLINK,
                    mode=self._mode_of_target(absolute),
                    mtime=mtime,
                    size=len(target),
                    target=text(target),
                )
                return
            if not stat.S_ISREG(status.st_mode):
                what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "not a file any more")
                self._warn(f"{_shown(path)} is {what}: it is not in the backup.")
                return
            if self._tree.newer_than is not None and mtime <= self._tree.newer_than:
                self._excluded(text(path), "incremental")
                return
            if self._belongs_to_database(folder, absolute, name):
                return
            file, size = self._content(absolute, name, folder, status.st_size)
        except OSError as error:
            self._lost(path, error)
            return
        yield Source(path=in_archive, type=EntryType.FILE, mode=status.st_mode, mtime=mtime, size=size, file=file)

    def _mode_of_target(self, absolute: bytes) -> int:
        """Return the mode of what a link points to, which the format keeps for links; a link's own where it dangles."""
        try:
            return os.stat(absolute).st_mode
        except OSError:
            return os.lstat(absolute).st_mode

    def _content(self, absolute: bytes, name: bytes, folder: _Folder, size: int) -> tuple[str, int]:
        """Return the file to read for an entry and its size: a consistent copy, where it is a live database."""
        file = os.fsdecode(absolute)
        if self._copy_database is None or not self._may_be_database(name, folder, size) or not is_sqlite_file(file):
            return file, size
        copy = self._copy_database(absolute)
        return copy, os.stat(copy).st_size

    def _may_be_database(self, name: bytes, folder: _Folder, size: int) -> bool:
        if size and size % _SQLITE_PAGE == 0:
            return True
        return any(name + suffix.encode() in folder.all_names for suffix in _SQLITE_SIDE_FILES)

    def _belongs_to_database(self, folder: _Folder, absolute: bytes, name: bytes) -> bool:
        """Tell whether a file is the log of a live SQLite database beside it, whose copy holds what it holds."""
        if self._copy_database is None:
            return False
        for suffix in _SQLITE_SIDE_FILES:
            ending = suffix.encode()
            if name.endswith(ending) and name.removesuffix(ending) in folder.all_names:
                return is_sqlite_file(os.fsdecode(absolute.removesuffix(ending)))
        return False

    def _lost(self, path: bytes, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            self._warn(f"{_shown(path)} disappeared while the backup ran: it is not in the backup.")
        else:
            self._warn(f"{_shown(path)} can't be read ({error.strerror or error}): it is NOT in the backup.")

    def _absolute(self, path: bytes) -> bytes:
        return self._tree.root + b"/" + path if path else self._tree.root

    def _in_archive(self, path: bytes) -> str:
        if not self._tree.prefix:
            return text(path)
        return f"{self._tree.prefix}/{text(path)}" if path else self._tree.prefix


def _steps(after: str) -> list[bytes]:
    """Split a position into the keys of its folders and its last name; keys of folders end in a slash."""
    content = after.encode("utf-8", "surrogateescape")
    pieces = content.rstrip(b"/").split(b"/") if content else []
    keys = [piece + b"/" for piece in pieces]
    if keys and not content.endswith(b"/"):
        keys[-1] = pieces[-1]
    return keys


def _place(folder: _Folder, name: bytes, kind: str) -> tuple[Literal["new", "done", "begun"], list[bytes]]:
    """Tell where a name stands to the position the walk goes on behind, and what of the position lies deeper in it."""
    if not folder.after:
        return "new", []
    first, *rest = folder.after
    key = name + b"/" if kind == "folder" else name
    if key < first:
        return "done", []
    folder.after = []
    if key > first:
        return "new", []
    return ("begun", rest) if kind == "folder" else ("done", [])


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace") or "the site's root"
