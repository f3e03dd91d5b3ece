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
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_CHOICES: Final = 200

_log = logging.getLogger(__name__)


def _form(visit: Visit, problem: str = "", status: int = 200) -> Response:
    given = visit.field("profile") or visit.asked("profile")
    names = visit.installation.catalogue.profiles.names()
    chosen = next((one for one in names if str(one[0]) == given), None)
    return visit.page(
        "backups/new.html",
        status,
        names=names if chosen is None and len(names) <= _CHOICES else [],
        chosen=chosen,
        given=given,
        description=visit.field("description"),
        comment=visit.field("comment"),
        problem=problem,
    )


def _begin(visit: Visit) -> Response:
    given = visit.field("profile").strip()
    try:
        if not (given.isascii() and given.isdigit() and len(given) < 19):
            raise NotFoundError("A profile is named by its number: see them on the page Profiles.")
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
    PageRoute("GET", "/backups/new", Role.OPERATOR, _form),
    PageRoute("POST", "/backups/new", Role.OPERATOR, _begin),
    PageRoute("POST", "/backups/{number:int}/stop", Role.OPERATOR, _stop),
    PageRoute("POST", "/backups/{number:int}/resume", Role.OPERATOR, _resume),
)
