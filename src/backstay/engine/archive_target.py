"""A backup that becomes an archive of its own."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backstay.archives import (
    ArchiveSummary,
    ArchiveWriter,
    Compression,
    PackProgress,
    PackWarning,
    Source,
    VerifyReport,
    create_archive,
    open_archive,
    pack,
    resume_archive,
)
from backstay.engine.contents import Survey
from backstay.engine.parts import WORK, parts_of, remove_parts, summary_of_closed
from backstay.engine.plan import Plan
from backstay.engine.progress import Progress
from backstay.engine.space import check_space
from backstay.errors import ArchiveError, BackupFailedError, StorageError
from backstay.profiles import VerificationLevel
from backstay.steps import converted
from backstay.storage import read_back, sync

_SHOWN_PROBLEMS = 3

_log = logging.getLogger(__name__)


class ArchiveTarget:
    """The archive of one backup; see `backstay.engine.target.Target`.

    Args:
        plan: of the backup.
        work: a folder for what is kept beside the archive while it is written.
    """

    is_sent = True
    counts_first = True

    def __init__(self, plan: Plan, work: Path) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._work = work
        self.path = Path(plan.archive)
        self._writer: ArchiveWriter | None = None

    @property
    def last_path(self) -> str | None:
        """The last path that is whole in the archive."""
        return self._open().last_path

    @property
    def finished_parts(self) -> Iterable[Path]:
        """Parts that will not change any more."""
        return self._open().finished_parts

    def prepare(self) -> None:
        """Make the folder for it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync([self.path.parent.parent])

    def check_space(self, found: Survey) -> None:
        """Refuse a backup that cannot fit."""
        check_space(self.path.parent, found, sum(path.stat().st_size for path in parts_of(self.path)))

    def create(self) -> None:
        """Begin the archive anew."""
        remove_parts(self.path)
        self._writer = create_archive(
            self.path,
            format=self._settings.archive_format,
            part_size=self._settings.split_size,
            password=self._settings.password,
            compression=Compression(self._settings.compression),
            comment=self._plan.description,
            work_directory=self._work,
            store_above=self._settings.store_above,
        )

    def resume(self, state: dict[str, Any]) -> ArchiveSummary | None:
        """Go on behind what is whole."""
        try:
            self._writer = resume_archive(state, password=self._settings.password, work_directory=self._work)
        except ArchiveError:
            # The archive has its own name only once it is whole and synced: death came just before that was noted.
            if self.path.exists():
                return summary_of_closed(self.path)
            raise
        return None

    def looking(self, tree: int) -> None:
        """Nothing is known of a path from before."""
        del tree

    def pack(self, sources: Iterable[Source], on_warning: Callable[[PackWarning], None]) -> Iterator[PackProgress]:
        """Write sources into the archive."""
        return pack(self._open(), sources, on_warning=on_warning)

    def checkpoint(self) -> dict[str, Any]:
        """Make the archive safe as far as it is written."""
        return self._open().checkpoint()

    def close(self) -> ArchiveSummary:
        """Write the manifest and the end of the archive."""
        summary = self._open().close()
        self._writer = None
        return summary

    def release(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.release()

    def _open(self) -> ArchiveWriter:
        if self._writer is None:
            raise BackupFailedError("The archive is not open: this is an error of Backstay, please report it.")
        return self._writer

    # ------------------------------------------------------------------ proof

    def prove(self, summary: ArchiveSummary | None) -> Generator[Progress, None, dict[str, Any]]:
        """Read the archive back: its content as far as the profile says, and all bytes of its parts."""
        paths = [self.path] if summary is None else summary.parts
        level: VerificationLevel = "none" if summary is None else self._settings.verify
        report: VerifyReport | None = None
        if level != "none" and summary is not None:
            report = yield from self._verify()
            self._check(report, summary)
        size = sum(path.stat().st_size for path in paths)
        found = yield from converted(read_back(paths), lambda done: _proving("Hashing the parts", 0.6, done, size))
        parts = [asdict(part) for part in found]
        read = report.manifest_hash if report is not None else None
        return {
            "multipart": len(parts) if summary is not None and self._settings.split_size > 0 else 0,
            "total_size": sum(part["size"] for part in parts),
            "proof": {
                "level": level,
                "parts": parts,
                # As it was written, else as it was read back.
                "manifest": (summary.manifest_hash if summary is not None else "") or read or "",
                "entries": report.entries if report is not None else 0,
            },
        }

    def _verify(self) -> Generator[Progress, None, VerifyReport]:
        with open_archive(self.path, password=self._settings.password) as archive:
            return (
                yield from converted(
                    archive.verifying(), lambda done: _proving("Verifying the archive", 0.2, done.bytes, done.total)
                )
            )

    def _check(self, report: VerifyReport, summary: ArchiveSummary) -> None:
        problems = [problem.message for problem in report.problems]
        if self._settings.verify == "content" and not report.used_manifest:
            problems.append("The manifest could not be read back.")
        elif (
            report.manifest_hash is not None and summary.manifest_hash and report.manifest_hash != summary.manifest_hash
        ):
            problems.append("The manifest on the disk is not the one that was written.")
        if problems:
            raise BackupFailedError(
                f"The archive was read back and is not what was written: {' '.join(problems[:_SHOWN_PROBLEMS])} "
                "Check the disk and start again."
            )
        _log.info("Verified %d entries of %d bytes", report.entries, report.bytes)

    def remove(self) -> list[str]:
        """Remove all parts."""
        try:
            remove_parts(self.path)
        except StorageError as error:
            return [str(error)]
        return []


def _proving(step: str, begun: float, done: int, size: int) -> Progress:
    share = min(1.0, done / size) if size else 0.0
    return Progress("finale", step=step, substep=f"{share:.0%}" if size else "", fraction=begun + 0.3 * share)


def discard_archive(plan: Plan, folder: Path) -> list[str]:
    """Remove every part of the archive of a backup that will not be resumed, and its spools.

    Args:
        plan: of the backup.
        folder: of its job.

    Returns:
        A sentence for each thing that could not be removed.
    """
    shutil.rmtree(folder / WORK, ignore_errors=True)
    return ArchiveTarget(plan, folder / WORK).remove()
