"""Moving a site here from another server: which server and which backup of it; the rest is a restore."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from backstay.errors import BackstayError
from backstay.jobs.restore_drafts import find_draft, keep_draft, look_into, new_draft, source_of_draft
from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_BACKUPS: Final = 50
_PATIENCE_SECONDS: Final = 20.0


def _form(visit: Visit) -> Response:
    return visit.page("restores/migrate.html", url="", problem="")


def _server(visit: Visit) -> Response:
    url, secret = visit.field("url").strip(), visit.field("secret").strip()
    try:
        found = _asked(url, secret)
    except BackstayError as error:
        return visit.page("restores/migrate.html", 400, url=url, problem=str(error))
    draft = new_draft(visit.who.id, {"url": url, "secret": secret})
    draft.held = look_into(visit.installation, source_of_draft(visit.installation, draft))
    draft.fields = {"place": "other"}
    keep_draft(visit.installation, draft)
    return visit.page("restores/migrate_backup.html", draft=draft, found=found, problem="")


def _chosen(visit: Visit) -> Response:
    draft = find_draft(visit.installation, str(visit.request.path_params["word"]), visit.who.id)
    kind, _, number = visit.field("what").partition(":")
    if kind not in ("profile", "backup") or not (number.isascii() and number.isdigit()):
        found = _asked(draft.source["url"], draft.source["secret"])
        problem = "Choose what the site is moved from."
        return visit.page("restores/migrate_backup.html", 400, draft=draft, found=found, problem=problem)
    draft.source = {name: draft.source[name] for name in ("url", "secret")} | {
        "profile" if kind == "profile" else "number": int(number),
        "delete_files": bool(visit.field("delete_files")),
    }
    keep_draft(visit.installation, draft)
    return visit.redirect(f"/restores/new/{draft.word}/change")


def _asked(url: str, secret: str) -> dict[str, Any]:
    """Return the profiles of a server, and its backups that could be moved.

    Raises:
        BackstayError: it does not answer, or refuses.
    """
    from backstay.client import Client

    with Client(url, secret, timeout=_PATIENCE_SECONDS) as client:
        profiles = client.get_profiles()
        backups = [one for one in client.list_backups(0, _BACKUPS) if one.meta == "ok"]
    return {"profiles": profiles, "backups": backups}


ROUTES = (
    PageRoute("GET", "/migrate", Role.ADMINISTRATOR, _form),
    PageRoute("POST", "/migrate", Role.ADMINISTRATOR, _server),
    PageRoute("POST", "/migrate/{word}", Role.ADMINISTRATOR, _chosen),
)
