"""Reading all of an archive to find what is wrong with it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from backstay.archives import manifest
from backstay.archives.entries import Entry, EntryType, ExtractProgress, Limits, Problem, VerifyReport
from backstay.archives.manifest import ManifestCursor, ManifestLines
from backstay.archives.names import shown
from backstay.archives.process import Job, process
from backstay.archives.survey import safe_path, survey
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from backstay.archives.entries import ManifestLine
    from backstay.archives.formats import FormatReader

_MOST_PROBLEMS = 1000
_TIMES = range(1, 1 << 31)
"""Times that every format can hold."""


class _Problems:
    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: str | None, message: str, *, harmless: bool = False) -> None:
        if len(self.found) < _MOST_PROBLEMS:
            self.found.append(Problem(path, message, harmless))


class _Discard:
    descriptors: tuple[int, ...] = ()

    def prepare(self, job: Job) -> None:
        """There is nothing to remember."""

    def take(self, job: Job, pieces: Iterable[bytes]) -> tuple[str, ...]:  # noqa: ARG002 - what a sink is called with
        """Read everything and keep nothing."""
        for _ in pieces:
            pass
        return ()


def verify(
    reader: FormatReader,
    surveyed: FormatReader,
    limits: Limits,
    lines_of: Callable[[list[Entry]], ManifestLines],
    *,
    workers: int | None,
) -> Generator[ExtractProgress, None, VerifyReport]:
    """Read all of an archive; see `ArchiveReader.verifying`.

    Args:
        reader: of the archive.
        surveyed: the same, or what knows the entries without a walk over the archive.
        limits: what it may unpack to.
        lines_of: reads the manifest from its entries.
        workers: processes or threads.
    """
    problems = _Problems()
    lines: ManifestLines | None = None
    entries = size = compressed_size = 0
    path = ""
    try:
        found = survey(surveyed.entries(), limits, fold=False, wanted=lambda _: None)
        lines = lines_of(found.manifest) if found.manifest else None
        cursor = ManifestCursor(lines) if lines else None
        jobs = _jobs(reader, cursor, problems)
        for results in process(reader, jobs, _Discard(), workers=workers):
            for result in results:
                entry = result.job.entry
                entries += 1
                size += entry.size
                compressed_size += entry.compressed_size
                if result.damage:
                    problems.add(entry.path, f"The entry {shown(entry.path)} is damaged: {result.damage}.")
                if result.unsupported:
                    problems.add(entry.path, f"The entry {shown(entry.path)} {result.unsupported}.")
                path = entry.path
            yield ExtractProgress(entries, size, path, found.size)
        totals = reader.wrong_totals(size, compressed_size)
        if totals:
            problems.add(None, f"{reader.stream.paths[-1]} {totals}.", harmless=True)
        if cursor:
            cursor.finish()
            for path in cursor.missing:
                problems.add(path, f"The entry {shown(path)} is missing: the manifest lists it.")
    except ArchiveError as error:
        problems.add(None, str(error))
    return VerifyReport(entries, size, problems.found, lines is not None, lines.hash if lines else None)


def _jobs(reader: FormatReader, cursor: ManifestCursor | None, problems: _Problems) -> Iterator[Job]:
    for entry in reader.entries():
        line = None
        if cursor and not (entry.type is EntryType.FILE and manifest.piece_number(entry.path) is not None):
            line = cursor.take(entry.path)
            if line is None:
                problems.add(entry.path, f"The entry {shown(entry.path)} is not in the manifest.")
            cursor.directories.clear()
        try:
            safe_path(entry.path)
        except ArchiveError as error:
            problems.add(entry.path, str(error))
        difference = _difference(entry, line) if line else None
        if difference:
            problems.add(entry.path, f"The entry {shown(entry.path)} is damaged: {difference}.")
        yield Job(entry, line, entry.path)


def _difference(entry: Entry, line: ManifestLine) -> str | None:
    if entry.type is EntryType.SYMLINK:
        return None
    if entry.mode is not None and stat.S_IMODE(entry.mode) != stat.S_IMODE(line.mode):
        return f"its permissions are {stat.S_IMODE(entry.mode):o} where the manifest says {stat.S_IMODE(line.mode):o}"
    timed = entry.type is EntryType.FILE and line.mtime in _TIMES
    if timed and entry.mtime != line.mtime:
        return f"its time is {entry.mtime} where the manifest says {line.mtime}"
    return None
