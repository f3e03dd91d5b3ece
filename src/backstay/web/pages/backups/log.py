"""The log of a backup, searched, in pages."""

from __future__ import annotations

from starlette.responses import Response

from backstay.jobs.logs import LEVELS, read_log_page
from backstay.jobs.records import get_backup
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _log(visit: Visit) -> Response:
    backup = get_backup(visit.installation, visit.number())
    text, given = visit.asked("search")[:200], visit.asked("from", "0")
    levels = [one for one in visit.request.query_params.getlist("level") if one in LEVELS]
    offset = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0
    page = read_log_page(visit.installation, backup, offset=offset, text=text, levels=levels)
    chosen = "".join(f"&level={level}" for level in levels)
    return visit.page(
        "backups/log.html",
        backup=backup,
        page=page,
        offset=offset,
        text=text,
        levels=levels,
        all_levels=LEVELS,
        following=visit.to(visit.request.url.path, search=text, **{"from": page.following or ""}) + chosen,
    )


ROUTES = (PageRoute("GET", "/backups/{number:int}/log", Role.VIEWER, _log, bound="backup"),)
