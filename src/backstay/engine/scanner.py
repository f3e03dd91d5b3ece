"""Walking over a folder in the order of the bytes of its paths, as sources for an archive.

The order is the same in every run, so that a walk can be resumed behind the last path that is safe in the archive.
"""

from __future__ import annotations

import bisect
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from backstay.archives import EntryType, Source
from backstay.archives.long_paths import reachable, reaching, read_folder
from backstay.databases import is_sqlite_file
from backstay.engine.filters import KEPT_FILES, OWN, FileRules
from backstay.errors import DatabaseError, NotFoundError

# A SQLite database is a whole number of pages, and a page is at least this long (SQLite file format, 1.2).
_SQLITE_PAGE = 512
_SQLITE_SIDE_FILES = (b"-wal", b"-shm", b"-journal")
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


class Looked(Protocol):
    """What was seen of a path on the walk, for who takes it."""

    @property
    def is_known(self) -> bool:
        """An earlier backup has seen it, and it is the same still: its content need not be looked at."""


Looking = Callable[[bytes, os.stat_result, int, bool], Looked]
"""Looks at a path: its place in the order of the walk, its status, its mode as it is stored, and whether it is a folder
that its content implies."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One folder that is walked over, and how.

    Attributes:
        root: absolute path, as bytes: names of any encoding occur.
        prefix: folder in the archive that it goes to; empty: the archive's own root.
        rules: what is left out.
        required: without it there is no backup; others that are gone are a warning.
        follow_links: store what links point to instead of the links.
        one_file_system: do not enter folders on which another file system is mounted.
        newer_than: leave out files that were not modified after this moment (Unix seconds); None: take all.
        own_link_modes: links go with their own mode, as ZIP has it, not with that of what they point to.
        own_folders: device and inode of folders that Backstay writes to: never entered, whatever way leads there.
    """

    root: bytes
    prefix: str
    rules: FileRules
    required: bool = False
    follow_links: bool = False
    one_file_system: bool = False
    newer_than: int | None = None
    own_link_modes: bool = False
    own_folders: frozenset[tuple[int, int]] = frozenset()


@dataclass(slots=True)
class _Folder:
    """A folder on the way from the root to where the walk is.

    Attributes:
        path: relative to the root.
        names: its listing in order, names of folders with a slash behind: a folder of a million files is a list of
            their names and nothing more.
        specials: names in it that are neither file nor folder nor link.
        after: what is left of the path behind which the walk goes on; empty: everything is new.
        identity: device and inode, to find loops of links.
        has_side_files: there is a name in it that the log of a SQLite database would have.
        reached: how many of the names were walked over.
    """

    path: bytes
    names: list[bytes]
    specials: frozenset[bytes]
    after: list[bytes]
    identity: tuple[int, int]
    has_side_files: bool = False
    reached: int = 0

    def holds_file(self, name: bytes) -> bool:
        """Return whether a name that is not a folder's is in the listing."""
        place = bisect.bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name


def text(path: bytes) -> str:
    """Return a path as archives hold it: UTF-8, with what is not kept as surrogates."""
    return path.decode("utf-8", "surrogateescape")


def position(source: Source) -> str:
    """Return where a source stands in the order, to go on behind it: its path, folders with a slash behind."""
    return source.path + "/" if source.type is EntryType.DIRECTORY else source.path


