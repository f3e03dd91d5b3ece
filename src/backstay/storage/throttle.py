"""Sending no faster than a number of bytes a second."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Shared by the threads that send one file."""

    def __init__(self, rate: int) -> None:
        """Begin.

        Args:
            rate: bytes a second; 0 is no limit.
        """
        self._rate = rate
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, size: int) -> None:
        """Return when so many bytes may be sent.

        Their time at the rate passes before them: otherwise files of a single piece would know no limit.
        """
        if not self._rate:
            return
        with self._lock:
            until = self._next = max(self._next, time.monotonic()) + size / self._rate
        time.sleep(max(0.0, until - time.monotonic()))
