"""Progress as pages show it: the same texts in a page that is made and in one that is kept up to date by events."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from backstay.catalogue import Task
from backstay.jobs.tasks import TaskProgress
from backstay.jobs.watching import BackupView
from backstay.web.rendering import counted, shown, size, span

DOMAINS: Final[Mapping[str, str]] = {
    "init": "Looking at the site",
    "installer": "Writing the first pages",
    "PackDB": "Dumping the databases",
    "Packing": "Packing files",
    "finale": "Verifying and finishing",
}
"""What each domain of a backup does, for a person."""
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("running", "busy"),
    "waiting": ("waiting", "quiet"),
    "stopped": ("stopped", "warn"),
    "complete": ("complete", "good"),
    "done": ("done", "good"),
    "failed": ("failed", "bad"),
}
"""Word and colour of each state of a backup or task."""
_PACE_SECONDS: Final = 10.0


class Pace:
    """How fast something goes on, over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """Note how much is done now; less than before begins anew."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((now, done))
        while now - self._samples[0][0] > _PACE_SECONDS:
            self._samples.popleft()

    def speed(self) -> float:
        """Return bytes a second; 0 where that is not known yet."""
        (begun, first), (now, last) = self._samples[0], self._samples[-1]
        return (last - first) / (now - begun) if now - begun >= 1 else 0.0


def of_backup(view: BackupView, speed: float = 0.0) -> dict[str, Any]:
    """Return what is shown of a backup: texts by name, the percentage, whether it is over.

    Args:
        view: how far it is.
        speed: bytes a second of content that goes into the archive; 0: not known.
    """
    progress = view.progress
    left = progress.bytes_expected - progress.bytes_read
    packing = view.state == "running" and progress.domain == "Packing"
    amounts = [f"{size(progress.bytes_read)}" + (f" of {size(progress.bytes_expected)}" if left > 0 else "")]
    amounts += [counted(progress.files, "entry", "entries")] if progress.files else []
    amounts += [counted(progress.rows, "row")] if progress.rows else []
    word, kind = STATES[view.state]
    return {
        "kind": "backup",
        "id": view.id,
        "state": view.state,
        "colour": kind,
        "percent": view.percent,
        "over": view.is_over,
        "texts": {
            "state": word,
            "stage": DOMAINS[progress.domain],
            "what": shown(" ".join(filter(None, (progress.step, progress.substep)))),
            "percent": f"{view.percent} %",
            "amount": " · ".join(amounts),
            "speed": f"{size(speed)}/s" if packing and speed else "",
            "remaining": f"about {span(left / speed)} of packing left" if packing and speed and left > 0 else "",
            "warnings": counted(view.warnings, "warning") if view.warnings else "",
            "elapsed": span((view.ended or datetime.now(UTC)) - view.started),
        },
    }


def of_task(task: Task, progress: TaskProgress | None, speed: float = 0.0) -> dict[str, Any]:
    """Return what is shown of a task, as `of_backup` does."""
    now = progress or TaskProgress("It begins")
    left = now.total - now.done
    is_over = task.state != "running"
    percent = 100 if task.state == "done" else min(100, int(100 * now.done / now.total)) if now.total else 0
    word, kind = STATES[task.state]
    return {
        "kind": "task",
        "id": task.id,
        "state": task.state,
        "colour": kind,
        "percent": percent if now.total or is_over else None,
        "over": is_over,
        "texts": {
            "state": word,
            "stage": now.stage,
            "what": shown(now.what),
            "percent": f"{percent} %" if now.total else "",
            "amount": size(now.done) + (f" of {size(now.total)}" if now.total else "") if now.done else "",
            "speed": f"{size(speed)}/s" if speed else "",
            "remaining": f"about {span(left / speed)} left" if speed and left > 0 else "",
            "elapsed": span((task.ended or datetime.now(UTC)) - task.created),
        },
    }
