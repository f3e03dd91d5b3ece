"""Starting the process that takes a backup: when it is known which one, or beforehand.

A process that was started beforehand loads its modules while the command line loads its own and looks at the site. It
waits at a socket for the backup that it is to take, with the lock of its job; where the socket closes, it ends.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from backstay.jobs.environment import child_environment

# -P: the folder the caller stands in must not be searched for code.
_COMMAND = (sys.executable, "-P", "-m", "backstay.jobs.worker")
_prepared: list[tuple[subprocess.Popen[bytes], socket.socket]] = []


def prepare() -> None:
    """Start a process that will take the next backup that this program starts."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*_COMMAND, str(theirs.fileno())],
            cwd="/",
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[theirs.fileno()],
        )
    _prepared.append((process, ours))


def start(home: Path, folder: Path, backup_id: int, descriptor: int) -> subprocess.Popen[bytes]:
    """Let a process take a backup.

    Args:
        home: of the installation.
        folder: of the job; what the process prints goes into a file there.
        backup_id: number of the record.
        descriptor: open file that holds the lock of the job; the process holds it from now on, too.
    """
    with (folder / "output").open("ab") as output:
        while _prepared:
            process, connection = _prepared.pop()
            with connection:
                if _handed_over(connection, home, backup_id, [descriptor, output.fileno()]):
                    return process
        return subprocess.Popen(
            [*_COMMAND, str(home), str(backup_id), str(descriptor)],
            cwd="/",
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[descriptor],
        )


def _handed_over(connection: socket.socket, home: Path, backup_id: int, descriptors: list[int]) -> bool:
    """Send a process what it waits for; return False where it has died."""
    try:
        socket.send_fds(connection, [json.dumps([os.fsdecode(home), backup_id]).encode()], descriptors)
    except OSError:
        return False
    return True


def received(descriptor: int) -> tuple[Path, int, int] | None:
    """Wait, in a process that was started beforehand, for the backup that it is to take.

    Args:
        descriptor: open file of its end of the socket.

    Returns:
        Home, number of the record, and the open file that holds the lock; None where there is nothing to be taken.
    """
    with socket.socket(fileno=descriptor) as connection:
        message, descriptors, _flags, _address = socket.recv_fds(connection, 1 << 16, 2)
    if not message:
        return None
    lock, output = descriptors
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    home, backup_id = json.loads(message)
    return Path(home), backup_id, lock
