"""Sending the closed parts of an archive while the rest of it is still being written.

It runs beside the packing, in a thread: it writes to the catalogue, which a forked process must not open (see
`backstay.processes`). It is never waited for: what it has not sent when the archive is closed is sent then, and what it
could not send is tried again.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from backstay.catalogue import PATIENT_SECONDS, Catalogue, Home, open_catalogue
from backstay.engine.sending import send_part
from backstay.errors import BackstayError
from backstay.processes import BackgroundThread, has_message, receive, send

_PATIENCE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class EarlySending:
    """Sends the parts of one backup that are handed to it.

    Args:
        home: whose catalogue knows the storages.
        backup_id: number of the record.
        destinations: names of the storages.
    """

    def __init__(self, home: Home, backup_id: int, destinations: Iterable[str]) -> None:
        self._home = home
        self._backup_id = backup_id
        self._destinations = tuple(destinations)
        self._offered: set[Path] = set()
        self._worker: BackgroundThread | None = None
        self._ended = False

    def offer(self, parts: Iterable[Path]) -> None:
        """Hand over the parts that will not change any more; those that were handed over before are passed by."""
        new = [path for path in parts if path not in self._offered]
        if not new or self._ended or not self._destinations:
            return
        if self._worker is None:
            self._worker = BackgroundThread(self._serve)
        self._offered.update(new)
        try:
            send(self._worker.channel, [str(path) for path in new])
        except OSError:
            _log.warning("What sends closed parts has failed: they are sent at the end")
            self.end()

    def end(self) -> None:
        """Stop at once; what is under way is resumed by whoever sends the rest."""
        self._ended = True
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _serve(self, channel: socket.socket) -> None:
        waiting: deque[Path] = deque()
        try:
            with open_catalogue(self._home, patience=PATIENT_SECONDS) as catalogue:
                while True:
                    while not waiting or has_message(channel, 0):
                        waiting.extend(Path(path) for path in receive(channel))
                    part = waiting.popleft()
                    for name in self._destinations:
                        self._send(catalogue, channel, waiting, name, part)
        except EOFError:
            return

    def _send(self, catalogue: Catalogue, channel: socket.socket, waiting: deque[Path], name: str, part: Path) -> None:
        try:
            destination = catalogue.destinations.get(name)
            steps = send_part(catalogue, self._backup_id, destination, part, patience=_PATIENCE_SECONDS)
            with closing(steps):
                for _ in steps:
                    while has_message(channel, 0):
                        waiting.extend(Path(path) for path in receive(channel))
        except BackstayError as error:
            _log.warning("%s could not be sent yet, and is tried again at the end: %s", part.name, error)
