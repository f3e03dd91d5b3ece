"""How often DBOS looks into its database: some of its loops do so once a second, and have no setting for that.

What is set here is private in the library. Where a version names it otherwise, that loop looks as often as it likes,
which costs some percent of a processor and nothing else; ``benchmarks/at_rest.py`` shows it.
"""

# ruff: noqa: SLF001 - there is nothing public

from __future__ import annotations

import contextlib
import time
from typing import Any

from dbos import _dbos, _workflow_commands

# Nobody changes the queues while a process runs, and no workflow of ours has a delay or a time limit.
_IDLE_SECONDS = 60.0


def before_launch(look_seconds: float) -> None:
    """Slow down what DBOS starts when it is launched.

    Args:
        look_seconds: seconds between two looks for what was queued again.
    """
    with contextlib.suppress(AttributeError):
        _workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = _IDLE_SECONDS
        _dbos._get_or_create_dbos_registry().get_internal_queue()._polling_interval_sec = look_seconds


def after_declaring() -> None:
    """Let DBOS ask seldom which queues there are; to be called when all of them are declared."""
    with contextlib.suppress(AttributeError):
        database: Any = _dbos._get_dbos_instance()._sys_db
        list_queues = database.list_queues
        asked: list[tuple[float, Any]] = []

        def list_seldom(**arguments: Any) -> Any:
            if not asked or time.monotonic() - asked[-1][0] >= _IDLE_SECONDS:
                asked[:] = [(time.monotonic(), list_queues(**arguments))]
            return asked[-1][1]

        database.list_queues = list_seldom
