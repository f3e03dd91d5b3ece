"""The process of a proof: ``python -m backstay.jobs.proof_worker HOME PARENT WORK BACKUP STORAGE``.

It reads or restores one backup, keeps what that showed in the record, and ends with whoever started it. What is wrong
is one sentence on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from backstay.catalogue import PATIENT_SECONDS
from backstay.errors import BackstayError
from backstay.jobs.drill import drill_backup, drill_error
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.verification import HERE, damage_error, verify_backup
from backstay.processes import end_with_parent
from backstay.restore import DrillReport
from backstay.steps import finished


def main(arguments: list[str]) -> int:
    """Make one proof; return the exit code of the process."""
    home, parent, work, backup_id, storage = arguments
    # Ended by an exception, so that a drill removes its scratch folder and database.
    signal.signal(signal.SIGTERM, _end)
    end_with_parent(int(parent))
    try:
        with open_installation(Path(home), patience=PATIENT_SECONDS) as installation:
            os.nice(installation.configuration.jobs.niceness)
            (_drill if work == "drill" else _verify)(installation, int(backup_id), storage)
    except (BackstayError, OSError) as error:
        sys.stderr.write(str(error).encode("utf-8", "backslashreplace").decode() + "\n")
        return error.exit_code if isinstance(error, BackstayError) else 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


def _verify(installation: Installation, backup_id: int, storage: str) -> None:
    found = finished(verify_backup(installation, backup_id, storage=storage, here_only=storage == HERE))
    if found.problems:
        raise damage_error(installation, found)


def _drill(installation: Installation, backup_id: int, storage: str) -> None:
    for step in drill_backup(installation, backup_id, storage=storage):
        if isinstance(step, DrillReport) and step.verdict != "passed":
            raise drill_error(backup_id, step)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
