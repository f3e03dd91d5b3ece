"""Who reads, deflates and writes files: forked processes, and a pool of threads that shares the interpreter."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from backstay import processes
from backstay.processes import ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_SWITCH_INTERVAL = 0.0005
_lock = threading.Lock()
_running = 0
_usual = 0.0


def count_of(workers: int | None) -> int:
    """Give the number of processes or threads: what was asked for, or as many as there are processors."""
    return workers or os.cpu_count() or 1


@contextlib.contextmanager
def processes_of(
    workers: int, work: Callable[[Any, memoryview], Any], *, memory: int = 0, keep: Collection[int] = ()
) -> Iterator[ProcessPool | None]:
    """Give processes that do the same as the threads of `pool_of` without waiting for each other.

    Args:
        workers: their number.
        work: see `ProcessPool`.
        memory: likewise.
        keep: likewise.

    Yields:
        None where there would be one, where this program must not fork, or the system gives no more processes.
    """
    pool = None
    if workers > 1 and processes.may_fork():
        with contextlib.suppress(OSError):
            pool = ProcessPool(workers, work, memory=memory, keep=keep)
    try:
        yield pool
    finally:
        if pool is not None:
            pool.close()


@contextlib.contextmanager
def pool_of(workers: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads; what it has not begun when it is left is not done any more.

    While a pool works the interpreter switches between threads ten times as often as usual. The threads hand it over
    for every short system call, and at the usual interval the one that feeds the others waits its turn in vain: packing
    20,000 small files takes a fifth longer then.

    Args:
        workers: number of threads.
        name: what they are called.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    _switch_often()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        _switch_as_usual()


def _switch_often() -> None:
    global _running, _usual  # noqa: PLW0603 - the interval belongs to the whole process, and so does this
    with _lock:
        if not _running:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_usual, _SWITCH_INTERVAL))
        _running += 1


def _switch_as_usual() -> None:
    global _running  # noqa: PLW0603 - see above
    with _lock:
        _running -= 1
        if not _running:
            sys.setswitchinterval(_usual)
