"""The end of a backup: proving the archive, sending it elsewhere, completing its record, retention."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstay.archives import ArchiveSummary
from backstay.catalogue import Backup, Catalogue, Home
from backstay.engine.counting import Holdings, keep_counts
from backstay.engine.delivery import complete, deliver
from backstay.engine.parts import WORK, remove_parts
from backstay.engine.plan import Plan
from backstay.engine.progress import Progress
from backstay.engine.remote_retention import apply_remote_retention
from backstay.engine.retention import RetentionContext, apply_retention, forget_obsolete
from backstay.engine.target import Target
from backstay.engine.warnings import Warnings
from backstay.steps import converted

COMPLETING = "Updating backup record information"
"""The step behind which the record is complete."""

_log = logging.getLogger(__name__)


class Finalization:
    """Completes one backup whose archive, or snapshot, is whole."""

    def __init__(
        self, catalogue: Catalogue, home: Home, backup: Backup, plan: Plan, warnings: Warnings, target: Target
    ) -> None:
        self._catalogue = catalogue
        self._home = home
        self._backup = backup
        self._plan = plan
        self._warnings = warnings
        self._target = target
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
        sends = bool(self._plan.settings.destination_names) and self._target.is_sent
        if self._plan.settings.destination_names and not self._target.is_sent:
            self._warnings.add(
                "The backup was not sent to the storages of its profile, for it lies in a repository: make the "
                "repository at a storage, and unset backstay.storage.destinations."
            )
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
        """Prove what was written, and note so in the record; what was noted before a death counts."""
        if self._backup.proof.get("ok"):
            return
        yield Progress("finale", step="Updating file sizes", fraction=0.1)
        begun = time.monotonic()
        proven = yield from self._target.prove(summary)
        # Before the proof: whoever finds that goes on behind it.
        compared = self._plan.newer_than is None
        keep_counts(self._catalogue, self._backup, holdings, summary, compared=compared)
        self._note_proof(proven, time.monotonic() - begun, skipped)

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

    def _note_proof(self, values: dict[str, Any], seconds: float, skipped: int) -> None:
        proof = {
            "level": values["proof"]["level"],
            "ok": True,
            "at": datetime.now(UTC).isoformat(),
            "seconds": round(seconds, 3),
            **values["proof"],
        }
        if skipped:
            proof["skipped_objects"] = skipped
        values = {**values, "proof": proof}
        self._catalogue.backups.update(self._backup.id, **values)
        self._backup = replace(self._backup, **values)

    def _complete(self) -> None:
        self._warnings.flush()
        complete(self._catalogue, self._backup.id, kept_here=self._kept_here)
        _log.info("The backup is complete: %d bytes", self._backup.total_size)


def _within(steps: Iterator[Progress], begun: float, share: float) -> Iterator[Progress]:
    for step in steps:
        yield replace(step, fraction=begun + share * step.fraction)
