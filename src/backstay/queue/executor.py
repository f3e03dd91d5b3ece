"""Running the queue in this process: DBOS over a SQLite file in the home, shared with every other process that does."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from backstay.catalogue import Home
from backstay.jobs.installation import Installation
from backstay.queue import members

# Workflows of one version are not gone on with by a program of another: to be changed with the shape of a workflow.
_WORKFLOWS = "1"
# Seconds between two looks: a run begins that much later at most, and a process at rest costs so little.
_LOOK_SECONDS = 10.0

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def running(installation: Installation) -> Iterator[None]:
    """Work on the queue in threads of this process, from a moment after the beginning to the end of the block.

    The queue is started in the background, for it takes half a second. What is not finished at the end is gone on with
    by another process over the same home, or by the next.
    """
    queue = _Queue(installation)
    starting = threading.Thread(target=queue.start, name="queue-start", daemon=True)
    starting.start()
    try:
        yield
    finally:
        starting.join()
        queue.stop()


class _Queue:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._member: members.Member | None = None

    def start(self) -> None:
        # Imported here because it takes half a second, which nobody is to wait for.
        from dbos import DBOS

        from backstay.queue import polling, workflows
        from backstay.queue.serializer import JsonSerializer

        _log_as_everything_else()
        try:
            self._member = members.join(self._installation.home)
            DBOS(
                config={
                    "name": "backstay",
                    "system_database_url": f"sqlite:///{_database(self._installation.home)}",
                    "application_version": _WORKFLOWS,
                    "executor_id": self._member.name,
                    "serializer": JsonSerializer(),
                    "log_level": "WARNING",
                }
            )
            polling.before_launch(_LOOK_SECONDS)
            workflows.begin(self._installation)
            DBOS.launch()
            workflows.declare(self._installation, look_seconds=_LOOK_SECONDS)
            polling.after_declaring()
        except Exception:  # noqa: BLE001 - a server that can't do scheduled work still answers
            _log.exception("The queue could not be started: nothing is done by itself")

    def stop(self) -> None:
        from dbos import DBOS

        from backstay.queue import workflows

        workflows.end()
        DBOS.destroy()
        if self._member is not None:
            self._member.leave()


def _database(home: Home) -> Path:
    """Return the queue's database, made private to its user where it is missing.

    In WAL mode, which stays with the file, those who look don't hold up those who write.
    """
    home.queue.mkdir(mode=0o700, exist_ok=True)
    path = home.queue / "queue.sqlite"
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def _log_as_everything_else() -> None:
    """Send the library's log where Backstay's goes: it adds a handler of its own where it finds none."""
    log = logging.getLogger("dbos")
    log.handlers = [logging.NullHandler()]
    log.propagate = True
    log.setLevel(logging.WARNING)
