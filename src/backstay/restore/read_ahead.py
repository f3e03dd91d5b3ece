"""The parts of a dump, inflated in a thread while the database server works on what was read of them before."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Self

from backstay.restore.databases import Source

_BLOCK = 1 << 20
_BLOCKS = 8
_PATIENCE_SECONDS = 0.1

_Opener = Callable[[], BinaryIO]


class ReadAhead:
    """Reads parts some megabytes ahead of whoever opens them one after the other; use it in a ``with`` statement.

    A part that is opened out of its turn, or again, is read as if this was not there.

    Args:
        parts: name of each part, and what opens it, in order.
    """

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts = parts
        self._blocks: queue.Queue[bytes | BaseException] = queue.Queue(_BLOCKS)
        self._turn = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._thread.join()

    def parts(self) -> tuple[Source, ...]:
        """Return the parts, to be opened while this is open."""
        return tuple((name, self._opener(index, opener)) for index, (name, opener) in enumerate(self._parts))

    def _opener(self, index: int, opener: _Opener) -> _Opener:
        def opened() -> BinaryIO:
            if index != self._turn or self._stopped:
                return opener()
            self._turn = -1
            return io.BufferedReader(_Part(self, index), _BLOCK)

        return opened

    def next_block(self) -> bytes:
        """Return the next block of the part whose turn it is; nothing at its end."""
        block = self._blocks.get()
        if isinstance(block, BaseException):
            raise block
        return block

    def has_ended(self, index: int) -> None:
        """Let the next part have its turn."""
        self._turn = index + 1

    def _work(self) -> None:
        try:
            for _name, opener in self._parts:
                with opener() as file:
                    block = b"-"
                    while block:
                        block = file.read(_BLOCK)
                        if not self._put(block):
                            return
        except BaseException as error:  # noqa: BLE001 - raised again where the part is read
            self._put(error)

    def _put(self, block: bytes | BaseException) -> bool:
        while not self._stopped:
            try:
                self._blocks.put(block, timeout=_PATIENCE_SECONDS)
            except queue.Full:
                continue
            return True
        return False


class _Part(io.RawIOBase):
    def __init__(self, ahead: ReadAhead, index: int) -> None:
        self._ahead = ahead
        self._index = index
        self._rest = memoryview(b"")
        self._over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._over:
            self._rest = memoryview(self._ahead.next_block())
            if not self._rest:
                self._over = True
                self._ahead.has_ended(self._index)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
