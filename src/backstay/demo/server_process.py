"""A server of Backstay's in a process of its own, on a free port of the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from backstay.errors import ConnectionFailedError

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0


@contextmanager
def running_server(environment: dict[str, str], log: Path) -> Iterator[str]:
    """Start ``backstay serve``, wait until it takes connections, and stop it at the end.

    Args:
        environment: the whole environment of the server; ``BACKSTAY_HOME`` and ``BACKSTAY_SECRET`` are in it.
        log: the file that what it prints goes to.

    Yields:
        The server's URL.

    Raises:
        ConnectionFailedError: it ended at once, or took no connection within a minute.
    """
    port = _free_port()
    command = [sys.executable, "-m", "backstay", "serve", "--host", "127.0.0.1", "--port", str(port)]
    process = None
    try:
        # A session of its own: Ctrl-C reaches the demonstration alone, which then stops the server in order.
        with log.open("wb") as output, _signals_held_back():
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _wait_until_it_answers(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process is not None:
            _stop(process)


def environment_of_its_own(home: Path, secret: str) -> dict[str, str]:
    """Give this process's environment with its own Backstay settings in place of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BACKSTAY_")}
    return {**kept, "BACKSTAY_HOME": str(home), "BACKSTAY_SECRET": secret}


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let no signal come between a process and the variable that holds it: it arrives when the block is left."""
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in received:
            signal.raise_signal(late)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    last_words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    raise ConnectionFailedError("the server did not start; the last it said: " + " / ".join(last_words or ["nothing"]))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
