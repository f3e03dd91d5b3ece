"""Child processes that share the work of one program, and end with it.

Threads share one interpreter, and where the work is a great many small files they wait for it more than they work.
A fork has an interpreter of its own and everything that its parent had made ready; but it also has a copy of every
lock that another thread may hold at that moment. So a program with one thread forks, and one with more uses threads.

A fork must not open an SQLite database that its parent has open (the catalogue, say): SQLite keeps in the process what
it has locked, and the fork would take its parent's locks for its own (https://www.sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import marshal
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

from backstay import errors
from backstay.errors import BackstayError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_SET_DEATH_SIGNAL = 1
_LENGTH = struct.Struct("<I")
_PATIENCE_SECONDS = 10.0
_AHEAD = 2
"""Tasks that a process is given at a time: the next lies there when it is done with one."""

_log = logging.getLogger(__name__)


def may_fork() -> bool:
    """Say whether this program may fork: on Linux, while it has a single thread."""
    if sys.platform != "linux":
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - only their number counts
    except OSError:
        return False


class Child:
    """A forked process.

    Attributes:
        channel: the way to it and back; it ends with the process.
    """

    def __init__(self, work: Callable[[socket.socket], None], keep: Collection[int] = ()) -> None:
        """Fork.

        Args:
            work: what the child does, given its end of the channel. The child ends when this returns, when its parent
                dies, however that dies, and at SIGTERM; SIGINT is the parent's to answer.
            keep: file descriptors that the child goes on using. All others but 0 to 2 lead nowhere there, so that no
                lock or socket of the parent outlives it.

        Raises:
            OSError: the system gives no more processes.
        """
        self.channel, theirs = socket.socketpair()
        parent = os.getpid()
        library = ctypes.CDLL(None)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        try:
            self._pid = os.fork()
        except OSError:
            self.channel.close()
            theirs.close()
            raise
        if not self._pid:
            _be_child(work, theirs, {0, 1, 2, theirs.fileno(), *keep}, parent, library)
        theirs.close()

    def end(self) -> None:
        """Let it end: at once, if it is still at work."""
        self.channel.close()
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0


class BackgroundThread:
    """A thread that looks like a `Child` from outside, for a program that must not fork.

    Attributes:
        channel: the way to it and back.
        error: what its work raised, None if nothing.
    """

    def __init__(self, work: Callable[[socket.socket], None]) -> None:
        self.channel, theirs = socket.socketpair()
        self.error: BaseException | None = None

        def run() -> None:
            try:
                work(theirs)
            except BaseException as error:  # noqa: BLE001 - it is whoever listens that is to know
                self.error = error
            finally:
                theirs.close()

        self._thread = threading.Thread(target=run, name="backstay-beside", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let it end: what it sends next finds nobody. Waits for that, but not for ever."""
        self.channel.close()
        self._thread.join(_PATIENCE_SECONDS)


def start_background(work: Callable[[socket.socket], None], keep: Collection[int] = ()) -> Child | BackgroundThread:
    """Do something beside this program: in a forked process if there may be one, else in a thread.

    Args:
        work: what is done; see `Child`.
        keep: likewise.
    """
    if may_fork():
        with contextlib.suppress(OSError):
            return Child(work, keep)
    return BackgroundThread(work)


def end_with_parent(parent: int) -> None:
    """Have the system end this program, by SIGTERM, when the thread that started it ends; Linux only.

    Args:
        parent: number of the process that started it; where that is gone already, this one ends here.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def error_values(error: Exception) -> tuple[Any, ...]:
    """Make a message of an error, from which `error_of` makes it again elsewhere."""
    if isinstance(error, OSError) and not isinstance(error, BackstayError):
        filename = None if error.filename is None else os.fsdecode(error.filename)
        return ("OSError", error.errno or 0, error.strerror or str(error), filename)
    return (type(error).__name__, str(error))


def error_of(values: Sequence[Any]) -> Exception:
    """Make an error of what `error_values` gave; one that a user is not meant to meet becomes a `BackstayError`."""
    name, *arguments = values
    if name == "OSError":
        return OSError(*arguments)
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, BackstayError):
        return kind(*arguments)
    return BackstayError(
        f"Something went wrong that Backstay did not expect ({name}: {arguments[0]}); the log has the rest."
    )


def has_message(channel: socket.socket, seconds: float | None) -> bool:
    """Wait until there is something to receive, at most so many seconds (None: for ever); say whether there is."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def is_writable(channel: socket.socket) -> bool:
    """Say whether a message can be sent at once, or the other side has gone, which sending it would show."""
    poll = select.poll()
    poll.register(channel, select.POLLOUT)
    return bool(poll.poll(0))


def _be_child(
    work: Callable[[socket.socket], None], channel: socket.socket, keep: set[int], parent: int, library: ctypes.CDLL
) -> NoReturn:
    status = 1
    try:
        # What the parent made is never freed here: its pages stay shared, and its files are not closed twice.
        gc.freeze()
        library.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _close_other_files(keep)
            work(channel)
            status = 0
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException:  # noqa: BLE001 - nothing may come back into the parent's frames
        _log.exception("A child process failed")
    finally:
        os._exit(status)


