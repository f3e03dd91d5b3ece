"""Writing an archive's entries beneath a folder."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import posixpath
import shutil
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstay.archives import manifest
from backstay.archives.attributes import NO_ATTRIBUTES, Attributes, WhichXattrs, ids_here
from backstay.archives.entries import Entry, EntryType, ExtractProgress, ExtractReport, Limits, ManifestLine
from backstay.archives.manifest import ManifestCursor, ManifestLines
from backstay.archives.names import shown, why_odd
from backstay.archives.process import Job, RefusedError, Result, process
from backstay.archives.survey import Survey, beneath_link, key_of, safe_path, survey
from backstay.archives.target import Target
from backstay.errors import DamagedArchiveError, DiskFullError, UnsupportedEntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from backstay.archives.formats import FormatReader

_SHOWN_DAMAGE = 5
_FolderAttributes = tuple[int | None, int | None, Attributes]


@dataclass(frozen=True, slots=True)
class Options:
    """How to extract; see `ArchiveReader.extract`."""

    only: tuple[str, ...]
    select: Callable[[Entry], bool] | None
    rename: Callable[[str], str] | None
    permissions: bool
    special_modes: bool
    xattrs: WhichXattrs
    owners: bool
    on_warning: Callable[[str], None]
    on_progress: Callable[[ExtractProgress], None]
    workers: int | None


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Say whether a path matches a glob, or lies beneath a folder that is named."""
    return any(
        path.startswith(pattern.rstrip("/") + "/") or fnmatch.fnmatchcase(path, pattern.rstrip("/"))
        for pattern in patterns
    )


def _check_space(root: Path, size: int) -> None:
    """Refuse what a new folder has no space for; in one that holds something already, much of it may be replaced."""
    if root.is_dir() and any(root.iterdir()):
        return
    folder = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DiskFullError(
            f"There is no space left for {root}: the archive unpacks to {size} bytes, and {free} are free."
        )


