"""A page to choose files and folders of a backup that are to be brought back."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from backstay.jobs.records import get_backup
from backstay.jobs.users import Role
from backstay.web.pages.files.opening import asking
from backstay.web.pages.files.picking import pick
from backstay.web.rendering import quoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit, address

_LONGEST: Final = 6000
"""Letters of an address that every browser and proxy takes."""


def _choose(visit: Visit) -> Response:
    return asking(visit, lambda: _chosen(visit, visit.asked("storage")))


def _chosen(visit: Visit, storage: str) -> Response:
    number, problem = get_backup(visit.installation, visit.number()).id, ""
    picked = pick(visit, storage)
    if visit.request.method == "POST" and not picked.is_looking:
        query = "&".join(address("", {"path": quoted(path)}).removeprefix("?") for path in picked.chosen)
        if picked.chosen and len(query) <= _LONGEST:
            rest = address("", {"storage": storage}).replace("?", "&", 1)
            return RedirectResponse(f"/backups/{number}/restore?{query}{rest}", 303)
        problem = (
            "Choose whole folders instead of so many files." if picked.chosen else "Choose a file or folder first."
        )
    return visit.page(
        "files/choose.html", 400 if problem else 200, number=number, storage=storage, picked=picked, problem=problem
    )


def _posted(visit: Visit) -> Response:
    return asking(visit, lambda: _chosen(visit, visit.field("storage")))


ROUTES = (
    PageRoute("GET", "/backups/{number:int}/files/choose", Role.ADMINISTRATOR, _choose),
    PageRoute("POST", "/backups/{number:int}/files/choose", Role.ADMINISTRATOR, _posted),
)
