"""The end of a backup: proving the archive, sending it elsewhere, completing its record, retention."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveSummary, VerifyReport, open_archive
from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.counting import Holdings, keep_counts
from backstay.engine.delivery import complete, deliver
from backstay.engine.parts import WORK, remove_parts
from backstay.engine.plan import Plan
from backstay.engine.progress import Progress
from backstay.engine.remote_retention import apply_remote_retention
from backstay.engine.retention import RetentionContext, apply_retention, forget_obsolete
from backstay.engine.warnings import Warnings
from backstay.errors import BackupFailedError
from backstay.profiles import VerificationLevel
from backstay.steps import converted
from backstay.storage import read_back

COMPLETING = "Updating backup record information"
"""The step behind which the record is complete."""
_SHOWN_PROBLEMS = 3

_log = logging.getLogger(__name__)


class Finalization:
    """Completes one backup whose archive is closed."""

    def __init__(self, catalogue: Catalogue, home: Home, backup: Backup, plan: Plan, warnings: Warnings) -> None:
        self._catalogue = catalogue
        self._home = home
        self._backup = backup
        self._plan = plan
        self._warnings = warnings
        self._report: VerifyReport | None = None
        self._parts: list[dict[str, Any]] = []
        self._kept_here = True

    def run(
        self, summary: ArchiveSummary | None, holdings: Holdings | None = None, *, skipped: int = 0
    ) -> Generator[Progress]:
        """Prove the archive and say in the record that the backup is complete.

        Args:
            summary: of the closed archive; None for a database-only backup, which is one plain file.
            holdings: what was counted of its contents; None: nothing was.
            skipped: objects that database servers did not give.

        Raises:
            BackupFailedError: what was read back is not what was written.
        """
        sends = bool(self._plan.settings.destination_names)
        proven = self._proven(summary, holdings or Holdings(), skipped)
        # Sending takes longer than everything before it.
        yield from _within(proven, 0.0, 0.3 if sends else 1.0)
        if sends:
            yield from self._send()
        yield Progress("finale", step=COMPLETING, fraction=0.9)
        self._complete()
        yield from self.retain()

    def retain(self) -> Generator[Progress]:
        """Apply the rules of retention of a backup that is complete."""
        yield Progress("finale", step="Applying local quotas", fraction=0.95)
        self._retain("local", apply_retention)
        yield Progress("finale", step="Applying remote quotas", fraction=0.97)
        self._retain("stored", apply_remote_retention)
        self._retain("obsolete", forget_obsolete)

    def _proven(self, summary: ArchiveSummary | None, holdings: Holdings, skipped: int) -> Iterator[Progress]:
        """Prove the archive, and note so in the record; what was noted before a death counts."""
        if self._backup.proof.get("ok"):
            return
        yield Progress("finale", step="Updating file sizes", fraction=0.1)
        paths = [Path(self._plan.archive)] if summary is None else summary.parts
        begun = time.monotonic()
        level: VerificationLevel = "none" if summary is None else self._plan.settings.verify
        if level != "none":
            yield from self._verify()
            self._check_report(summary)
        yield from self._hash(paths)
        # Before the proof: whoever finds that goes on behind it.
        compared = self._plan.newer_than is None
        keep_counts(self._catalogue, self._backup, holdings, summary, compared=compared)
        self._note_proof(summary, level, time.monotonic() - begun, skipped)

    def _send(self) -> Generator[Progress]:
        """Send the backup to its storages; where all have it, the local archive goes if the profile says so."""
        work = self._home.job(self._backup.id) / WORK
        steps = deliver(self._catalogue, self._backup, self._plan, work, self._warnings)
        everywhere = yield from converted(steps, lambda step: replace(step, fraction=0.3 + 0.6 * step.fraction))
        if everywhere and self._plan.settings.delete_after:
            remove_parts(Path(self._plan.archive))
            self._kept_here = False
            _log.info("Removed the local archive: it lies at every storage of the profile")

    def _retain(self, which: str, apply: Callable[[RetentionContext], None]) -> None:
        """Apply rules of retention; whatever happens there, the backup is complete and stays so."""
        settings, now = self._plan.settings, datetime.now(UTC)
        try:
            apply(
                RetentionContext(
                    self._catalogue, self._home, settings, self._backup, now, on_warning=self._warnings.add
                )
            )
        except Exception as error:  # noqa: BLE001 - no fault there may undo a backup that is proven
            _log.exception("Retention")
            self._warnings.add(f"The rules of retention for {which} backups could not be applied this time ({error}).")

    def _verify(self) -> Generator[Progress]:
        with open_archive(Path(self._plan.archive), password=self._plan.settings.password) as archive:
            self._report = yield from converted(
                archive.verifying(), lambda done: _proving("Verifying the archive", 0.2, done.bytes, done.total)
            )

    def _check_report(self, summary: ArchiveSummary | None) -> None:
        report = self._report
        if report is None or summary is None:
            return
        problems = [problem.message for problem in report.problems]
        if self._plan.settings.verify == "content" and not report.used_manifest:
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

    def _manifest(self, summary: ArchiveSummary | None) -> str:
        """Return the hash of the manifest: as it was written, else as it was read back."""
        read = self._report.manifest_hash if self._report is not None else None
        return (summary.manifest_hash if summary is not None else "") or read or ""

    def _hash(self, paths: list[Path]) -> Generator[Progress]:
        size = sum(path.stat().st_size for path in paths)
        parts = yield from converted(read_back(paths), lambda done: _proving("Hashing the parts", 0.6, done, size))
        self._parts = [asdict(part) for part in parts]

    def _note_proof(
        self, summary: ArchiveSummary | None, level: VerificationLevel, seconds: float, skipped: int
    ) -> None:
        split = summary is not None and self._plan.settings.split_size > 0
        proof: dict[str, Any] = {
            "level": level,
            "ok": True,
            "at": datetime.now(UTC).isoformat(),
            "seconds": round(seconds, 3),
            "parts": self._parts,
            "manifest": self._manifest(summary),
            "entries": self._report.entries if self._report is not None else 0,
        }
        if skipped:
            proof["skipped_objects"] = skipped
        values = {
            "multipart": len(self._parts) if split else 0,
            "total_size": sum(part["size"] for part in self._parts),
            "proof": proof,
        }
        self._catalogue.backups.update(self._backup.id, **values)
        self._backup = replace(self._backup, **values)

    def _complete(self) -> None:
        self._warnings.flush()
        complete(self._catalogue, self._backup.id, kept_here=self._kept_here)
        _log.info("The backup is complete: %d bytes", self._backup.total_size)


def _within(steps: Iterator[Progress], begun: float, share: float) -> Iterator[Progress]:
    for step in steps:
        yield replace(step, fraction=begun + share * step.fraction)


def _proving(step: str, begun: float, done: int, size: int) -> Progress:
    share = min(1.0, done / size) if size else 0.0
    return Progress("finale", step=step, substep=f"{share:.0%}" if size else "", fraction=begun + 0.3 * share)
