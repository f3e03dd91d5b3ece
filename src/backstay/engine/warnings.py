"""The warnings of one backup: in the log at once, in the record soon after."""

from __future__ import annotations

import logging
import threading
import time

from backstay.catalogue import Catalogue

# A site with a million unreadable files must not make a record that no client can read; the log has them all.
_MOST = 2000

_log = logging.getLogger(__name__)


class Warnings:
    """Takes warnings from any thread; a backup that was resumed does not record the same one twice."""

    def __init__(self, catalogue: Catalogue, backup_id: int) -> None:
        self._catalogue = catalogue
        self._backup_id = backup_id
        self._lock = threading.Lock()
        known = catalogue.backups.warnings(backup_id)
        self._known = {message for _number, message in known}
        self._next = known[-1][0] + 1 if known else 1
        self._pending: list[str] = []
        self._flushed_at = 0.0

    def add(self, message: str) -> None:
        """Take one warning: a sentence that names the thing."""
        shown = message.encode("utf-8", "backslashreplace").decode()
        _log.warning("%s", shown)
        with self._lock:
            if shown in self._known or len(self._known) > _MOST:
                return
            if len(self._known) == _MOST:
                shown = "There are more warnings than can be listed: the log has all of them."
            self._known.add(shown)
            self._pending.append(shown)

    def flush(self, *, at_most_every: float = 0.0) -> None:
        """Write what was taken into the record; not where that was done less than so many seconds ago."""
        if not self._pending or time.monotonic() - self._flushed_at < at_most_every:
            return
        with self._lock:
            pending = list(self._pending)
        self._catalogue.backups.add_warnings(self._backup_id, self._next, pending)
        with self._lock:
            del self._pending[: len(pending)]
        self._next += len(pending)
        self._flushed_at = time.monotonic()
