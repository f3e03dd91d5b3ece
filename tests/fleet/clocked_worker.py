"""A worker whose clock is a file, so that a week passes as fast as a test likes; it looks what is due all the time.

python clocked_worker.py HOME CLOCK [--looks-only]
"""

from __future__ import annotations

import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from backstay.catalogue import machines
from backstay.errors import BackstayError
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.process_log import LogFormat, set_up_log
from backstay.queue import runs
from backstay.queue.executor import running

LOOK_SECONDS = 0.5
SHORT_LEASE_SECONDS = 6.0


class FileClock:
    """A clock that stands in a file; whoever sets it replaces the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> datetime:
        """Return the moment in the file."""
        return datetime.fromisoformat(self._path.read_text())

    def set(self, moment: datetime) -> None:
        """Let it be a moment from now on."""
        beside = self._path.with_suffix(".new")
        beside.write_text(moment.isoformat())
        beside.replace(self._path)


def main() -> None:
    """Work until a signal says to end."""
    set_up_log(30, LogFormat.TEXT)
    if "--short-lease" in sys.argv:
        _shorten_lease()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    clock = FileClock(Path(sys.argv[2]))
    with open_installation(Path(sys.argv[1]), patience=600) as installation:
        if "--looks-only" in sys.argv:
            _look(installation, clock, ended)
        else:
            with running(installation, clock):
                _look(installation, clock, ended)


def _shorten_lease() -> None:
    """Let a lease hold for a shorter time, so that a test need not wait for half a minute."""
    machines.LEASE_SECONDS = SHORT_LEASE_SECONDS
    from backstay.queue import leases

    leases.RENEW_SECONDS = 1.0  # type: ignore[misc]  # the same
    leases._HOLDS_SECONDS = SHORT_LEASE_SECONDS - 2.0  # type: ignore[misc]


def _look(installation: Installation, clock: FileClock, ended: threading.Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        try:
            runs.due(installation, clock())
        except BackstayError as error:
            print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
