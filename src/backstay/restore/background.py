"""Work that is done beside a restore: in a forked process where this program may fork, in a thread elsewhere.

Either way it talks through a channel: how far it is, now and then; what it warns of, and its result or its error, at
its end.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from backstay.errors import BackstayError, RestoreError, StoppedError
from backstay.processes import (
    BackgroundThread,
    error_of,
    error_values,
    has_message,
    is_writable,
    receive,
    send,
    start_background,
)

_REPORT_SECONDS = 0.1


Progress = tuple[str, int, int]
"""What is in hand, bytes done, bytes in all (0 where that is not known)."""


class Reporter:
    """What work reports with, from any of its threads."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reported = 0.0
        self._lock = threading.Lock()
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """Report something that could not be done as it should be."""
        self.warnings.append(message)

    def progress(self, what: str, done: int, total: int = 0) -> None:
        """Report how far the work is; what nobody would see is left out.

        Raises:
            StoppedError: nobody listens any more.
        """
        with self._lock:
            now = time.monotonic()
            if now - self._reported < _REPORT_SECONDS:
                return
            self._reported = now
            try:
                # Whoever listens may have other things to do: the work never waits for them.
                if is_writable(self._channel):
                    send(self._channel, ("progress", what, done, total))
            except (OSError, ValueError) as error:
                raise StoppedError("The restore was stopped.") from error


Work = Callable[[Reporter], Any]
"""What is done; what it returns must be plain (see ``backstay.processes.send``)."""


class BackgroundTask:
    """Some work that goes on beside the program; use it in a ``with`` statement, whose end is the work's end too.

    Args:
        work: what is done.
        keep: file descriptors that the work needs, or that are to stay open as long as it goes on.

    Attributes:
        result: what the work returned; None before its end.
    """

    def __init__(self, work: Work, keep: Collection[int] = ()) -> None:
        self.result: Any = None
        self.warnings: list[str] = []
        self._ended = False
        self._worker = start_background(lambda channel: _serve(work, channel), keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def messages(self, *, wait: float | None = 0.0) -> Iterator[Progress]:
        """Yield what the work has reported since the last time.

        Args:
            wait: seconds to wait for the first news; None: until the end of the work, for each.

        Raises:
            BackstayError: the work failed, with its own error.
            OSError: the system refused it something.
        """
        while not self._ended and has_message(self._worker.channel, wait):
            kind, *facts = self._receive()
            if kind == "progress":
                yield facts[0], facts[1], facts[2]
            else:
                self._take_end(kind, facts)
            wait = None if wait is None else 0.0

    @property
    def ended(self) -> bool:
        """Whether the work is over, and its result known."""
        return self._ended

    def end(self) -> None:
        """End the work, at once where it is a process, else at the next thing that it reports."""
        self._ended = True
        self._worker.end()

    def _receive(self) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = receive(self._worker.channel)
        except (EOFError, OSError):
            return ("died",)
        return message

    def _take_end(self, kind: str, facts: list[Any]) -> None:
        self._ended = True
        if kind == "died":
            if isinstance(self._worker, BackgroundThread) and self._worker.error is not None:
                raise self._worker.error
            raise RestoreError("A part of the restore ended unexpectedly, killed perhaps: look for the reason.")
        self.warnings = facts.pop()
        if kind == "done":
            (self.result,) = facts
        else:
            raise error_of(facts[0])


def _serve(work: Work, channel: socket.socket) -> None:
    reporter = Reporter(channel)
    try:
        message: tuple[Any, ...] = ("done", work(reporter))
    except (BackstayError, OSError) as error:
        message = ("failed", error_values(error))
    with suppress(OSError):
        send(channel, (*message, reporter.warnings))
