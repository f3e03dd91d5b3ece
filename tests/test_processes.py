"""Forked processes do their share, hold nothing of their parent's, and end when it does."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstay.processes import Child, ProcessPool, may_fork, receive, send

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def upper(message: Any, room: memoryview) -> Any:
    """Do some work: text goes into the room in capitals; some words are orders."""
    if message == "fail":
        raise ValueError(message)
    if message == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    data = message.upper().encode()
    room[: len(data)] = data
    return len(data), os.getpid()


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    """Give two processes that capitalise."""
    with contextlib.closing(ProcessPool(2, upper, memory=100)) as processes:
        yield processes


def outcome(pool: ProcessPool, message: str) -> tuple[str, int] | None:
    task = pool.submit(message)
    reply, room = pool.wait(task)
    text = None if reply is None else (bytes(room[: reply[0]]).decode(), reply[1])
    pool.release(task)
    return text


def is_gone(process: int) -> bool:
    """Say whether a process has ended, or is only waiting to be buried."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def wait_until_gone(processes: list[int]) -> None:
    limit = time.monotonic() + 10
    while not all(map(is_gone, processes)):
        assert time.monotonic() < limit, f"of {processes} some live on"
        time.sleep(0.01)


def test_all_tasks_are_done_in_order_by_more_than_one_process(pool: ProcessPool) -> None:
    tasks = [pool.submit(f"word {number}") for number in range(200)]
    processes = set()
    for number, task in enumerate(tasks):
        (length, process), room = pool.wait(task)
        assert bytes(room[:length]) == f"WORD {number}".encode()
        processes.add(process)
        pool.release(task)
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_what_goes_wrong_in_a_process_is_reported_and_stops_nothing(pool: ProcessPool) -> None:
    assert outcome(pool, "fail") is None
    assert outcome(pool, "x" * 101) is None
    found = outcome(pool, "still here")
    assert found is not None
    assert found[0] == "STILL HERE"


def test_a_process_that_dies_leaves_its_tasks_undone_and_the_rest_to_the_others(pool: ProcessPool) -> None:
    tasks = [pool.submit(word) for word in ["a", "die", "b", "c", "d", "e", "f"]]
    replies = []
    for task in tasks:
        replies.append(pool.wait(task)[0])
        pool.release(task)
    assert replies[1] is None
    assert replies[-1] is not None
    assert outcome(pool, "die") is None
    # Nobody is left: everything comes back undone, at once.
    assert outcome(pool, "a") is None


def test_a_message_may_be_larger_than_what_a_socket_takes(pool: ProcessPool) -> None:
    assert outcome(pool, "y" * 5_000_000) is None
    found = outcome(pool, "short")
    assert found is not None


def test_closing_ends_the_processes_in_the_middle_of_their_work() -> None:
    def sleep(_message: Any, _room: memoryview) -> None:
        time.sleep(100)

    pool = ProcessPool(2, sleep)
    pool.submit("x")
    before = time.monotonic()
    pool.close()
    assert time.monotonic() - before < 5


def test_a_program_with_threads_does_not_fork() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    try:
        assert not may_fork()
    finally:
        go_on.set()
        thread.join()


def test_a_child_has_no_file_of_its_parents_but_those_it_needs(tmp_path: Path) -> None:
    kept = os.open(tmp_path / "kept", os.O_RDWR | os.O_CREAT)
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def work(channel: Any) -> None:
        os.write(kept, b"mine")
        os.write(lock, b"nowhere")
        send(channel, "written")
        receive(channel)

    child = Child(work, keep=(kept,))
    try:
        assert receive(child.channel) == "written"
        os.close(lock)
        # Were the child to hold it too, the lock would not be free now.
        again = os.open(tmp_path / "lock", os.O_RDWR)
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(again)
        assert (tmp_path / "kept").read_bytes() == b"mine"
        assert (tmp_path / "lock").read_bytes() == b""
    finally:
        child.end()
        os.close(kept)


def test_where_the_system_gives_no_more_processes_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fork
    forked: list[int] = []

    def fork() -> int:
        if forked:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        forked.append(real())
        return forked[0]

    monkeypatch.setattr(os, "fork", fork)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BlockingIOError):
        ProcessPool(2, upper)
    assert is_gone(forked[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


PARENT = """
import os, sys, time
from backstay.processes import Child, ProcessPool

def busy(message, room):
    time.sleep(100)

def stuck(channel):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(100)

def reported(channel):
    os.write(1, b"%d\\n" % os.getpid())
    channel.recv(1)

pool = ProcessPool(2, lambda message, room: os.write(1, b"%d\\n" % os.getpid()) or busy(message, room))
pool.submit("x")
pool.submit("y")
children = [Child(stuck), Child(reported)]
time.sleep(100)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_its_parent_however_that_ends(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(parent.stdout.readline()) for _ in range(4)]
        assert not any(map(is_gone, children))
        parent.send_signal(number)
        wait_until_gone(children)
