"""Sending parts to storages while the next ones still arrive.

It is never waited for: what it has not sent when the archive is whole is sent then, and what it could not send is tried
again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from backstay.catalogue import Catalogue, NamedDestination
from backstay.engine import send_part
from backstay.errors import BackstayError

_PATIENCE_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class PartSending:
    """A thread that sends the parts it is handed, to one storage after the other.

    Args:
        catalogue: of the installation.
        backup_id: number of the record.
        destinations: the storages.
    """

    def __init__(self, catalogue: Catalogue, backup_id: int, destinations: Sequence[NamedDestination]) -> None:
        self._catalogue = catalogue
        self._backup_id = backup_id
        self._destinations = destinations
        self._waiting: deque[tuple[Path, str]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def offer(self, path: Path, blake3: str) -> None:
        """Hand over a part that is whole."""
        if not self._destinations:
            return
        with self._changed:
            self._waiting.append((path, blake3))
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_all, name="backstay-parts", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop; what is under way is resumed by whoever sends the rest."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if self._ended:
                    return
                path, blake3 = self._waiting.popleft()
            for destination in self._destinations:
                self._send(destination, path, blake3)

    def _send(self, destination: NamedDestination, path: Path, blake3: str) -> None:
        steps = send_part(
            self._catalogue, self._backup_id, destination, path, patience=_PATIENCE_SECONDS, blake3=blake3
        )
        try:
            with closing(steps):
                for _ in steps:
                    if self._ended:
                        return
        except BackstayError as error:
            _log.warning("%s could not be sent yet, and is tried again at the end: %s", path.name, error)
        except Exception:  # noqa: BLE001 - the other parts are sent all the same
            _log.exception("Sending %s to %s", path.name, destination.name)
