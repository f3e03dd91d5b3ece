"""What a restore would do to the files of a folder: the archive's list held against what is there."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from backstay.archives import ArchiveReader, EntryType
from backstay.archives.extract import matches
from backstay.restore import Layout, RestorePlan
from backstay.restore.plan import SERVER_FILES

_EXAMPLES: Final = 20
_PATIENCE_SECONDS: Final = 3.0
_LOOK_EACH: Final = 256
_HIDDEN: Final = ".backstay-"


@dataclass(slots=True)
class Group:
    """Files that a restore treats alike.

    Attributes:
        count: how many.
        bytes: of their content, as it will be, or as it is where nothing new comes.
        examples: some of their paths.
    """

    count: int = 0
    bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, path: str, size: int) -> None:
        """Count a file."""
        self.count += 1
        self.bytes += size
        if len(self.examples) < _EXAMPLES:
            self.examples.append(path)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"count": self.count, "bytes": self.bytes, "examples": list(self.examples)}


@dataclass(slots=True)
class Difference:
    """What becomes of files; folders are not counted.

    Attributes:
        added: are not there, and come.
        replaced: are there in another size or of another time.
        same: are there in this size and of this time; their content is not read.
        removed: are there, come from no archive, and are set aside.
        left: are there, come from no archive, and stay.
        is_whole: everything was looked at; False: the numbers are those of what was seen in the time there was.
    """

    added: Group = field(default_factory=Group)
    replaced: Group = field(default_factory=Group)
    same: Group = field(default_factory=Group)
    removed: Group = field(default_factory=Group)
    left: Group = field(default_factory=Group)
    is_whole: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        groups = {name: getattr(self, name).to_json() for name in ("added", "replaced", "same", "removed", "left")}
        return {**groups, "is_whole": self.is_whole}


@dataclass(frozen=True, slots=True)
class _Wanted:
    size: int
    mtime: int | None
    target: str | None
    is_link: bool


class _Clock:
    """Says when the time is over; looks at the clock now and then only."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._count = 0

    def is_over(self) -> bool:
        self._count += 1
        return self._count % _LOOK_EACH == 0 and time.monotonic() > self._until


def compare_with_folder(
    archive: ArchiveReader, layout: Layout, plan: RestorePlan, seconds: float = _PATIENCE_SECONDS
) -> Difference:
    """Hold the files of an archive against those of the folder that a restore goes to.

    Args:
        archive: open.
        layout: of the archive.
        plan: of the restore.
        seconds: how long to look at most, for the archive and for the folder each.

    Raises:
        ArchiveError: the archive cannot be read.
    """
    found = Difference()
    if not plan.files:
        return found
    wanted = _wanted(archive, layout, plan, found, _Clock(seconds))
    target = Path(plan.target)
    everything_goes = plan.strategy == "whole" and not plan.only
    clock = _Clock(seconds)
    for path, status in _files(target, found):
        if clock.is_over():
            found.is_whole = False
            break
        coming = wanted.pop(path, None)
        if coming is None:
            # Of an archive that was not seen to its end nobody knows what it lacks.
            if found.is_whole:
                (found.removed if everything_goes else found.left).add(path, status.st_size)
        elif _is_same(coming, status, target / path):
            found.same.add(path, coming.size)
        else:
            found.replaced.add(path, coming.size)
    if found.is_whole:
        for path, one in wanted.items():
            found.added.add(path, one.size)
    return found


def _wanted(
    archive: ArchiveReader, layout: Layout, plan: RestorePlan, found: Difference, clock: _Clock
) -> dict[str, _Wanted]:
    wanted = {}
    for entry in archive:
        if clock.is_over():
            found.is_whole = False
            break
        if entry.type is EntryType.DIRECTORY or layout.is_own(entry.path):
            continue
        if plan.only and not matches(entry.path, plan.only):
            continue
        path = SERVER_FILES.get(entry.path, entry.path) if plan.rename_server_files else entry.path
        wanted[path] = _Wanted(entry.size, entry.mtime, entry.target, entry.type is EntryType.SYMLINK)
    return wanted


def _files(root: Path, found: Difference) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and status of everything below a folder that is no folder; links are not followed.

    Each folder in the order of its names: those that are shown of many are the same each time, whatever the disk.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if folder or not entry.name.startswith(_HIDDEN):
                            waiting.append(path)
                    else:
                        yield path, entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            # Gone since it was listed, or never there.
            continue
        except OSError:
            found.is_whole = False


def _is_same(coming: _Wanted, status: os.stat_result, path: Path) -> bool:
    if coming.is_link:
        try:
            return stat.S_ISLNK(status.st_mode) and os.readlink(path) == coming.target  # noqa: PTH115 - as in archives
        except OSError:
            return False
    known = stat.S_ISREG(status.st_mode) and coming.mtime is not None
    return known and (coming.size, coming.mtime) == (status.st_size, int(status.st_mtime))
