"""Taking a backup now, stopping it, and letting it go on."""

from __future__ import annotations

import logging
from threading import Thread
from typing import Final

from starlette.responses import Response

from backstay.errors import BackstayError, NotFoundError
from backstay.jobs.backup import begin_backup, pause_backup, resume_backup
from backstay.jobs.installation import Installation
from backstay.jobs.records import LONGEST_TEXT, get_backup
from backstay.jobs.tenants import names_of_profiles
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.tenancy import sees
from backstay.web.visit import Visit

_CHOICES: Final = 200

_log = logging.getLogger(__name__)


def _form(visit: Visit, problem: str = "", status: int = 200) -> Response:
    given = visit.field("profile") or visit.asked("profile")
    names = names_of_profiles(visit.installation, visit.groups, _CHOICES)
    chosen = _chosen(visit, given)
    return visit.page(
        "backups/new.html",
        status,
        names=names if chosen is None else [],
        chosen=chosen,
        given=given,
        description=visit.field("description"),
        comment=visit.field("comment"),
        problem=problem,
    )


def _chosen(visit: Visit, given: str) -> tuple[int, str] | None:
    """Return number and name of the profile that is given, where there is one and who asks sees it."""
    if not _is_number(given) or not sees(visit, "profile", int(given)):
        return None
    return next(iter(visit.installation.catalogue.profiles.names_of([int(given)]).items()), None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _begin(visit: Visit) -> Response:
    given = visit.field("profile").strip()
    try:
        if not _is_number(given):
            raise NotFoundError("A profile is named by its number: see them on the page Profiles.")
        if not sees(visit, "profile", int(given)):
            raise NotFoundError(f"There is no backup profile {given}: see them on the page Profiles.")
        backup = begin_backup(
            visit.installation,
            profile_id=int(given),
            description=visit.field("description").strip()[:LONGEST_TEXT],
            comment=visit.field("comment").strip()[:LONGEST_TEXT],
        )
    except BackstayError as error:
        return _form(visit, str(error), 400)
    visit.note("backup begun", f"backup {backup.id}", profile=backup.profile_id)
    return visit.redirect(f"/backups/{backup.id}")


def _stop(visit: Visit) -> Response:
    backup = get_backup(visit.installation, visit.number())
    # It takes a while until the backup is at a place where it can go on later.
    Thread(target=_paused, args=(visit.installation, backup.id), daemon=True).start()
    visit.note("backup stopped", f"backup {backup.id}")
    return visit.redirect(f"/backups/{backup.id}", "The backup stops at its next safe place, and can go on from there.")


def _paused(installation: Installation, backup_id: int) -> None:
    try:
        pause_backup(installation, backup_id)
    except BackstayError as error:
        _log.error("Backup %d could not be stopped: %s", backup_id, error)


def _resume(visit: Visit) -> Response:
    resume_backup(visit.installation, visit.number())
    visit.note("backup resumed", f"backup {visit.number()}")
    return visit.redirect(f"/backups/{visit.number()}")


ROUTES = (
    PageRoute("GET", "/backups/new", Role.OPERATOR, _form, bound="narrowed"),
    PageRoute("POST", "/backups/new", Role.OPERATOR, _begin, bound="narrowed"),
    PageRoute("POST", "/backups/{number:int}/stop", Role.OPERATOR, _stop, bound="backup"),
    PageRoute("POST", "/backups/{number:int}/resume", Role.OPERATOR, _resume, bound="backup"),
)
