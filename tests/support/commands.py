"""The command line as tests run it: every command is a process of its own, forked from one that has loaded all modules.

To start Python and load them takes longer than most commands. Tests of the start itself, and of what a shell sees, run
``python -m backstay``.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

_MOST = 1 << 20
_START = "from support.commands import serve; serve({descriptor})"


def backstay(
    *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command, as ``subprocess.run`` does.

    Args:
        arguments: behind ``backstay``.
        stdin: what it reads.
        environment: over that of the test.
        seconds: after which it is killed, and ``subprocess.TimeoutExpired`` raised.
    """
    request = {"arguments": arguments, "environment": {**os.environ, **(environment or {})}, "folder": str(Path.cwd())}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                files = [theirs.fileno(), *(file.fileno() for file in (given, out, err))]
                socket.send_fds(_starter(), [json.dumps(request).encode()], files)
            code = _outcome(ours, arguments, seconds)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())


def _outcome(channel: socket.socket, arguments: tuple[str, ...], seconds: float) -> int:
    """Wait for the number and then the exit code of the process; kill it when it takes too long."""
    number = int(channel.recv(64))
    channel.settimeout(seconds)
    try:
        return int(channel.recv(64))
    except TimeoutError:
        os.kill(number, signal.SIGKILL)
        raise subprocess.TimeoutExpired(arguments, seconds) from None


@functools.cache
def _starter() -> socket.socket:
    """Start the process that the commands are forked from; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", _START.format(descriptor=theirs.fileno())],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(descriptor: int) -> None:
    """Fork a process for each request until nobody is left to ask."""
    _load()
    requests = socket.socket(fileno=descriptor)
    # The processes in between are not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _flags, _address = socket.recv_fds(requests, _MOST, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            os._exit(_watch(json.loads(message), files))
        for file in files:
            os.close(file)


def _watch(request: dict[str, object], files: list[int]) -> int:
    """Fork the command, and report its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=files[0]) as channel:
        number = os.fork()
        if number == 0:
            channel.close()
            os._exit(_run(request, files[1:]))
        channel.send(str(number).encode())
        channel.send(str(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])).encode())
    return 0


def _run(request: dict[str, object], files: list[int]) -> int:
    """Be the command; return its exit code."""
    from backstay.cli import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]  # as it was sent
    sys.argv = ["backstay", *request["arguments"]]  # type: ignore[misc]  # as it was sent
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does at the end of a program
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _load() -> None:
    """Load what commands load, but for what talks to a terminal or starts threads."""
    import backstay
    from backstay.catalogue import sqlite
    from support.catalogues import make_engine_of_a_copy, migrated

    migrated()
    sqlite.make_engine = make_engine_of_a_copy
    for module in pkgutil.walk_packages(backstay.__path__, "backstay."):
        if module.name.startswith(("backstay.cli.", "backstay.jobs.", "backstay.restore.", "backstay.engine.")):
            importlib.import_module(module.name)