class Scanner:
    """Walks over one tree and yields what it finds."""

    def __init__(
        self,
        tree: Tree,
        *,
        copy_database: Callable[[bytes], str] | None = None,
        on_warning: Callable[[str], None],
        on_excluded: Callable[[str, str], None] | None = None,
        is_reserved: Callable[[str], bool] = lambda _path: False,
        look: Looking | None = None,
    ) -> None:
        """Prepare a walk.

        Args:
            tree: what is walked over.
            copy_database: makes a consistent copy of a live SQLite database and returns the copy's path; None: such
                files are taken as they are.
            on_warning: called with one sentence for everything that could not be taken, with its path.
            on_excluded: called with each path that was left out and the filter that did it.
            is_reserved: whether a path in the archive belongs to the backup's own entries.
            look: is shown every path, in order, before it is yielded.
        """
        self._look = look
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
        root = self._root(_steps(relative))
        if root is None:
            return
        stack = [root]
        if not after and prefix:
            yield from self._own(root)
        while stack:
            folder = stack[-1]
            if folder.reached == len(folder.names):
                stack.pop()
                continue
            key = folder.names[folder.reached]
            folder.reached += 1
            place, deeper = _place(folder, key) if folder.after else ("new", [])
            if place == "done":
                continue
            name = key.removesuffix(b"/")
            path = folder.path + b"/" + name if folder.path else name
            if name is key:
                if (source := self._file(folder, path, name)) is not None:
                    yield source
            elif child := self._enter(path, deeper, stack):
                if place == "new":
                    yield from self._own(child)
                stack.append(child)
        self._look_at_root_again(root)

    def _root(self, after: list[bytes]) -> _Folder | None:
        """Enter the root itself.

        Raises:
            NotFoundError: it is gone, or cannot be read, and must be in the backup.
        """
        problem = ""
        try:
            root = self._entered(b"", after, [])
        except OSError as error:
            problem = error.strerror or str(error)
            root = None
        if root is None:
            message = f"The folder {_shown(self._tree.root)} can't be read ({problem or 'it is left out'})"
            if self._tree.required:
                raise NotFoundError(f"{message}: without it there is no backup.")
            self._warn(f"{message}: it is NOT in the backup.")
        return root

    def _look_at_root_again(self, root: _Folder) -> None:
        """See whether the root that was walked over is the one that stands there now."""
        shown = _shown(self._tree.root)
        try:
            status = os.stat(self._tree.root)
        except OSError as error:
            if self._tree.required:
                raise NotFoundError(
                    f"The folder {shown} went away while the backup ran ({error.strerror}): "
                    "put it back and start again."
                ) from error
            self._warn(f"The folder {shown} went away while the backup ran: it is NOT whole in the backup.")
            return
        if (status.st_dev, status.st_ino) != root.identity:
            self._warn(
                f"The folder {shown} was replaced by another while the backup ran: what is in the backup may be "
                "partly of the one and partly of the other. Take another backup."
            )

    def _own(self, folder: _Folder) -> Iterator[Source]:
        """Yield the source of a folder itself; the root of the archive has no name there, and so none."""
        try:
            status = reaching(os.stat, self._absolute(folder.path))
        except OSError as error:
            self._lost(folder.path, error)
            return
        implied = len(folder.names) > len(folder.specials)
        key = folder.path + b"/" if folder.path else b""
        yield Source(
            path=self._in_archive(folder.path),
            type=EntryType.DIRECTORY,
            mode=status.st_mode,
            mtime=int(status.st_mtime // 1),
            size=0,
            implied=implied,
            seen=self._look(key, status, status.st_mode, implied) if self._look else None,
            # Where links are followed, what the link leads to.
            original=os.fsdecode(self._absolute(folder.path)) + "/.",
        )

    def _enter(self, path: bytes, after: list[bytes], stack: list[_Folder]) -> _Folder | None:
        """Read a folder's listing, filtered and sorted; None where it is left out or cannot be read."""
        try:
            return self._entered(path, after, stack)
        except OSError as error:
            self._lost(path, error)
            return None

    def _entered(self, path: bytes, after: list[bytes], stack: list[_Folder]) -> _Folder | None:
        absolute = self._absolute(path)
        status = reaching(os.stat, absolute)
        if self._device < 0:
            self._device = status.st_dev
        identity = (status.st_dev, status.st_ino)
        if self._tree.one_file_system and status.st_dev != self._device:
            self._excluded(text(path), "one_file_system")
            return None
        if identity in self._tree.own_folders:
            self._excluded(text(path), OWN)
            return None
        if any(folder.identity == identity for folder in stack):
            self._warn(f"{_shown(path)} is a link to a folder that holds it: left out, or it would never end.")
            return None
        names, specials = self._listing(absolute, path)
        has_side_files = any(name.endswith(_SQLITE_SIDE_FILES) for name in names)
        return _Folder(path, names, frozenset(specials), after, identity, has_side_files)

    def _listing(self, absolute: bytes, path: bytes) -> tuple[list[bytes], list[bytes]]:
        rules = self._tree.rules
        skip_folders = rules.subdirectories(text(path))
        skip_files = rules.files(text(path))
        names, specials = [], []
        with read_folder(absolute) as short, os.scandir(short) as found:
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
                    continue
                names.append(entry.name + b"/" if kind == "folder" else entry.name)
                if kind == "special":
                    specials.append(entry.name)
        names.sort()
        return names, specials

    def _kind(self, entry: os.DirEntry[bytes]) -> Literal["folder", "file", "special"]:
        follow = self._tree.follow_links
        try:
            if entry.is_dir(follow_symlinks=follow):
                return "folder"
            if entry.is_file(follow_symlinks=follow) or (entry.is_symlink() and not follow):
                return "file"
        except OSError:
            return "special"
        return "special"

    def _file(self, folder: _Folder, path: bytes, name: bytes) -> Source | None:
        absolute = self._absolute(path)
        in_archive = self._in_archive(path)
        if self._is_reserved(in_archive):
            self._warn(f"{_shown(path)} has the name of an entry of the backup itself: it is NOT in the backup.")
            return None
        try:
            status = reaching(os.stat if self._tree.follow_links else os.lstat, absolute)
            mode = status.st_mode
            mtime = int(status.st_mtime // 1)
            if not stat.S_ISREG(mode):
                return self._no_file(absolute, in_archive, status, path)
            if self._tree.newer_than is not None and mtime <= self._tree.newer_than:
                self._excluded(text(path), "incremental")
                return None
            if folder.has_side_files and self._belongs_to_database(folder, absolute, name):
                return None
            seen = self._look(path, status, mode, False) if self._look else None
            file, size, original = absolute.decode("utf-8", "surrogateescape"), status.st_size, None
            if (seen is None or not seen.is_known or folder.has_side_files) and self._is_live(
                absolute, name, folder, size
            ):
                # A database is known by more than its own file.
                seen = None
                file, size, original = self._copied(absolute, path, size)
        except OSError as error:
            self._lost(path, error)
            return None
        return Source(in_archive, EntryType.FILE, mode, mtime, size, file, original=original, seen=seen)

    def _no_file(self, absolute: bytes, in_archive: str, status: os.stat_result, path: bytes) -> Source | None:
        if stat.S_ISLNK(status.st_mode):
            return self._link(absolute, in_archive, status, path)
        what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "not a file any more")
        self._warn(f"{_shown(path)} is {what}: it is not in the backup.")
        return None

    def _link(self, absolute: bytes, in_archive: str, status: os.stat_result, path: bytes) -> Source:
        target = reaching(os.readlink, absolute)
        mode = reaching(os.lstat if self._tree.own_link_modes else _status_of_target, absolute).st_mode
        return Source(
            path=in_archive,
            type=EntryType.SYMLINK,
            mode=mode,
            mtime=int(status.st_mtime // 1),
            size=len(target),
            target=text(target),
            original=os.fsdecode(absolute),
            seen=self._look(path, status, mode, False) if self._look else None,
        )

    def _is_live(self, absolute: bytes, name: bytes, folder: _Folder, size: int) -> bool:
        """Return whether a file is a SQLite database that a program may be writing to."""
        return self._copy_database is not None and _may_be_database(name, folder, size) and _is_sqlite(absolute)

    def _copied(self, absolute: bytes, path: bytes, size: int) -> tuple[str, int, str | None]:
        """Return the file to read for a live database and its size; where that is a copy, also what it is a copy of."""
        file = os.fsdecode(absolute)
        if self._copy_database is None:
            return file, size, None
        try:
            with reachable(absolute) as short:
                copy = self._copy_database(short)
        except DatabaseError as error:
            self._warn(
                f"{_shown(path)} is stored as it lies on the disk, for no consistent copy could be made. {error}"
            )
            return file, size, None
        return copy, os.stat(copy).st_size, file

    def _belongs_to_database(self, folder: _Folder, absolute: bytes, name: bytes) -> bool:
        """Return whether a file is the log of a live SQLite database beside it, whose copy holds what it holds."""
        if self._copy_database is None:
            return False
        for ending in _SQLITE_SIDE_FILES:
            if name.endswith(ending) and folder.holds_file(name.removesuffix(ending)):
                return _is_sqlite(absolute.removesuffix(ending))
        return False

    def _lost(self, path: bytes, error: OSError) -> None:
        if isinstance(error, FileNotFoundError) and _is_link(self._absolute(path)):
            self._warn(f"{_shown(path)} is a link to nothing: it is NOT in the backup.")
        elif isinstance(error, FileNotFoundError):
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


def _place(folder: _Folder, key: bytes) -> tuple[Literal["new", "done", "begun"], list[bytes]]:
    """Return where a name stands to the position the walk resumes behind, and what of that lies deeper in it."""
    if not folder.after:
        return "new", []
    first, *rest = folder.after
    if key < first:
        return "done", []
    folder.after = []
    if key > first:
        return "new", []
    return ("begun", rest) if key.endswith(b"/") else ("done", [])


def _status_of_target(absolute: bytes) -> os.stat_result:
    """Return the status whose mode the format keeps for a link: of what it points to, its own where it dangles."""
    try:
        return os.stat(absolute)
    except OSError:
        return os.lstat(absolute)


def _is_link(absolute: bytes) -> bool:
    try:
        return stat.S_ISLNK(reaching(os.lstat, absolute).st_mode)
    except OSError:
        return False


def _is_sqlite(absolute: bytes) -> bool:
    with reachable(absolute) as short:
        return is_sqlite_file(os.fsdecode(short))


def _may_be_database(name: bytes, folder: _Folder, size: int) -> bool:
    if size and size % _SQLITE_PAGE == 0:
        return True
    return folder.has_side_files and any(folder.holds_file(name + ending) for ending in _SQLITE_SIDE_FILES)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace") or "the site's root"