class Extraction:
    """One extraction of one archive.

    Args:
        reader: the archive.
        limits: what it may unpack to.
        lines_of: reads the manifest from its entries.
        options: how to extract.
    """

    def __init__(
        self, reader: FormatReader, limits: Limits, lines_of: Callable[[list[Entry]], ManifestLines], options: Options
    ) -> None:
        self._reader = reader
        self._limits = limits
        self._lines_of = lines_of
        self._options = options
        # What folders are given when all else is written, by path.
        self._folders: dict[str, _FolderAttributes] = {}
        self._unwanted_folders: dict[str, _FolderAttributes] = {}
        self._gives_owners = options.owners and os.geteuid() == 0
        self._has_owners = self._has_others_files = False
        self._files: dict[ManifestLine, str] = {}
        # What could not be given back -> of how many entries, and the first of them.
        self._lost: dict[str, tuple[int, str]] = {}
        self._damaged: list[str] = []
        self._damage_count = 0
        self._unsupported = ""
        self._unsupported_count = 0
        self._entries = self._bytes = self._refused = self._total = 0

    def run(self, root: Path) -> ExtractReport:
        """Extract; see `ArchiveReader.extract`."""
        # The structure is walked before even the folder is made; where names are folded is only known with the folder.
        found = survey(self._reader.entries(), self._limits, fold=False, wanted=self._path_of)
        _check_space(root, found.wanted)
        self._total = found.wanted
        target = Target(
            root,
            permissions=self._options.permissions,
            special_modes=self._options.special_modes,
            xattrs=self._options.xattrs,
            owners=self._gives_owners,
        )
        try:
            if target.fold:
                found = survey(self._reader.entries(), self._limits, fold=True, wanted=self._path_of)
            used_manifest = self._write(found, target)
        finally:
            target.close()
        if self._damaged:
            rest = self._damage_count - len(self._damaged)
            more = f" and {rest} more" if rest else ""
            raise DamagedArchiveError(f"{'; '.join(self._damaged)}{more}. All else was extracted.")
        self._warn_of_lost()
        if self._unsupported:
            more = f" (and {self._unsupported_count - 1} more)" if self._unsupported_count > 1 else ""
            raise UnsupportedEntryError(f"{self._unsupported}{more}. All else was extracted.")
        return ExtractReport(self._entries, self._bytes, self._refused, used_manifest, self._has_owners)

    def _warn_of_lost(self) -> None:
        if self._has_others_files and self._options.owners and not self._gives_owners:
            self.warn("The files do not get their owners back, for only root can do that: they belong to you.")
        for what, (count, path) in self._lost.items():
            whose = f"{shown(path)} did" if count == 1 else f"{count} entries, {shown(path)} the first of them, did"
            self.warn(f"{whose} not get back {what}.")

    def _write(self, found: Survey, target: Target) -> bool:
        lines = self._lines_of(found.manifest) if found.manifest else None
        cursor = ManifestCursor(lines) if lines else None
        selection = _Selection(self._reader, self, found, fold=target.fold)
        self._process(selection.jobs(cursor), target)
        if cursor:
            cursor.finish()
            self._take_directories(cursor, target)
            for path in cursor.missing:
                self._damage(f"{shown(path)} is missing")
        self._process(iter(self._without_link(selection.repeated, target)), target)
        if selection.links:
            # Links come last: until then there is nothing that could lead out.
            self._process(iter(selection.links), target)
        for path in target.made & self._unwanted_folders.keys():
            self._folders.setdefault(path, self._unwanted_folders[path])
        for path in sorted(self._folders, key=lambda path: path.count("/"), reverse=True):
            self._note_lost(path, target.attributes(path, *self._folders[path]))
        return lines is not None

    def _without_link(self, repeated: list[Job], target: Target) -> list[Job]:
        """Make the further names of files that have several; give those for which that cannot be done."""
        left = []
        for job in repeated:
            first = self._files.get(_file_of(job.line)) if job.line else None
            try:
                linked = first is not None and target.hard_link(first, job.path)
            except RefusedError as error:
                self.refuse(job.entry.path, str(error))
                continue
            if linked:
                self._entries += 1
                self._bytes += job.entry.size
            else:
                left.append(job)
        return left

    def _process(self, jobs: Iterator[Job], target: Target) -> None:
        sink = _TargetSink(target)
        path = ""
        for results in process(self._reader, jobs, sink, workers=self._options.workers):
            for result in results:
                path = result.job.path
                name = result.job.entry.path
                if result.damage:
                    self._damage(f"{shown(name)} is damaged: {result.damage}")
                elif result.unsupported:
                    self._unsupported = self._unsupported or f"{shown(name)} {result.unsupported}"
                    self._unsupported_count += 1
                elif result.refusal:
                    self.refuse(name, result.refusal)
                else:
                    self._entries += 1
                    self._bytes += result.job.entry.size if result.job.entry.type is EntryType.FILE else 0
                    self._note_done(result, target)
            self._options.on_progress(ExtractProgress(self._entries, self._bytes, path, self._total))

    def _note_done(self, result: Result, target: Target) -> None:
        entry, line, path = result.job
        if result.lost:
            self._note_lost(entry.path, result.lost)
        if line is not None and line.attributes.inode and entry.type is EntryType.FILE:
            self._files.setdefault(_file_of(line), path)
        mode = line.mode if line else entry.mode
        folder = entry.type is EntryType.DIRECTORY
        if entry.type is not EntryType.SYMLINK and target.dropped_bits(mode, folder=folder):
            self.warn(f"{shown(path)} lost its setuid, setgid or sticky bit.")
        if folder:
            self._folders[path] = _attributes_of(entry, line)

    def _note_lost(self, path: str, lost: tuple[str, ...]) -> None:
        for what in lost:
            count, first = self._lost.get(what, (0, path))
            self._lost[what] = (count + 1, first)

    def note_owner(self, line: ManifestLine) -> None:
        """Note that the manifest names an owner of something that is wanted."""
        owner = line.attributes.owner
        if owner and not self._has_others_files:
            self._has_owners = True
            self._has_others_files = ids_here(owner)[0] != os.geteuid()

    def _take_directories(self, cursor: ManifestCursor, target: Target) -> None:
        for line in cursor.directories:
            entry = Entry(line.path, line.type, line.size, 0, line.mode, line.mtime)
            path = self.path_of(entry)
            if path is None:
                self.note_unwanted(entry, line)
                continue
            try:
                target.folder(path)
            except RefusedError as error:
                self.refuse(path, str(error))
            self._folders.setdefault(path, _attributes_of(entry, line))
            self.note_owner(line)
        cursor.directories.clear()

    def note_unwanted(self, entry: Entry, line: ManifestLine | None) -> None:
        """Keep what is known of a folder that was not asked for: it may have to be made for what is in it."""
        self._unwanted_folders[self._renamed(entry.path)] = _attributes_of(entry, line)

    def _path_of(self, entry: Entry) -> str | None:
        options = self._options
        if options.only and not matches(entry.path, options.only):
            return None
        if options.select and not options.select(entry):
            return None
        return self._renamed(entry.path)

    def _renamed(self, path: str) -> str:
        return self._options.rename(path) if self._options.rename else path

    def path_of(self, entry: Entry) -> str | None:
        """Give where an entry goes, None if it is not wanted."""
        path = self._path_of(entry)
        return None if path is None else safe_path(path)

    def warn(self, message: str) -> None:
        """Report an entry."""
        self._options.on_warning(message)

    def refuse(self, path: str, reason: str) -> None:
        """Report an entry that is left out."""
        self._refused += 1
        self.warn(f"{shown(path)} {reason}.")

    def _damage(self, message: str) -> None:
        self._damage_count += 1
        if len(self._damaged) < _SHOWN_DAMAGE:
            self._damaged.append(message)


