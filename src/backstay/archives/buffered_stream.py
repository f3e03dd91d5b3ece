"""Reading parts that lie elsewhere: in large pieces, and ahead of whoever reads in order.

Every read of such parts is a round trip. Whoever reads here and there gets little more than was asked for; whoever
reads in order has the next pieces on their way already. Several may read in order at several places at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from backstay.archives.part_stream import PartSource, PartStream

BLOCK = 1 << 18
"""Bytes of the smallest piece that is asked for."""
_LARGEST = 16
"""Blocks of the largest piece that is asked for: 4 MiB."""
_AHEAD = 96
"""Blocks that are asked for ahead of a reader in order: 24 MiB."""
_BEHIND = 160
"""Blocks that a reader in order may lag behind the foremost: who reads content follows who reads headers."""
_KEPT = 288
"""Blocks that are kept: 72 MiB."""
_RUNS = 8
_AT_ONCE = 4


@dataclass(slots=True)
class _Run:
    """Somebody who reads in order: the block behind the last that was read, and behind the last that was asked for."""

    next: int
    asked: int
    ahead: int = 0


class BufferedStream(PartStream):
    """All parts of an archive elsewhere as one stream; safe to use from many threads, and not in other processes.

    It holds about 80 MiB at most.

    Args:
        source: the parts.
    """

    def __init__(self, source: PartSource) -> None:
        super().__init__(source)
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, tuple[Future[bytes], int]] = OrderedDict()
        self._runs: deque[_Run] = deque(maxlen=_RUNS)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="backstay-parts")
        self._end = -(-self.length // BLOCK)

    def read(self, offset: int, size: int) -> bytes:
        """Read exactly so many bytes, fewer only where the stream ends; see `PartStream.read`."""
        size = min(size, self.length - offset)
        if size <= 0:
            return b""
        first, last = offset // BLOCK, (offset + size - 1) // BLOCK
        if last - first >= _LARGEST:
            # More than is read at once anywhere where it is read in order.
            return super().read(offset, size)
        with self._lock:
            wanted = self._ask(first, last + 1)
        data = b"".join(self._taken(wanted))
        begin = offset - first * BLOCK
        return data if not begin and len(data) == size else data[begin : begin + size]

    def _taken(self, wanted: list[tuple[int, Future[bytes], int]]) -> Iterator[bytes]:
        for number, future, at in wanted:
            try:
                piece = future.result()
            except BaseException:
                with self._lock:
                    # Whoever asks again gets another answer, perhaps.
                    if number in self._blocks and self._blocks[number][0] is future:
                        del self._blocks[number]
                raise
            yield piece[at : at + BLOCK]

    def _ask(self, first: int, end: int) -> list[tuple[int, Future[bytes], int]]:
        """Ask for blocks that are not here, and for some ahead where they are read in order."""
        run = next((run for run in self._runs if run.next - _BEHIND <= first <= run.next), None)
        if run is None:
            run = _Run(end, end)
            self._runs.append(run)
            self._fetch(first, end)
        else:
            self._fetch(first, end)
            if end > run.next:
                run.ahead = min(max(2 * run.ahead, 2 * (end - first)), _AHEAD)
                run.next = end
                run.asked = max(run.asked, end)
                # A few large pieces rather than many small ones.
                until = min(end + run.ahead, self._end)
                while until - run.asked >= min(_LARGEST, max(run.ahead // 2, 1)) or (
                    until == self._end and run.asked < until
                ):
                    step = min(run.asked + _LARGEST, until)
                    self._fetch(run.asked, step)
                    run.asked = step
        wanted = []
        for number in range(first, end):
            self._blocks.move_to_end(number)
            wanted.append((number, *self._blocks[number]))
        while len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return wanted

    def _fetch(self, first: int, end: int) -> None:
        """Ask for what is missing of some blocks, side by side in one piece."""
        number = first
        while number < end:
            if number in self._blocks:
                number += 1
                continue
            until = number + 1
            while until < min(end, number + _LARGEST) and until not in self._blocks:
                until += 1
            start = number * BLOCK
            future = self._pool.submit(super().read, start, (until - number) * BLOCK)
            for block in range(number, until):
                self._blocks[block] = (future, block * BLOCK - start)
            number = until

    def close(self) -> None:
        """Release the parts, once nobody reads them any more."""
        self._pool.shutdown(cancel_futures=True)
        self._blocks.clear()
        super().close()
