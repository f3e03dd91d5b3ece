"""Parts of an archive, downloaded with ranges as clients of the API do it."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backstay.downloads.parts import part_response
from backstay.errors import NotFoundError
from backstay.jobs.archive_of import parts_of
from backstay.jobs.records import get_backup
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


class _Passed(Response):
    """An answer that another application gives."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__()
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it answer."""
        await self._application(scope, receive, send)


def _part(visit: Visit) -> Response:
    backup, wanted = get_backup(visit.installation, visit.number()), visit.number("part")
    for part in parts_of(visit.installation, backup):
        if part.part == wanted:
            _note(visit, wanted)
            return _Passed(part_response(part))
    raise NotFoundError(f"Backup {backup.id} has no part {wanted}, here or at a storage.")


def _note(visit: Visit, part: int) -> None:
    # The pieces of one download are many requests.
    if "range" not in visit.request.headers:
        visit.note("part downloaded", f"backup {visit.number()}", part=part)


ROUTES = (PageRoute("GET", "/backups/{number:int}/parts/{part:int}", Role.OPERATOR, _part, bound="backup"),)
