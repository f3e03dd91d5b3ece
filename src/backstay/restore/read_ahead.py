"""A part of a dump that is inflated in a thread while the database server works on what was read of it before."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

_BLOCK = 1 << 20
_BLOCKS = 4
_PATIENCE_SECONDS = 0.1


def read_ahead(opener: Callable[[], BinaryIO]) -> Callable[[], BinaryIO]:
    """Return what opens the same for reading, some megabytes ahead of whoever reads."""
    return lambda: io.BufferedReader(_Ahead(opener), _BLOCK)


class _Ahead(io.RawIOBase):
    def __init__(self, opener: Callable[[], BinaryIO]) -> None:
        self._opener = opener
        self._blocks: queue.Queue[bytes | BaseException] = queue.Queue(_BLOCKS)
        self._rest = memoryview(b"")
        self._over = False
        self._thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._over:
            block = self._blocks.get()
            if isinstance(block, BaseException):
                self._over = True
                raise block
            self._over = not block
            self._rest = memoryview(block)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._over = True
        self._thread.join()
        super().close()

    def _work(self) -> None:
        try:
            with self._opener() as file:
                while not self._over:
                    block = file.read(_BLOCK)
                    if not self._put(block) or not block:
                        return
        except BaseException as error:  # noqa: BLE001 - raised again where the part is read
            self._put(error)

    def _put(self, block: bytes | BaseException) -> bool:
        while not self._over:
            try:
                self._blocks.put(block, timeout=_PATIENCE_SECONDS)
            except queue.Full:
                continue
            return True
        return False
