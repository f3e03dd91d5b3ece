"""Long work in the background: all of it, and one piece with its progress."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from backstay.jobs.tasks import find_task, list_tasks, stop_task, task_progress
from backstay.jobs.users import Role
from backstay.web.progress import of_task
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PER_PAGE: Final = 50


def _list(visit: Visit) -> Response:
    page = visit.page_number()
    found = list_tasks(visit.installation, (page - 1) * _PER_PAGE, _PER_PAGE + 1)
    return visit.page("tasks/list.html", tasks=found[:_PER_PAGE], number=page, more=len(found) > _PER_PAGE)


def _one(visit: Visit) -> Response:
    task = find_task(visit.installation, visit.number())
    progress = task_progress(visit.installation, task.id) if task.state == "running" else None
    return visit.page("tasks/one.html", task=task, live=of_task(task, progress))


def _stop(visit: Visit) -> Response:
    task = stop_task(visit.installation, visit.number())
    notice = "The task was asked to stop." if task.state == "running" else "The task has ended already."
    return visit.redirect(f"/tasks/{task.id}", notice)


ROUTES = (
    PageRoute("GET", "/tasks", Role.VIEWER, _list),
    PageRoute("GET", "/tasks/{number:int}", Role.VIEWER, _one, bound="task"),
    PageRoute("POST", "/tasks/{number:int}/stop", Role.OPERATOR, _stop, bound="task"),
)
