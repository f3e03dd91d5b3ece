"""Two backups compared."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from backstay.catalogue import Task
from backstay.errors import UsageError
from backstay.jobs.records import get_backup
from backstay.jobs.tasks import begin_task, list_tasks
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_LOOKED_THROUGH: Final = 50


def _compared(visit: Visit) -> Response:
    first, second = _number(visit.asked("a")), _number(visit.asked("b"))
    found: Task | None = None
    if first and second:
        for number in (first, second):
            get_backup(visit.installation, number)
        tasks = list_tasks(visit.installation, 0, _LOOKED_THROUGH, backup_id=second)
        found = next((one for one in tasks if _is_of(one, first, second)), None)
    result: dict[str, Any] = dict(found.result) if found else {}
    return visit.page(
        "backups/compare.html", first=first, second=second, task=found, result=result, may=visit.may(Role.OPERATOR)
    )


def _compare(visit: Visit) -> Response:
    first, second = _number(visit.field("a")), _number(visit.field("b"))
    if not first or not second or first == second:
        raise UsageError("Name two different backups by their numbers.")
    get_backup(visit.installation, first)
    backup = get_backup(visit.installation, second)
    task = begin_task(
        visit.installation,
        "compare",
        f"Compare backup {first} with backup {second}",
        {"with": first},
        started_by=visit.who.name,
        profile_id=backup.profile_id,
        backup_id=second,
    )
    visit.note("comparison begun", f"backup {second}", earlier=first, task=task.id)
    return visit.redirect(f"/tasks/{task.id}")


def _is_of(task: Task, first: int, second: int) -> bool:
    same = (task.result.get("first"), task.result.get("second")) == (first, second)
    return task.kind == "compare" and task.state == "done" and same


def _number(text: str) -> int:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0


ROUTES = (
    PageRoute("GET", "/backups/compare", Role.VIEWER, _compared),
    PageRoute("POST", "/backups/compare", Role.OPERATOR, _compare),
)
