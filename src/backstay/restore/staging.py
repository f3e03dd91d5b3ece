"""The files of a site, made ready in a folder beside the one they are for."""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backstay.archives import ArchiveReader, Entry, ExtractProgress, ExtractReport
from backstay.errors import RestoreError
from backstay.restore.configuration import Move, Rewritten, rewrite_configuration
from backstay.restore.layout import Layout
from backstay.restore.plan import SERVER_FILES, RestorePlan, RestoreProgress
from backstay.restore.replacement import Replacer, replace_in_files


@dataclass(slots=True)
class StagedFiles:
    """What was made ready: entries, bytes, what was changed in them."""

    files: int = 0
    bytes: int = 0
    configuration: list[Rewritten] = field(default_factory=list)
    replaced: dict[str, int] = field(default_factory=dict)


def stage_files(
    archive: ArchiveReader,
    layout: Layout,
    plan: RestorePlan,
    folder: Path,
    move: Move,
    *,
    root_mode: int,
    on_warning: Callable[[str], None],
) -> Iterator[RestoreProgress | StagedFiles]:
    """Extract the site into a folder that is made anew, and change in it what its new place asks for.

    Args:
        archive: open.
        layout: of the archive.
        plan: of the restore.
        folder: whatever is there is removed first.
        move: where the site goes.
        root_mode: permissions of the folder where the archive does not tell them.
        on_warning: told of all that could not be given back as it was.

    Yields:
        The progress, and last what was made ready.

    Raises:
        ArchiveError: the archive is damaged or unsafe.
        DiskFullError: there is no room.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    extraction = _Extraction(archive, layout, plan, folder, on_warning)
    yield from extraction.run()
    report = extraction.report()
    staged = StagedFiles(report.entries, report.bytes)
    if plan.configuration:
        staged.configuration = rewrite_configuration(folder, move, on_warning=on_warning)
    replacer = Replacer(plan.replacements)
    if replacer:
        yield RestoreProgress("texts", plan.target)
        staged.replaced = replace_in_files(folder, replacer, on_warning=on_warning)
    if plan.owner is not None:
        _give_to(folder, *plan.owner)
    _give_root_back(folder, layout, root_mode)
    yield staged


def _give_root_back(folder: Path, layout: Layout, root_mode: int) -> None:
    # Bits beyond the permissions (setgid, say) are dropped as they are for every other folder.
    folder.chmod(root_mode if layout.root_mode is None else layout.root_mode & 0o3777)
    if layout.root_mtime is not None:
        os.utime(folder, (layout.root_mtime, layout.root_mtime))


def _give_to(folder: Path, user: int, group: int) -> None:
    os.chown(folder, user, group)
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(base) / name, user, group, follow_symlinks=False)


class _Extraction:
    """An extraction in a thread of its own, whose progress is taken from a queue of one place."""

    def __init__(
        self,
        archive: ArchiveReader,
        layout: Layout,
        plan: RestorePlan,
        target: Path,
        on_warning: Callable[[str], None],
    ) -> None:
        self._archive = archive
        self._layout = layout
        self._plan = plan
        self._target = target
        self._warn = on_warning
        self._latest: queue.Queue[ExtractProgress] = queue.Queue(maxsize=1)
        self._report: ExtractReport | None = None
        self._error: BaseException | None = None
        self._stopped = False

    def run(self) -> Iterator[RestoreProgress]:
        thread = threading.Thread(target=self._work, name="extract", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                try:
                    progress = self._latest.get(timeout=0.05)
                except queue.Empty:
                    continue
                yield RestoreProgress("files", progress.path, progress.bytes, self._layout.size)
        finally:
            # Whoever stops early must not find files appear behind them.
            self._stopped = True
            thread.join()
        if self._error is not None:
            raise self._error

    def report(self) -> ExtractReport:
        if self._report is None:
            raise RestoreError("The files were not extracted: this is an error of Backstay, please report it.")
        return self._report

    def _work(self) -> None:
        try:
            self._target.mkdir(mode=0o700)
            self._report = self._archive.extract(
                self._target,
                only=self._plan.only,
                select=self._is_site,
                rename=_renamed if self._plan.rename_server_files else None,
                on_warning=self._warn,
                on_progress=self._note,
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the restore waits for it
            self._error = error

    def _is_site(self, entry: Entry) -> bool:
        return not self._layout.is_own(entry.path)

    def _note(self, progress: ExtractProgress) -> None:
        if self._stopped:
            raise RestoreError("The restore was stopped.")
        if self._latest.empty():
            self._latest.put(progress)


def _renamed(path: str) -> str:
    return SERVER_FILES.get(path, path)
