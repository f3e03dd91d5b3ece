"""The tree of an archive, a folder at a time, and the names that were searched for."""

from __future__ import annotations

import stat
from typing import Final, cast

from starlette.responses import Response

from backstay.archives import EntryType
from backstay.jobs.archive_index import Item, Sort
from backstay.jobs.browsing import Inside
from backstay.jobs.users import Role
from backstay.web.pages.files.opening import looking
from backstay.web.rendering import unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

PER_PAGE: Final = 100
_LONGEST_SEARCH: Final = 200
_KINDS: Final = {EntryType.DIRECTORY: stat.S_IFDIR, EntryType.FILE: stat.S_IFREG, EntryType.SYMLINK: stat.S_IFLNK}


def crumbs(path: str) -> list[tuple[str, str]]:
    """Return name and path of each folder on the way to a path, the root left out."""
    steps = path.split("/") if path else []
    return [(step, "/".join(steps[:count])) for count, step in enumerate(steps, 1)][-30:]


def mode(item: Item) -> str:
    """Return an item's permissions as ``ls`` shows them; empty where they are not known."""
    return "" if item.mode is None else stat.filemode(_KINDS[item.type] | stat.S_IMODE(item.mode))


def _list(visit: Visit, inside: Inside) -> Response:
    path, page = unquoted(visit.asked("path")), visit.page_number()
    text = visit.asked("search").strip()[:_LONGEST_SEARCH]
    sort = cast("Sort", visit.asked("sort") if visit.asked("sort") in ("size", "time") else "name")
    offset = (page - 1) * PER_PAGE
    found = (
        inside.index.search(text, path, offset, PER_PAGE) if text else inside.index.folder(path, offset, PER_PAGE, sort)
    )
    return visit.page(
        "files/list.html",
        backup=inside.backup,
        storage=inside.storage,
        problem=inside.index.problem,
        here=inside.index.find(path),
        crumbs=crumbs(path),
        listing=found,
        search=text,
        sort=sort,
        number=page,
        more=offset + len(found.items) < found.total,
        mode=mode,
    )


ROUTES = (PageRoute("GET", "/backups/{number:int}/files", Role.VIEWER, looking(_list), bound="backup"),)
