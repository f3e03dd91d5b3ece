"""The folder of this machine in which a writer makes its packs; its lock says whether the writer lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

from backstay.archives.parts import disk_errors, sync_folder

_LOCK = "lock"
_STAGED_SECONDS = 3600.0


class WorkFolder:
    """A folder that is this process's as long as the process lives, or until it is removed.

    Args:
        parent: where it is made.
        identity: its name, the writer's.
    """

    def __init__(self, parent: Path, identity: str) -> None:
        self.path = parent / identity
        with disk_errors(self.path):
            # The lock is taken before the folder has its name: whoever finds the folder finds the lock taken.
            staged = parent / f".{identity}"
            staged.mkdir(mode=0o700)
            self._lock = os.open(staged / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # After a power cut the folder still tells that its writer, which may be registered, has died.
            sync_folder(staged)
            staged.rename(self.path)
            sync_folder(parent)

    def leave(self) -> None:
        """Let go of the folder and leave it there: it tells that its writer is dead."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.leave()


def is_dead(parent: Path, identity: str) -> bool:
    """Say whether a writer had its folder on this machine and its process has died; False where that is not known."""
    try:
        descriptor = os.open(parent / identity / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def dead(parent: Path) -> list[str]:
    """List the writers whose folders the dead have left."""
    found = []
    with contextlib.suppress(OSError):
        for path in parent.iterdir():
            if not path.name.startswith("."):
                found += [path.name] if is_dead(parent, path.name) else []
            elif time.time() - path.stat().st_mtime > _STAGED_SECONDS:
                # Its process died before the folder had its name.
                shutil.rmtree(path, ignore_errors=True)
    return found


def remove_folder(parent: Path, identity: str) -> None:
    """Remove what a dead writer has left."""
    shutil.rmtree(parent / identity, ignore_errors=True)
