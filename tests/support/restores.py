"""Restores as tests do them: through the restore room, in a scratch home, to the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstay.catalogue.vault import Vault
from backstay.restore import RestorePlan, RestoreReport, RestoreRun, begin


def begin_in(folder: Path, archive: Path, target: Path, **options: Any) -> RestoreRun:
    """Begin a restore whose journal lies in a folder; options are those of ``RestorePlan``."""
    folder.mkdir(parents=True, exist_ok=True)
    return begin(folder / "restores", Vault(folder / "key"), RestorePlan(str(archive), str(target), **options))


def restore(
    archive: Path, target: Path, on_warning: Callable[[str], None] = pytest.fail, **options: Any
) -> RestoreReport:
    """Restore an archive and return the report; what gave way is dropped."""
    with tempfile.TemporaryDirectory(prefix="backstay-restore-") as folder:
        run = begin_in(Path(folder), archive, target, **options)
        with run.journal:
            *_progress, report = run.run(on_warning)
            assert isinstance(report, RestoreReport)
            if report.name:
                run.confirm()
    return report
