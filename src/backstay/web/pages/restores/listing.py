"""Restores: those that can be finished or taken back, one with its report, and those that are over."""

from __future__ import annotations

from typing import Final, Literal

from starlette.responses import Response

from backstay.catalogue import Task
from backstay.errors import BackstayError, NotFoundError
from backstay.jobs.restore import PendingRestore, pending_restores, resume_restore
from backstay.jobs.restore_report import report_json
from backstay.jobs.restore_tasks import work_in_background
from backstay.jobs.tasks import list_tasks
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_KINDS: Final = ("restore", "undo", "confirm", "migrate")
_NOTED: Final = {"restore": "restore resumed", "undo": "restore taken back", "confirm": "restore confirmed"}
_LOOKED_AT: Final = 500
_SHOWN: Final = 20


def _list(visit: Visit) -> Response:
    pending = list(reversed(pending_restores(visit.installation)))
    return visit.page("restores/list.html", pending=pending, tasks=_tasks(visit)[:_SHOWN])


def _one(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    pending = next((one for one in pending_restores(visit.installation) if one.name == name), None)
    tasks = [task for task in _tasks(visit) if _is_of(task, name, pending)]
    if pending is None and not tasks:
        raise NotFoundError(f"There is no restore {name}: see the list of restores.")
    done = next((task for task in tasks if task.kind in ("restore", "migrate") and task.state == "done"), None)
    report = dict(done.result) if done else _report(visit, pending)
    return visit.page(
        "restores/one.html",
        name=name,
        pending=pending,
        tasks=tasks,
        report=report,
        later=_later(visit, pending),
    )


def _report(visit: Visit, pending: PendingRestore | None) -> dict[str, object] | None:
    """Return the report of a restore that a command has done."""
    if pending is None or pending.running or pending.state != "in place":
        return None
    try:
        with (run := resume_restore(visit.installation, pending.name)).journal:
            return report_json(run.report()) | {"warnings": []}
    except BackstayError:
        return None


def _later(visit: Visit, pending: PendingRestore | None) -> list[str]:
    """Return the restores that came later to the same place: they are taken back first."""
    if pending is None:
        return []
    listed = pending_restores(visit.installation)
    after = listed[[one.name for one in listed].index(pending.name) + 1 :] if pending in listed else []
    databases = set(pending.databases)
    return [one.name for one in after if one.target == pending.target or databases & set(one.databases)]


def _tasks(visit: Visit) -> list[Task]:
    return [task for task in list_tasks(visit.installation, 0, _LOOKED_AT) if task.kind in _KINDS]


def _is_of(task: Task, name: str, pending: PendingRestore | None) -> bool:
    return task.result.get("restore") == name or (pending is not None and pending.task_id == task.id)


def _resume(visit: Visit) -> Response:
    return _work(visit, "restore")


def _undo(visit: Visit) -> Response:
    return _work(visit, "undo")


def _confirm(visit: Visit) -> Response:
    return _work(visit, "confirm")


def _work(visit: Visit, what: Literal["restore", "undo", "confirm"]) -> Response:
    name = visit.request.path_params["name"]
    task = work_in_background(visit.installation, name, what, started_by=visit.who.name)
    visit.note(_NOTED[what], f"restore {name}")
    return visit.redirect(f"/tasks/{task.id}")


ROUTES = (
    PageRoute("GET", "/restores", Role.VIEWER, _list),
    PageRoute("GET", "/restores/{name}", Role.VIEWER, _one),
    PageRoute("POST", "/restores/{name}/resume", Role.ADMINISTRATOR, _resume, confirmed=True),
    PageRoute("POST", "/restores/{name}/undo", Role.ADMINISTRATOR, _undo, confirmed=True),
    PageRoute("POST", "/restores/{name}/confirm", Role.ADMINISTRATOR, _confirm, confirmed=True),
)
