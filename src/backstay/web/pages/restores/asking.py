"""What of a backup comes back, and where: the form that ends in a plan."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.responses import Response

from backstay.errors import ArchiveError, BackstayError, NotFoundError, UsageError
from backstay.jobs.records import get_backup
from backstay.jobs.restore_drafts import (
    RestoreDraft,
    find_draft,
    keep_draft,
    look_into,
    new_draft,
    source_of_draft,
)
from backstay.jobs.restore_sources import RestoreSource
from backstay.jobs.stored_backups import stored_copies
from backstay.jobs.users import Role
from backstay.web.pages.files.picking import OPEN, Picked, pick
from backstay.web.pages.restores.fields import Filled, Sentences, defaults, options_of, read_form, tested
from backstay.web.rendering import unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def draft_of(visit: Visit) -> RestoreDraft:
    """Return the draft that a path names, if it is of who asks."""
    return find_draft(visit.installation, str(visit.request.path_params["word"]), visit.who.id)


def _of_backup(visit: Visit) -> Response:
    """Show the form for a backup; nothing is kept before it is sent."""
    draft = new_draft(visit.who.id, {"backup": get_backup(visit.installation, visit.number()).id})
    draft.fields = {"storage": visit.asked("storage")}
    if paths := [unquoted(one) for one in visit.request.query_params.getlist("path")]:
        draft.fields |= {"what": "some-files", "picked": paths, "strategy": "merge"}
    if tables := visit.request.query_params.getlist("table"):
        draft.fields |= {"what": "some-tables", "picked_tables": tables}
    return _form(visit, draft, f"/backups/{visit.number()}/restore")


def _plan_of_backup(visit: Visit) -> Response:
    draft = new_draft(visit.who.id, {"backup": get_backup(visit.installation, visit.number()).id})
    return _take(visit, draft)


def _change(visit: Visit) -> Response:
    draft = draft_of(visit)
    return _form(visit, draft, f"/restores/new/{draft.word}/change")


def _changed(visit: Visit) -> Response:
    return _take(visit, draft_of(visit))


def _archive_form(visit: Visit) -> Response:
    return visit.page("restores/archive.html", path="", problem="")


def _archive(visit: Visit) -> Response:
    path = visit.field("path").strip()
    draft = new_draft(visit.who.id, {"archive": str(Path(path).absolute())})
    draft.fields = {"password": visit.field("password")}
    try:
        if not path.startswith("/"):
            raise UsageError("Give the whole path of the archive's main file, from / on.")
        source = source_of_draft(visit.installation, draft)
        draft.held = look_into(visit.installation, source)
    except (BackstayError, OSError) as error:
        return visit.page("restores/archive.html", 400, path=path, problem=str(error))
    keep_draft(visit.installation, draft)
    return visit.redirect(f"/restores/new/{draft.word}/change")


def _take(visit: Visit, draft: RestoreDraft) -> Response:
    """Keep what was filled in; show the form again where something is wrong or tested, else lead to the plan."""
    first = read_form(visit, draft)
    reads_anew = not draft.held or any(first[name] != draft.fields.get(name, "") for name in ("storage", "password"))
    draft.fields |= {"storage": first["storage"], "password": first["password"]}
    source, problem = _looked(visit, draft, reads_anew=reads_anew)
    draft.fields = read_form(visit, draft)
    keep_draft(visit.installation, draft)
    again = f"/restores/new/{draft.word}/change"
    if source is None:
        return _form(visit, draft, again, problems={"password": problem})
    if (number := visit.field("test")).isdigit() and int(number) < len(draft.held["dumps"]):
        answers, said = tested(draft, int(number), source)
        where = {f"db{number}": said}
        return _form(visit, draft, again, notes=where) if answers else _form(visit, draft, again, problems=where)
    if visit.field("again") or visit.field(OPEN):
        return _form(visit, draft, again)
    _options, problems = options_of(draft, source)
    if problems:
        return _form(visit, draft, again, problems=problems)
    return visit.redirect(f"/restores/new/{draft.word}")


def _looked(visit: Visit, draft: RestoreDraft, *, reads_anew: bool) -> tuple[RestoreSource | None, str]:
    """Return the archive of a draft, once it is known what is in it; else why it is not."""
    try:
        source = source_of_draft(visit.installation, draft)
        if reads_anew:
            draft.held = look_into(visit.installation, source)
    except NotFoundError:
        raise
    except (ArchiveError, UsageError, OSError) as error:
        return None, str(error)
    return source, ""


def _form(
    visit: Visit,
    draft: RestoreDraft,
    action: str,
    *,
    problems: dict[str, str] | None = None,
    notes: dict[str, str] | None = None,
) -> Response:
    source, problem = _looked(visit, draft, reads_anew=not draft.held)
    if source is None:
        draft.held, source = {}, RestoreSource(Path("-"))
        problems = {"password": problem, **(problems or {})}
    values = defaults(draft, source)
    filled = Filled(values, Sentences(problems or {}), Sentences(notes or {}))
    return visit.page(
        "restores/form.html",
        400 if problems else 200,
        draft=draft,
        action=action,
        filled=filled,
        held=draft.held,
        picked=_picked(visit, draft, tuple(values["picked"])),
        source=source,
        title=title_of(visit, draft),
        storages=_storages(visit, draft),
        own_database=_own_database(source),
    )


def title_of(visit: Visit, draft: RestoreDraft) -> dict[str, Any]:
    """Return what a draft is about, for the heads of pages: ``text``, and where that is told: ``path``."""
    number = draft.source.get("backup")
    if number is not None:
        backup = get_backup(visit.installation, number)
        return {"text": f"Backup {number}", "path": f"/backups/{number}", "when": backup.backupstart}
    text = draft.source.get("archive") or draft.source["url"]
    return {"text": text, "path": "", "when": None}


def _picked(visit: Visit, draft: RestoreDraft, chosen: tuple[str, ...]) -> Picked | None:
    """Return what is chosen of a backup's files, and a folder to choose from; None where that cannot be looked into."""
    if "backup" not in draft.source or not draft.held:
        return None
    visit.request.path_params["number"] = draft.source["backup"]
    try:
        return replace(pick(visit, draft.fields.get("storage", "")), chosen=chosen)
    except BackstayError:
        # The archive may need a password that was typed for this restore alone.
        return None


def _storages(visit: Visit, draft: RestoreDraft) -> list[str]:
    number = draft.source.get("backup")
    return [copy.destination for copy in stored_copies(visit.installation, number)] if number is not None else []


def _own_database(source: RestoreSource) -> str:
    from backstay.databases import DatabaseAddress

    with suppress(UsageError):
        return DatabaseAddress.parse(source.database).redacted() if source.database else ""
    return ""


ROUTES = (
    PageRoute("GET", "/backups/{number:int}/restore", Role.ADMINISTRATOR, _of_backup),
    PageRoute("POST", "/backups/{number:int}/restore", Role.ADMINISTRATOR, _plan_of_backup),
    PageRoute("GET", "/restores/new/{word}/change", Role.ADMINISTRATOR, _change),
    PageRoute("POST", "/restores/new/{word}/change", Role.ADMINISTRATOR, _changed),
    PageRoute("GET", "/restores/archive", Role.ADMINISTRATOR, _archive_form),
    PageRoute("POST", "/restores/archive", Role.ADMINISTRATOR, _archive),
)
