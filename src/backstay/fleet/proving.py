"""Proving the archive that arrived: ours against its manifest, the vendor's by its structure and sizes."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backstay.archives import Limits, VerifyReport, open_archive
from backstay.catalogue import Backup, Catalogue
from backstay.engine import Plan, Progress
from backstay.engine.warnings import Warnings
from backstay.errors import ArchiveError, UnsupportedEntryError, VerificationError, WrongPasswordError
from backstay.fleet.arriving import ArrivingPart
from backstay.fleet.detection import plain_text
from backstay.profiles import VerificationLevel

_BEGUN: Final = 0.8
_SHARE: Final = 0.1
_SHOWN_PROBLEMS: Final = 3
_LIMITS: Final = Limits(ratio=500.0, ratio_floor=64 << 30)
"""What a server sends may not keep a worker unpacking for days."""


def prove(
    catalogue: Catalogue, backup: Backup, plan: Plan, parts: Sequence[ArrivingPart], warnings: Warnings
) -> Generator[Progress, None, Backup]:
    """Read the archive of a run as far as the profile says, and note in the record what it is.

    Args:
        catalogue: of the installation.
        backup: its record.
        plan: of the run; its archive is the main part, as it lies here.
        parts: with their hashes.
        warnings: receives a warning where the archive cannot be read for want of a password.

    Returns:
        The record with its proof.

    Raises:
        VerificationError: the archive is damaged.
    """
    main, level = Path(plan.archive), plan.settings.verify
    begun = time.monotonic()
    report: VerifyReport | None = None
    if main.suffix == ".sql":
        level = "none"
    if level != "none":
        try:
            with open_archive(main, password=plan.settings.password, limits=_LIMITS) as archive:
                for done in (steps := _Returned(archive.verifying(workers=1))):
                    share = done.bytes / done.total if done.total else 0.0
                    yield Progress("finale", "Verifying the archive", f"{share:.0%}", fraction=_BEGUN + _SHARE * share)
                report = steps.value
        except (WrongPasswordError, UnsupportedEntryError) as error:
            warnings.add(f"The archive has arrived whole by its size, and could not be read: {error}")
            level = "none"
        except ArchiveError as error:
            raise _damaged(str(error)) from error
    found = report.problems if report is not None else []
    # What the vendor's own archives have wrong is not damage; ours have nothing wrong.
    damage = [problem for problem in found if not problem.harmless or (report is not None and report.used_manifest)]
    for problem in found if not damage else []:
        warnings.add(plain_text(problem.message, 500))
    if damage:
        raise _damaged(" ".join(plain_text(problem.message, 500) for problem in damage[:_SHOWN_PROBLEMS]))
    if report is not None and not report.used_manifest:
        level = "structure"
    values = _values(parts, report, level, time.monotonic() - begun)
    catalogue.backups.update(backup.id, **values)
    return replace(backup, **values)


def _damaged(problems: str) -> VerificationError:
    return VerificationError(
        f"The archive that the server sent is damaged: {problems} Take a new backup, and look at the server's disk."
    )


class _Returned:
    """Iterates over a generator and keeps what it returns."""

    def __init__(self, steps: Generator[Any, None, VerifyReport]) -> None:
        self._steps = steps
        self.value: VerifyReport | None = None

    def __iter__(self) -> Generator[Any, None, None]:
        self.value = yield from self._steps


def _values(
    parts: Sequence[ArrivingPart], report: VerifyReport | None, level: VerificationLevel, seconds: float
) -> dict[str, Any]:
    proof = {
        "level": level,
        "ok": True,
        "at": datetime.now(UTC).isoformat(),
        "seconds": round(seconds, 3),
        "parts": [{"name": part.name, "size": part.size, "blake3": part.blake3} for part in parts],
        "manifest": (report.manifest_hash if report is not None else None) or "",
        "entries": report.entries if report is not None else 0,
    }
    return {
        "multipart": len(parts) if len(parts) > 1 else 0,
        "total_size": sum(part.size for part in parts),
        "proof": proof,
    }
