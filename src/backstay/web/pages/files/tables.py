"""The databases in an archive: tables, views and routines, and how each was defined."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from backstay.jobs.archived_tables import find_definition, read_dumps
from backstay.jobs.browsing import Inside
from backstay.jobs.users import Role
from backstay.web.pages.files.opening import looking
from backstay.web.rendering import unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PER_PAGE: Final = 200


def _tables(visit: Visit, inside: Inside) -> Response:
    dumps, page = read_dumps(inside), visit.page_number()
    objects = [(dump, one) for dump in dumps for one in dump.objects]
    shown = objects[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    return visit.page(
        "files/tables.html",
        backup=inside.backup,
        storage=inside.storage,
        dumps=dumps,
        objects=shown,
        number=page,
        more=page * _PER_PAGE < len(objects),
    )


def _definition(visit: Visit, inside: Inside) -> Response:
    dump, name = unquoted(visit.asked("dump")), unquoted(visit.asked("name"))
    return visit.page(
        "files/definition.html",
        backup=inside.backup,
        storage=inside.storage,
        name=name,
        definition=find_definition(inside, dump, visit.asked("kind"), name),
    )


ROUTES = (
    PageRoute("GET", "/backups/{number:int}/tables", Role.VIEWER, looking(_tables), bound="backup"),
    PageRoute("GET", "/backups/{number:int}/tables/definition", Role.VIEWER, looking(_definition), bound="backup"),
)