def _close_other_files(keep: set[int]) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        number = int(name)
        if number != nowhere and number not in keep:
            # Not closed: the number must not be given to another file while an object of the parent still has it.
            with contextlib.suppress(OSError):
                os.dup2(nowhere, number, inheritable=False)


def send(channel: socket.socket, message: Any) -> None:
    """Send a message: None, numbers, text, bytes, and tuples, lists and dictionaries of these."""
    data = marshal.dumps(message)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive(channel: socket.socket) -> Any:
    """Wait for a message.

    Raises:
        EOFError: the other side has gone.
    """
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return marshal.loads(_exactly(channel, length))  # noqa: S302 - of a process that this one has forked


def _exactly(channel: socket.socket, length: int) -> bytes:
    data = channel.recv(length, socket.MSG_WAITALL)
    while len(data) < length:
        more = channel.recv(length - len(data), socket.MSG_WAITALL)
        if not more:
            raise EOFError
        data += more
    return data


class Task:
    """Something that a `ProcessPool` was asked to do."""

    __slots__ = ("done", "message", "reply", "slot")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.reply: Any = None
        self.slot = -1
        self.done = False


class ProcessPool:
    """A few forked processes that all do the same kind of work, for a program with one thread.

    Each task has a slice of memory that both sides see; large results lie there. Replies must be small.

    Args:
        count: number of processes.
        work: done in a process: given a message and the task's memory, it returns a reply.
        memory: bytes of that slice.
        keep: open files that the work needs; see `Child`.

    Raises:
        OSError: the system gives no more processes or memory.
    """

    def __init__(
        self, count: int, work: Callable[[Any, memoryview], Any], *, memory: int = 0, keep: Collection[int] = ()
    ) -> None:
        slots = _AHEAD * count + 2
        size = max(memory, 1)
        self._memory = mmap.mmap(-1, slots * size)
        view = memoryview(self._memory)
        self._slices = [view[slot * size : (slot + 1) * size] for slot in range(slots)]
        self._free = list(range(slots))
        self._queue: deque[Task] = deque()
        self._given: dict[int, tuple[Child, deque[Task]]] = {}
        self._poll = select.poll()
        try:
            for _ in range(count):
                child = Child(lambda channel: self._serve(work, channel), keep)
                self._given[child.channel.fileno()] = (child, deque())
                self._poll.register(child.channel, select.POLLIN)
        except OSError:
            self.close()
            raise

    def _serve(self, work: Callable[[Any, memoryview], Any], channel: socket.socket) -> None:
        while True:
            slot, message = receive(channel)
            try:
                reply = (work(message, self._slices[slot]),)
            except Exception as error:  # noqa: BLE001 - the parent does it again, and raises what is to be raised
                _log.debug("A child process could not do its task: %s", error)
                reply = (None,)
            send(channel, reply)

    def submit(self, message: Any) -> Task:
        """Ask for something to be done; see `send` for what a message may be."""
        task = Task(message)
        self._queue.append(task)
        self._take(0)
        self._hand_out()
        return task

    def wait(self, task: Task) -> tuple[Any, memoryview]:
        """Wait for a task; tasks must be waited for in their order.

        Returns:
            The reply and the task's memory, to be used until `release`. The reply is None where the processes could not
            do it.
        """
        while not task.done:
            self._hand_out()
            if not task.done:
                self._take(None)
        return task.reply, self._slices[task.slot]

    def release(self, task: Task) -> None:
        """Give a task's memory to the next."""
        if task.slot >= 0:
            self._free.append(task.slot)
            task.slot = -1
        self._hand_out()

    def close(self) -> None:
        """End the processes, at once."""
        for child, _ in self._given.values():
            child.end()
        self._given.clear()

    def _hand_out(self) -> None:
        while self._queue and self._free:
            if not self._given:
                # All of them have died: nobody but the parent is left to do it.
                self._queue.popleft().done = True
                continue
            child, given = min(self._given.values(), key=lambda pair: len(pair[1]))
            if len(given) >= _AHEAD:
                return
            task = self._queue.popleft()
            task.slot = self._free.pop()
            given.append(task)
            try:
                send(child.channel, (task.slot, task.message))
            except OSError:
                self._forget_dead(child)

    def _take(self, milliseconds: int | None) -> None:
        for descriptor, _ in self._poll.poll(milliseconds):
            child, given = self._given[descriptor]
            try:
                (reply,) = receive(child.channel)
            except (EOFError, OSError):
                self._forget_dead(child)
                continue
            task = given.popleft()
            task.reply, task.done = reply, True

    def _forget_dead(self, child: Child) -> None:
        _log.warning("A child process has died; what it was doing is done again")
        self._poll.unregister(child.channel)
        _, given = self._given.pop(child.channel.fileno())
        child.end()
        for task in given:
            task.done = True
