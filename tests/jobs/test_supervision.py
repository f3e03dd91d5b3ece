"""What systemd is told, over a real datagram socket, by the function and by a real server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.jobs.supervision import Supervisor, supervisor


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of whoever supervises."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(60)
        yield made


def test_a_server_tells_that_it_is_ready_that_it_lives_and_that_it_ends(home: Path, listening: socket.socket) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": "400000"}
    command = [sys.executable, "-m", "backstay", "serve", "--port", "0", "--home", str(home), "--quiet"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            assert listening.recv(100) == b"READY=1"
            assert {listening.recv(100) for _ in range(3)} == {b"WATCHDOG=1"}
            process.send_signal(signal.SIGTERM)
            told = b""
            while told != b"STOPPING=1":
                told = listening.recv(100)
                assert told in (b"WATCHDOG=1", b"STOPPING=1")
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_who_supervises_is_read_once_and_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert supervisor() == Supervisor("/run/notify", 30.0)
    assert supervisor() == Supervisor()
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert supervisor() == Supervisor("/run/notify"), "the watch is over another process"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_socket() -> None:
    name = f"backstay-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0{name}")
        made.settimeout(60)
        Supervisor(f"@{name}").ready()
        assert made.recv(100) == b"READY=1"


def test_a_supervisor_that_is_gone_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(str(tmp_path / "gone"), 1.0).alive()
    assert "WATCHDOG=1" in caplog.text
    Supervisor().ready()
