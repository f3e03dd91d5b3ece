"""A restore in a process of its own that dies at a moment that is counted, not timed: run by ``test_kill.py``.

A moment is whatever changes a name, brings something to the disk or goes to a database server, in any process of the
restore. Arguments: the home, the plan as JSON, and the number of the moment before which the restore is killed, 0 for
none. Prints how many moments there were, and the numbers of those between the journal's ``swap`` and ``swapped``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymysql.connections import Connection

from backstay.jobs.installation import open_installation
from backstay.jobs.restore import begin_restore, run_restore
from backstay.restore import RestorePlan
from backstay.restore.journal import Journal

CALLS = ("fsync", "rename", "replace", "link", "unlink", "rmdir", "mkdir", "chown", "utime")


class Moments:
    """Counts moments over all processes, and kills the first process before one of them."""

    def __init__(self, last: int) -> None:
        self.count = multiprocessing.Value("i", 0)
        self._last = last
        self._first_process = os.getpid()

    def pass_one(self) -> None:
        """Count a moment, or die at it."""
        with self.count.get_lock():
            self.count.value += 1
            if self.count.value == self._last:
                os.kill(self._first_process, signal.SIGKILL)
                # A process that was forked dies with the first one: nothing more is done.
                signal.pause()

    def before(self, owner: Any, name: str) -> None:
        """Make every call of a function a moment."""
        real: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.pass_one()
            return real(*arguments, **options)

        setattr(owner, name, call)


def main(home: Path, plan: RestorePlan, last: int) -> None:
    """Restore, or die on the way."""
    with open_installation(home) as installation:
        moments = Moments(last)
        for name in CALLS:
            moments.before(os, name)
        moments.before(Connection, "query")
        steps: dict[str, int] = {}
        append = Journal.append

        def note(journal: Journal, step: str, **facts: Any) -> None:
            append(journal, step, **facts)
            steps[step] = moments.count.value

        Journal.append = note  # type: ignore[assignment, method-assign]
        for _progress in run_restore(
            begin_restore(installation, plan), lambda message: print(message, file=sys.stderr)
        ):
            pass
        print(json.dumps([moments.count.value, steps["swap"], steps["swapped"]]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), RestorePlan.from_json(json.loads(sys.argv[2])), int(sys.argv[3]))
