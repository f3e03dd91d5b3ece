"""Two trees compared: every file byte for byte, and every mode, time, link and row.

The two folders themselves are compared too, under the path ``.``. Nothing in either tree is written to.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backstay.cli.output import shown
from backstay.demo.compare_databases import COMPANION_ENDINGS, differences_of_databases, is_database, read_database

CHUNK: Final = 1 << 20
KINDS: Final = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        path: relative to the roots, ``/``-separated, with ``surrogateescape``.
        message: what differs, in words.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """Give one line that any terminal takes."""
        return f"{shown(self.path)}: {self.message}"


@dataclass(slots=True)
class Comparison:
    """What was compared, and what was found.

    Attributes:
        directories: how many directories are in the original.
        files: how many files, databases among them.
        links: how many symbolic links.
        databases: how many SQLite files, compared by content.
        rows: how many rows they hold.
        others: how many sockets, pipes and devices of the original were passed over: archives hold none.
        bytes: the bytes of the original's files.
        differences: what is not the same, in the order of the walk.
    """

    directories: int = 0
    files: int = 0
    links: int = 0
    databases: int = 0
    rows: int = 0
    others: int = 0
    bytes: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def compare_trees(original: Path, restored: Path, *, on_entry: Callable[[str], None] | None = None) -> Comparison:
    """Compare a restored tree with the original.

    Args:
        original: the folder that was backed up.
        restored: the folder it was restored to.
        on_entry: called with the path of each entry before it is compared.

    Raises:
        OSError: a folder cannot be read.
    """
    comparison = Comparison()
    _compare_entry(comparison, ".", stat.S_IFDIR, original, restored)
    present = {path: kind for path, kind in walk(restored) if kind in KINDS}
    for path, kind in walk(original):
        if on_entry is not None:
            on_entry(path)
        _count(comparison, kind)
        restored_kind = present.pop(path, None)
        if kind not in KINDS:
            continue
        if restored_kind != kind:
            message = "is missing" if restored_kind is None else f"is a {KINDS[restored_kind]}, not a {KINDS[kind]}"
            comparison.differences.append(Difference(path, message))
            continue
        _compare_entry(comparison, path, kind, original / path, restored / path)
    comparison.differences += [Difference(path, f"is a {KINDS[kind]} too many") for path, kind in present.items()]
    return comparison


def walk(root: Path) -> Iterator[tuple[str, int]]:
    """Give path and file type (``stat.S_IFMT``) of all that is in a folder, sorted, companions of databases left out.

    Args:
        root: the folder; it gets no entry itself.
    """
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        below = []
        for entry in entries:
            if _is_companion(root / folder, entry.name, names):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            yield path, kind
            if kind == stat.S_IFDIR:
                below.append(path)
        pending.extend(reversed(below))


def _is_companion(folder: Path, name: str, names: set[str]) -> bool:
    """Return whether a file is the ``-wal``, ``-shm`` or ``-journal`` of a database beside it."""
    for ending in COMPANION_ENDINGS:
        database = name.removesuffix(ending)
        if database != name and database in names and (folder / database).is_file():
            return is_database(folder / database)
    return False


def _count(comparison: Comparison, kind: int) -> None:
    if kind == stat.S_IFDIR:
        comparison.directories += 1
    elif kind == stat.S_IFREG:
        comparison.files += 1
    elif kind == stat.S_IFLNK:
        comparison.links += 1
    else:
        comparison.others += 1


def _compare_entry(comparison: Comparison, path: str, kind: int, original: Path, restored: Path) -> None:
    messages = list(_differing_attributes(kind, original.lstat(), restored.lstat()))
    if kind == stat.S_IFLNK:
        targets = original.readlink(), restored.readlink()
        if targets[0] != targets[1]:
            messages.append(f"leads to {os.fspath(targets[1])!r}, not {os.fspath(targets[0])!r}")
    elif kind == stat.S_IFREG:
        try:
            messages += _differing_content(comparison, original, restored)
        except OSError as error:
            messages.append(f"cannot be read: {error.strerror}")
    comparison.differences += [Difference(path, message) for message in messages]


def _differing_attributes(kind: int, original: os.stat_result, restored: os.stat_result) -> Iterator[str]:
    """Compare modes, but of links, which have none to speak of, and modification times in whole seconds."""
    modes = stat.S_IMODE(original.st_mode), stat.S_IMODE(restored.st_mode)
    if kind != stat.S_IFLNK and modes[0] != modes[1]:
        yield f"has mode {modes[1]:04o}, not {modes[0]:04o}"
    times = int(original.st_mtime_ns // 10**9), int(restored.st_mtime_ns // 10**9)
    if times[0] != times[1]:
        yield f"has the modification time {times[1]}, not {times[0]}"


def _differing_content(comparison: Comparison, original: Path, restored: Path) -> list[str]:
    comparison.bytes += original.stat().st_size
    if is_database(original):
        try:
            content = read_database(original)
        except sqlite3.DatabaseError:  # a file that only starts like one
            return list(_differing_bytes(original, restored))
        comparison.databases += 1
        comparison.rows += content.rows
        try:
            return differences_of_databases(content, read_database(restored))
        except sqlite3.DatabaseError as error:
            return [f"is a damaged database: {error}"]
    return list(_differing_bytes(original, restored))


def _differing_bytes(original: Path, restored: Path) -> Iterator[str]:
    sizes = original.stat().st_size, restored.stat().st_size
    if sizes[0] != sizes[1]:
        yield f"has {sizes[1]} bytes, not {sizes[0]}"
        return
    offset = 0
    with original.open("rb") as first, restored.open("rb") as second:
        while chunk := first.read(CHUNK):
            if chunk != second.read(CHUNK):
                yield f"has other bytes between {offset} and {offset + len(chunk)}"
                return
            offset += len(chunk)
