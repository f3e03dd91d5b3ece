"""Workers that kill themselves at a chosen point of sending, so that tests know where they die and how often.

A point lies before and after each call of the catalogue or the storage that changes something, and before each piece of
a file; they are counted anew in each life of a worker.
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from backstay.jobs.installation import Installation

_FOLDER = "BACKSTAY_TEST_DEATHS"
# What Python runs first in each process.
_CUSTOMIZE = """
import sys
if "backstay.jobs.worker" in sys.orig_argv:
    from support.deaths import install
    install()
"""


class Deaths:
    """The plan of a test, which the workers that it starts follow.

    Args:
        folder: of the plan; made anew.
        patch: gives the workers' environment back after the test.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_CUSTOMIZE)
        patch.setenv(_FOLDER, str(folder))
        for path in (Path(__file__).parent.parent, folder):
            patch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)
        self.plan()

    def plan(self, *points: int) -> None:
        """Let the next workers die, each at its own point; those after them live."""
        (self._folder / "plan").write_text("\n".join(map(str, points)))
        for name in ("lives", "deaths"):
            (self._folder / name).write_text("")

    @property
    def happened(self) -> int:
        """How many have died as planned."""
        return len((self._folder / "deaths").read_text().splitlines())

    @property
    def points(self) -> int:
        """How many points the last worker passed that lived."""
        return int((self._folder / "points").read_text())

    def of(self, installation: Installation, backup_id: int) -> Iterator[None]:
        """Give each death of the backup's worker, and have it resumed; end with the backup."""
        from backstay.jobs import lock
        from backstay.jobs.launch import recover
        from backstay.jobs.records import get_backup

        deadline = time.monotonic() + 120
        while get_backup(installation, backup_id).status == "run":
            assert time.monotonic() < deadline
            alive = lock.is_alive(installation.home.job(backup_id))
            # Asked once more: it may have ended in good order between the two questions.
            if not alive and (backup := get_backup(installation, backup_id)).status == "run":
                yield
                recover(installation, backup)
            time.sleep(0.01)


def install() -> None:
    """Count the points of this process, and kill it at the one that is planned for it."""
    from backstay.catalogue.copies import CopyTable
    from backstay.storage.folder import Folder
    from backstay.storage.s3 import S3
    from backstay.storage.s3_client import S3Client
    from backstay.storage.throttle import Throttle

    folder = Path(os.environ[_FOLDER])
    with (folder / "lives").open("a+") as lives:
        lives.write(f"{os.getpid()}\n")
        lives.seek(0)
        life = len(lives.readlines())
    plan = [int(line) for line in (folder / "plan").read_text().split()]
    last = plan[life - 1] if life <= len(plan) else 0
    numbers = itertools.count(1)

    def point() -> None:
        if next(numbers) == last:
            with (folder / "deaths").open("a") as deaths:
                deaths.write(f"{os.getpid()} in {sys._getframe(1).f_code.co_qualname}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def around(*arguments: Any, **named: Any) -> Any:
            point()
            result = call(*arguments, **named)
            point()
            return result

        return around

    for kind, names in (
        (CopyTable, ("create", "set_parts", "update", "update_part")),
        (Folder, ("put", "head", "abandon", "delete")),
        (S3, ("put", "head", "abandon", "delete")),
        (S3Client, ("call",)),
        (Throttle, ("wait",)),
    ):
        for name in names:
            setattr(kind, name, counted(getattr(kind, name)))
    atexit.register(lambda: (folder / "points").write_text(str(next(numbers) - 1)))
