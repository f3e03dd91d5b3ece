"""Repositories: what each takes, the backups in it, and its check and prune as tasks."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from backstay.errors import UsageError
from backstay.jobs.repository_usage import counted_usage
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PER_PAGE: Final = 50
_SHARES: Final = {"0": "nothing", "0.1": "a tenth", "1": "all of it"}
"""How much of a repository a check reads: the form's value, and what it is called."""


def _show(visit: Visit) -> Response:
    installation = visit.installation
    found = installation.catalogue.repositories.get(visit.request.path_params["name"])
    page = visit.page_number()
    backups = installation.catalogue.snapshots.newest_at(found.name, (page - 1) * _PER_PAGE, _PER_PAGE + 1)
    return visit.page(
        "settings/repository.html",
        repository=found,
        figures=installation.catalogue.snapshots.figures().get(found.name),
        used=counted_usage(installation, found.name),
        backups=backups[:_PER_PAGE],
        more=len(backups) > _PER_PAGE,
        number=page,
        shares=_SHARES,
    )


def _check(visit: Visit) -> Response:
    share = visit.field("share", "0")
    if share not in _SHARES:
        raise UsageError("Choose how much of the repository is read.")
    return _begun(visit, "check", "Check of the repository", {"share": float(share)})


def _prune(visit: Visit) -> Response:
    return _begun(visit, "prune", "Prune of the repository", {})


def _count(visit: Visit) -> Response:
    return _begun(visit, "count", "Count what is in the repository", {})


def _adopt(visit: Visit) -> Response:
    return _begun(visit, "adopt", "Find backups in the repository", {})


def _begun(visit: Visit, what: str, title: str, given: dict[str, float]) -> Response:
    name = visit.installation.catalogue.repositories.get(visit.request.path_params["name"]).name
    task = begin_task(
        visit.installation,
        f"{what} repository",
        f"{title} {name}",
        {"name": name, **given},
        started_by=visit.who.name,
    )
    visit.note(f"{what} of a repository begun", f"repository {name}", **given)
    return visit.redirect(f"/tasks/{task.id}")


ROUTES = (
    PageRoute("GET", "/repositories/{name}", Role.VIEWER, _show),
    PageRoute("POST", "/repositories/{name}/check", Role.OPERATOR, _check),
    PageRoute("POST", "/repositories/{name}/count", Role.OPERATOR, _count),
    PageRoute("POST", "/repositories/{name}/prune", Role.ADMINISTRATOR, _prune),
    PageRoute("POST", "/repositories/{name}/adopt", Role.ADMINISTRATOR, _adopt),
)
