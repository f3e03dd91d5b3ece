"""Reading a file of a service over several connections: ranges that lie one behind another, some of them ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

RANGE = 4 << 20
AT_ONCE = 8


def read_ahead(
    read: Callable[[int, int], list[bytes]], begin: int, end: int, *, size: int = RANGE, at_once: int = AT_ONCE
) -> Iterator[bytes]:
    """Read a file in order; at most ``at_once`` ranges are in memory besides the one that was given last.

    Args:
        read: reads so many bytes (second argument) at an offset (first), in pieces; called in threads.
        begin: offset of the first byte.
        end: offset behind the last byte.
        size: of a range, in bytes.
        at_once: ranges that are read at the same time.

    Yields:
        The pieces, in order.
    """
    if end - begin <= size:
        if begin < end:
            yield from read(begin, end - begin)
        return
    asked: deque[Future[list[bytes]]] = deque()
    with ThreadPoolExecutor(at_once, "backstay-read-ahead") as pool:
        try:
            for start in range(begin, end, size):
                asked.append(pool.submit(read, start, min(size, end - start)))
                if len(asked) == at_once:
                    yield from asked.popleft().result()
            while asked:
                yield from asked.popleft().result()
        finally:
            for future in asked:
                future.cancel()