class _Selection:
    """Goes through the entries and picks what is written.

    Attributes:
        links: the symbolic links that were come by; they are not among the `jobs`.
        repeated: further names of files among the `jobs`, likewise.
    """

    def __init__(self, reader: FormatReader, extraction: Extraction, found: Survey, *, fold: bool) -> None:
        self._reader = reader
        self._extraction = extraction
        self._found = found
        self._fold = fold
        self._seen: dict[int, EntryType] = {}
        self._files: set[ManifestLine] = set()
        self.links: list[Job] = []
        self.repeated: list[Job] = []

    def jobs(self, cursor: ManifestCursor | None) -> Iterator[Job]:
        for entry in self._reader.entries():
            line = None
            if cursor and not (entry.type is EntryType.FILE and manifest.piece_number(entry.path) is not None):
                line = cursor.take(entry.path)
                if line is None:
                    raise DamagedArchiveError(f"{shown(entry.path)} is not in the archive's manifest.")
            path = self._extraction.path_of(entry)
            if path is None:
                if entry.type is EntryType.DIRECTORY:
                    self._extraction.note_unwanted(entry, line)
                continue
            reason = self._why_not(entry, path)
            if reason:
                self._extraction.refuse(entry.path, reason)
                continue
            if line is not None:
                self._extraction.note_owner(line)
            if line is not None and self._is_repeated(entry, line):
                self.repeated.append(Job(entry, line, path))
            elif entry.type is EntryType.SYMLINK:
                self.links.append(Job(entry, line, path))
            else:
                yield Job(entry, line, path)

    def _why_not(self, entry: Entry, path: str) -> str | None:
        key = key_of(path, fold=self._fold)
        if self._is_duplicate(key, entry.type):
            return "has the name of an entry before it and was left out"
        if beneath_link(path, self._found.links, fold=self._fold):
            return "lies beneath a symbolic link of the archive and was left out"
        if entry.type is EntryType.FILE and entry.mode is not None and stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG}:
            return "is a device or something else that is no file, and was left out"
        odd = why_odd(path)
        if odd:
            self._extraction.warn(f"{shown(path)} {odd}; here it is an ordinary name.")
        return None

    def _is_repeated(self, entry: Entry, line: ManifestLine) -> bool:
        """Say whether a file is, in all that the manifest says of it, one that was come by under another name."""
        if not line.attributes.inode or entry.type is not EntryType.FILE or line.size != entry.size:
            return False
        file = _file_of(line)
        before = file in self._files
        self._files.add(file)
        return before

    def _is_duplicate(self, key: str, entry_type: EntryType) -> bool:
        code = hash(key)
        if code not in self._found.duplicates:
            return False
        before = self._seen.get(code)
        self._seen[code] = before or entry_type
        return before is not None and not before is entry_type is EntryType.DIRECTORY


class _TargetSink:
    def __init__(self, target: Target) -> None:
        self._target = target
        self.descriptors: tuple[int, ...] = target.descriptors

    def prepare(self, job: Job) -> None:
        """Make the folder of an entry, so that it is known here which ones were made."""
        folder = job.path if job.entry.type is EntryType.DIRECTORY else posixpath.dirname(job.path)
        # What stands in the way is reported when the entry itself is written.
        with contextlib.suppress(RefusedError):
            self._target.folder(folder)

    def take(self, job: Job, pieces: Iterable[bytes]) -> tuple[str, ...]:
        """Write an entry."""
        entry, line, path = job
        mode, mtime = (line.mode, line.mtime) if line else (entry.mode, entry.mtime)
        attributes = line.attributes if line else NO_ATTRIBUTES
        if entry.type is EntryType.SYMLINK:
            return self._target.link(path, entry.target or "", mtime, attributes)
        if entry.type is EntryType.FILE:
            return self._target.file(path, pieces, mode, mtime, attributes)
        self._target.folder(path)
        return ()


def _attributes_of(entry: Entry, line: ManifestLine | None) -> _FolderAttributes:
    if line is None:
        return entry.mode, entry.mtime, NO_ATTRIBUTES
    return line.mode, line.mtime, line.attributes


def _file_of(line: ManifestLine) -> ManifestLine:
    """Give what the lines of all names of one file have in common."""
    return replace(line, path="")
