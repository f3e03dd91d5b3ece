"""The proof of a backup by restoring it where nobody needs it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from backstay.databases import DatabaseAddress
from backstay.errors import UsageError
from backstay.jobs.records import get_backup
from backstay.jobs.stored_backups import stored_copies
from backstay.jobs.tasks import begin_task, list_tasks
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _form(visit: Visit) -> Response:
    return _show(visit)


def _show(visit: Visit, *, problem: str = "") -> Response:
    backup = get_backup(visit.installation, visit.number())
    tasks = [one for one in list_tasks(visit.installation, 0, 20, backup_id=backup.id) if one.kind == "drill"]
    report: dict[str, Any] = backup.proof.get("drill") or {}
    return visit.page(
        "restores/drill.html",
        400 if problem else 200,
        backup=backup,
        tasks=tasks,
        report={"problems": [], "notes": [], **report} if report else None,
        storages=[copy.destination for copy in stored_copies(visit.installation, backup.id)],
        is_possible=backup.status == "complete" and backup.type != "dbonly",
        problem=problem,
    )


def _begin(visit: Visit) -> Response:
    backup = get_backup(visit.installation, visit.number())
    database = visit.field("database").strip()
    try:
        if database:
            DatabaseAddress.parse(database)
    except UsageError as error:
        return _show(visit, problem=str(error))
    given = {"storage": visit.field("storage"), "database": database, "password": visit.field("password")}
    task = begin_task(
        visit.installation,
        "drill",
        f"Drill backup {backup.id}",
        given,
        started_by=visit.who.name,
        profile_id=backup.profile_id,
        backup_id=backup.id,
    )
    visit.note("drill begun", f"backup {backup.id}")
    return visit.redirect(f"/tasks/{task.id}")


ROUTES = (
    PageRoute("GET", "/backups/{number:int}/drill", Role.OPERATOR, _form),
    PageRoute("POST", "/backups/{number:int}/drill", Role.OPERATOR, _begin),
)
