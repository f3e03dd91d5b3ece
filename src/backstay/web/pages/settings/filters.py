"""What a profile leaves out: its files a folder at a time, its tables, expressions, and folders outside the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from backstay.catalogue import Profile
from backstay.errors import BackstayError, UsageError
from backstay.jobs.file_filters import (
    FILE_FILTERS,
    FILE_REGEXES,
    ListedEntry,
    add_folder,
    file_roots,
    list_folder,
    remove_folder,
    set_file_filter,
    set_file_regex,
    tree_of,
)
from backstay.jobs.folder_sizes import TreeSizes, tree_sizes
from backstay.jobs.table_filters import (
    TABLE_FILTERS,
    TABLE_REGEXES,
    database_roots,
    list_tables,
    set_table_filter,
    set_table_regex,
)
from backstay.jobs.users import Role
from backstay.profiles import SITE_DATABASE, SITE_ROOT
from backstay.web.rendering import shown, unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_PAGE = 100
_PATIENCE = 0.06
MEANINGS: Mapping[str, str] = {
    "directories": "folders with all that is in them",
    "files": "files",
    "skipdirs": "the folders in a folder",
    "skipfiles": "the files in a folder",
    "tables": "tables",
    "tabledata": "rows of tables",
}
"""What a filter leaves out, for a person."""


def _files(visit: Visit) -> Response:
    profile = visit.installation.catalogue.profiles.get(visit.number())
    root, path = visit.asked("root", SITE_ROOT), unquoted(visit.asked("path"))
    page = _page_number(visit)
    problem, folder, sizes = "", None, None
    try:
        folder = list_folder(profile, root, path, offset=(page - 1) * _PAGE, limit=_PAGE)
        sizes = tree_sizes.sizes(tree_of(profile, root), patience=_PATIENCE)
    except BackstayError as error:
        problem = str(error)
    entries = [_row(entry, sizes) for entry in folder.entries] if folder else []
    return visit.page(
        "settings/files.html",
        profile=profile, root=root, roots=file_roots(profile), folder=folder, entries=entries, page=page,
        more=folder is not None and folder.count > page * _PAGE, problem=problem,
        counting=folder is not None and sizes is None, is_whole=sizes is None or sizes.is_whole,
        crumbs=_crumbs(path), **_common(profile),
    )  # fmt: skip


def _row(entry: ListedEntry, sizes: TreeSizes | None) -> dict[str, Any]:
    """Return an entry with what leaving it out would save."""
    found = sizes.of.get(entry.path) if sizes is not None and entry.is_folder and not entry.is_link else None
    contents = {"skipdirs", "skipfiles"}
    return {
        "entry": entry,
        "size": entry.size if not entry.is_folder else found.total if found else None,
        "in_files": found.in_files if found else None,
        "in_folders": found.total - found.in_files if found else None,
        "count": found.files if found else None,
        "is_emptied": entry.is_folder and contents <= entry.ruled.keys(),
    }


def _tables(visit: Visit) -> Response:
    profile = visit.installation.catalogue.profiles.get(visit.number())
    root, page = visit.asked("root", SITE_DATABASE), _page_number(visit)
    problem, found = "", None
    try:
        found = list_tables(profile, root)
        if found is None:
            problem = "The site of this profile has no database."
    except BackstayError as error:
        problem = str(error)
    tables = found or []
    return visit.page(
        "settings/tables.html",
        profile=profile, root=root, roots=database_roots(profile), problem=problem, page=page,
        tables=tables[(page - 1) * _PAGE : page * _PAGE], more=len(tables) > page * _PAGE, count=len(tables),
        **_common(profile),
    )  # fmt: skip


def _common(profile: Profile) -> dict[str, Any]:
    """Return what both pages show of the filters that are set by hand."""
    filters = profile.filters
    set_by_hand = [
        (name, root, node)
        for name, roots in filters.exclusions.items()
        for root, nodes in roots.items()
        for node in nodes
    ]
    return {
        "set_by_hand": set_by_hand,
        "meanings": MEANINGS,
        "folders": filters.extra_directories,
        "patterns": profile.settings().exclude.splitlines(),
        "site_root": SITE_ROOT,
    }


def _set(visit: Visit) -> Response:
    """Set or take away filters: a button says which, ``set directories path`` or ``clear files path``."""
    number, root = visit.number(), _root(visit)
    verb, names, node = (*visit.field("change").split(" ", 2), "", "")[:3]
    node, present = unquoted(node), verb == "set"
    if verb not in ("set", "clear"):
        raise UsageError("The form does not say what is to be left out: open the page anew.")
    _apply(visit, number, root, names.split("+"), node, present=present)
    what = "left out" if present else "no longer left out"
    visit.note("filters changed", f"profile {number}", filter=names, of=shown(node), root=shown(root), left_out=present)
    return visit.redirect(_back(visit), f"{shown(node)[:200]} is {what}.")


def _apply(visit: Visit, number: int, root: str, names: list[str], node: str, *, present: bool) -> None:
    installation = visit.installation
    if set(names) <= set(FILE_FILTERS):
        set_file_filter(installation, number, root, names, node, present=present)
    elif names[0] in FILE_REGEXES:
        set_file_regex(installation, number, root, names[0], node, present=present)
    elif names[0] in TABLE_REGEXES:
        set_table_regex(installation, number, root, names[0], node, present=present)
    elif names[0] in TABLE_FILTERS:
        set_table_filter(installation, number, root, names[0], node, present=present)
    else:
        raise UsageError("There is no such filter: open the page anew.")


def _add_expression(visit: Visit) -> Response:
    number, root, kind = visit.number(), _root(visit), visit.field("kind")
    expression = visit.field("expression").strip()
    _apply(visit, number, root, [kind], expression, present=True)
    visit.note("filters changed", f"profile {number}", filter=kind, of=expression, root=shown(root), left_out=True)
    return visit.redirect(_back(visit), "The expression is added.")


def _add_folder(visit: Visit) -> Response:
    number, path = visit.number(), visit.field("path").strip()
    if not path.startswith("/") and not path.startswith("["):
        raise UsageError("Give the absolute path of a folder outside the site, for example /var/www/media.")
    add_folder(visit.installation, number, path, visit.field("as").strip())
    visit.note("filters changed", f"profile {number}", folder=path, added=True)
    return visit.redirect(_back(visit), "The folder is in the backups from now on.")


def _remove_folder(visit: Visit) -> Response:
    remove_folder(visit.installation, visit.number(), visit.field("key"))
    visit.note("filters changed", f"profile {visit.number()}", folder=visit.field("key"), added=False)
    return visit.redirect(_back(visit), "The folder is no longer in the backups.")


def _count_again(visit: Visit) -> Response:
    profile = visit.installation.catalogue.profiles.get(visit.number())
    tree_sizes.sizes(tree_of(profile, _root(visit)), patience=_PATIENCE, anew=True)
    return visit.redirect(_back(visit))


def _back(visit: Visit) -> str:
    """Return the page that a form was on."""
    base = f"/profiles/{visit.number()}/filters"
    if visit.field("page_of") == "tables":
        return visit.to(f"{base}/tables", root=visit.field("of_root"), page=visit.field("page"))
    return visit.to(base, root=visit.field("of_root"), path=visit.field("path_of"), page=visit.field("page"))


def _root(visit: Visit) -> str:
    return unquoted(visit.field("root", SITE_ROOT))


def _crumbs(path: str) -> list[tuple[str, str]]:
    pieces = [piece for piece in path.split("/") if piece]
    return [(piece, "/".join(pieces[: number + 1])) for number, piece in enumerate(pieces)]


def _page_number(visit: Visit) -> int:
    text = visit.asked("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


ROUTES = (
    PageRoute("GET", "/profiles/{number:int}/filters", Role.VIEWER, _files),
    PageRoute("POST", "/profiles/{number:int}/filters", Role.ADMINISTRATOR, _set),
    PageRoute("GET", "/profiles/{number:int}/filters/tables", Role.VIEWER, _tables),
    PageRoute("POST", "/profiles/{number:int}/filters/expressions", Role.ADMINISTRATOR, _add_expression),
    PageRoute("POST", "/profiles/{number:int}/filters/folders", Role.ADMINISTRATOR, _add_folder),
    PageRoute("POST", "/profiles/{number:int}/filters/folders/remove", Role.ADMINISTRATOR, _remove_folder),
    PageRoute("POST", "/profiles/{number:int}/filters/count", Role.ADMINISTRATOR, _count_again),
)
