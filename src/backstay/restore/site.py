"""Giving a site back: its files into a folder, its databases into servers."""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from backstay.archives import ArchiveReader, Entry, ExtractProgress, ExtractReport
from backstay.databases import DatabaseAddress, ExistingTables, LoadSummary, load
from backstay.errors import NotFoundError, RestoreError, TargetNotEmptyError
from backstay.restore.layout import ArchivedDatabase, Layout, open_part, read_layout

MAIN_DUMP = "site.sql"


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is.

    Attributes:
        stage: ``files`` or ``database``.
        what: the path or table in hand.
        done: bytes of content or SQL done.
        total: bytes of it in all.
    """

    stage: Literal["files", "database"]
    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore gave back.

    Attributes:
        target: where the files are.
        files: entries written.
        bytes: bytes of their content.
        databases: dump file → what was loaded.
        not_restored: dump files for which no database was given.
    """

    target: Path
    files: int
    bytes: int
    databases: Mapping[str, LoadSummary] = field(default_factory=dict)
    not_restored: tuple[str, ...] = ()


def restore_site(
    archive: ArchiveReader,
    target: Path,
    *,
    databases: Mapping[str, DatabaseAddress],
    existing: ExistingTables = ExistingTables.REFUSE,
    replace_files: bool = False,
    only: Sequence[str] = (),
    on_warning: Callable[[str], None],
) -> Iterator[RestoreProgress | RestoreReport]:
    """Give a site back.

    Files go to a folder beside the target first and take its place when they are all there, so that a half-restored
    site never looks whole; only into a folder that holds something already are they written straight.

    Args:
        archive: open.
        target: folder; made where it is missing.
        databases: dump file (``site.sql`` for the site's own) → where it is loaded to.
        existing: what to do with tables that are there already.
        replace_files: write into a target that is not empty, over what has the same names.
        only: patterns of paths; empty: everything.
        on_warning: told of everything that could not be given back as it was.

    Yields:
        The progress, and last a ``RestoreReport``.

    Raises:
        TargetNotEmptyError: the target holds something and ``replace_files`` is not set.
        ArchiveError: the archive is damaged or unsafe.
        DatabaseError: a database could not be loaded.
    """
    layout = read_layout(archive)
    occupied = target.is_dir() and any(target.iterdir())
    if occupied and not replace_files:
        raise TargetNotEmptyError(f"{target} is not empty: choose another folder, or allow it to be written over.")
    _check_databases(layout, databases)
    staged = target if occupied else target.parent / f".{target.name}.restoring-{secrets.token_hex(4)}"
    staged.parent.mkdir(parents=True, exist_ok=True)
    work = _Extraction(archive, layout, staged, only, on_warning)
    try:
        yield from work.run()
        report = work.report()
    except BaseException:
        if staged is not target:
            shutil.rmtree(staged, ignore_errors=True)
        raise
    _give_root_back(staged, layout)
    if staged is not target:
        if target.is_dir():
            target.rmdir()
        staged.rename(target)
        _sync(target.parent)
    loaded: dict[str, LoadSummary] = {}
    for database in layout.databases:
        if address := databases.get(database.dump_file):
            yield from _load(archive, database, address, existing, on_warning, loaded)
    missing = tuple(database.dump_file for database in layout.databases if database.dump_file not in databases)
    yield RestoreReport(target, report.entries, report.bytes, loaded, missing)


def _give_root_back(folder: Path, layout: Layout) -> None:
    if layout.root_mode is not None:
        # Bits beyond the permissions (setgid, say) are dropped as they are for every other folder.
        folder.chmod(layout.root_mode & 0o777)
    if layout.root_mtime is not None:
        os.utime(folder, (layout.root_mtime, layout.root_mtime))


def _check_databases(layout: Layout, databases: Mapping[str, DatabaseAddress]) -> None:
    known = {database.dump_file for database in layout.databases}
    for dump_file in databases:
        if dump_file not in known:
            raise NotFoundError(_no_such_dump(dump_file, known))


def _no_such_dump(dump_file: str, known: set[str]) -> str:
    held = f"it holds {', '.join(sorted(known))}" if known else "it holds none"
    return f"The archive has no database dump {dump_file}: {held}."


def _load(
    archive: ArchiveReader,
    database: ArchivedDatabase,
    address: DatabaseAddress,
    existing: ExistingTables,
    on_warning: Callable[[str], None],
    loaded: dict[str, LoadSummary],
) -> Iterator[RestoreProgress]:
    parts = [(part.path.rpartition("/")[2], open_part(archive, part)) for part in database.parts]
    work = load(address, parts, metadata=database.metadata or None, policy=existing, on_warning=on_warning)
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            loaded[database.dump_file] = end.value
            return
        yield RestoreProgress("database", progress.table, progress.bytes_in, database.size)


class _Extraction:
    """An extraction in a thread of its own, whose progress is taken from a queue of one place."""

    def __init__(
        self,
        archive: ArchiveReader,
        layout: Layout,
        target: Path,
        only: Sequence[str],
        on_warning: Callable[[str], None],
    ) -> None:
        self._archive = archive
        self._layout = layout
        self._target = target
        self._only = only
        self._warn = on_warning
        self._latest: queue.Queue[ExtractProgress] = queue.Queue(maxsize=1)
        self._report: ExtractReport | None = None
        self._error: BaseException | None = None

    def run(self) -> Iterator[RestoreProgress]:
        thread = threading.Thread(target=self._work, name="extract", daemon=True)
        thread.start()
        while thread.is_alive():
            try:
                progress = self._latest.get(timeout=0.1)
            except queue.Empty:
                continue
            yield RestoreProgress("files", progress.path, progress.bytes, self._layout.size)
        if self._error is not None:
            raise self._error

    def report(self) -> ExtractReport:
        if self._report is None:
            raise RestoreError("The files were not extracted: this is an error of Backstay, please report it.")
        return self._report

    def _work(self) -> None:
        try:
            self._target.mkdir(mode=0o700, exist_ok=True)
            self._report = self._archive.extract(
                self._target,
                only=self._only,
                select=self._is_site,
                on_warning=self._warn,
                on_progress=self._note,
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the restore waits for it
            self._error = error

    def _is_site(self, entry: Entry) -> bool:
        return not self._layout.is_own(entry.path)

    def _note(self, progress: ExtractProgress) -> None:
        if self._latest.empty():
            self._latest.put(progress)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
