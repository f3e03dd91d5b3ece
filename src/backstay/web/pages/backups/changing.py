"""What can be done with a backup that was taken: described, protected, verified, copied, deleted."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from backstay.errors import UsageError
from backstay.jobs.records import delete_backup, delete_backup_files, describe_backup, freeze_backup, get_backup
from backstay.jobs.tasks import begin_task
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _describe(visit: Visit) -> Response:
    number = visit.number()
    describe_backup(
        visit.installation, number, description=visit.field("description").strip(), comment=visit.field("comment")
    )
    visit.note("backup described", f"backup {number}")
    return visit.redirect(f"/backups/{number}", "The description is saved.")


def _freeze(visit: Visit) -> Response:
    number, frozen = visit.number(), visit.field("frozen") == "yes"
    freeze_backup(visit.installation, number, frozen=frozen)
    visit.note("backup protected" if frozen else "protection ended", f"backup {number}")
    notice = "It is protected: neither retention nor a person deletes it." if frozen else "It is protected no more."
    return visit.redirect(f"/backups/{number}", notice)


def _verify(visit: Visit) -> Response:
    place = visit.field("storage")
    where = f" at {place}" if place else ""
    return _begun(visit, "verify", f"Verify backup {visit.number()}{where}", {"storage": place, **_password(visit)})


def _copy(visit: Visit) -> Response:
    place = visit.field("storage")
    visit.installation.catalogue.destinations.get(place)
    return _begun(visit, "copy", f"Copy backup {visit.number()} to {place}", {"storage": place})


def _ask_deletion(visit: Visit) -> Response:
    backup = get_backup(visit.installation, visit.number())
    copies = [one.destination for one in visit.installation.catalogue.copies.of(backup.id) if one.state != "failed"]
    return visit.page("backups/delete.html", backup=backup, copies=copies)


def _delete(visit: Visit) -> Response:
    number, what = visit.number(), visit.field("what")
    backup = get_backup(visit.installation, number)
    if what not in ("files", "record", "everywhere"):
        raise UsageError("Choose what is to be deleted.")
    if backup.frozen:
        raise UsageError(f"Backup {number} is protected: end that first.")
    if what == "everywhere":
        # Storages may be slow: it is done in the background.
        return _begun(visit, "delete", f"Delete backup {number} everywhere", {})
    visit.note("backup deleted" if what == "record" else "files deleted", f"backup {number}")
    if what == "files":
        delete_backup_files(visit.installation, number)
        return visit.redirect(f"/backups/{number}", "The files on this machine are deleted.")
    delete_backup(visit.installation, number)
    return visit.redirect("/backups", f"Backup {number} is deleted.")


def _password(visit: Visit) -> dict[str, str]:
    given = visit.field("password")
    return {"password": given} if given else {}


def _begun(visit: Visit, kind: str, title: str, arguments: dict[str, Any]) -> Response:
    backup = get_backup(visit.installation, visit.number())
    task = begin_task(
        visit.installation,
        kind,
        title,
        arguments,
        started_by=visit.who.name,
        profile_id=backup.profile_id,
        backup_id=backup.id,
    )
    visit.note(f"{kind} begun", f"backup {backup.id}", task=task.id)
    return visit.redirect(f"/tasks/{task.id}")


ROUTES = (
    PageRoute("POST", "/backups/{number:int}/describe", Role.OPERATOR, _describe, bound="backup"),
    PageRoute("POST", "/backups/{number:int}/freeze", Role.OPERATOR, _freeze, bound="backup"),
    PageRoute("POST", "/backups/{number:int}/verify", Role.OPERATOR, _verify, bound="backup"),
    PageRoute("POST", "/backups/{number:int}/copy", Role.OPERATOR, _copy),
    PageRoute("GET", "/backups/{number:int}/delete", Role.ADMINISTRATOR, _ask_deletion),
    PageRoute("POST", "/backups/{number:int}/delete", Role.ADMINISTRATOR, _delete, confirmed=True),
)
