"""Tokens and the secret word of the API, and what is set for the server itself."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

from starlette.responses import Response

from backstay.api.methods import Scope
from backstay.errors import BackstayError, UsageError
from backstay.jobs.configuration import configuration_facts
from backstay.jobs.environment import SECRET_VARIABLE
from backstay.jobs.installation import api_secret, set_secret
from backstay.jobs.tokens import create_token
from backstay.jobs.users import Role
from backstay.queue.members import living
from backstay.version import __version__
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _show(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, status: int = 200, *, problem: str = "") -> Response:
    installation = visit.installation
    places = {"Backstay's own folder": installation.home.path, "Archives": installation.home.archives}
    disks: list[tuple[str, str, tuple[int, int, int] | None]] = []
    for label, place in places.items():
        try:
            disks.append((label, str(place), shutil.disk_usage(place)))
        except OSError:
            disks.append((label, str(place), None))
    figures = installation.catalogue.figures.waiting()
    return visit.page(
        "settings/server.html", status,
        problem=problem, tokens=installation.catalogue.tokens.all(), scopes=list(Scope), now=datetime.now(UTC),
        groups={group.id: group.name for group in installation.catalogue.groups.all()},
        facts=configuration_facts(installation.home.configuration, installation.configuration),
        version=__version__, workers=living(installation), disks=disks, figures=figures,
        file=str(installation.home.configuration),
    )  # fmt: skip


def _create_token(visit: Visit) -> Response:
    name = visit.field("name").strip()
    known = {str(one): one for one in Scope}
    scopes = [known[one] for one in visit.fields("scope") if one in known]
    try:
        expires, groups = visit.field("expires").strip(), visit.fields("group")
        token = create_token(visit.installation, name, scopes, datetime.now(UTC), expires, groups)
    except BackstayError as error:
        return _page(visit, 400, problem=str(error))
    visit.note(
        "token made", f"token {name}", scopes=", ".join(str(one) for one in scopes) or "read", groups=", ".join(groups)
    )
    return _once(visit, f"The token {name}", token, "It opens the API: keep it now, it is not shown again.")


def _revoke(visit: Visit) -> Response:
    name = visit.field("name")
    visit.installation.catalogue.tokens.revoke(name)
    visit.note("token revoked", f"token {name}")
    return visit.redirect("/settings", f"The token {name} is revoked.")


def _show_secret(visit: Visit) -> Response:
    visit.note("secret word shown", "secret word")
    return _once(visit, "The secret word of the API", api_secret(visit.installation), "It opens the whole API.")


def _rotate_secret(visit: Visit) -> Response:
    if os.environ.get(SECRET_VARIABLE):
        raise UsageError(f"{SECRET_VARIABLE} is set and counts more: change the secret word there.")
    new = set_secret(visit.installation)
    visit.note("secret word replaced", "secret word")
    return _once(visit, "The new secret word of the API", new, "The old one is worth nothing any more.")


def _once(visit: Visit, what: str, secret: str, about: str) -> Response:
    return visit.page("settings/shown_once.html", what=what, secret=secret, about=about, back="/settings")


ROUTES = (
    PageRoute("GET", "/settings", Role.ADMINISTRATOR, _show),
    PageRoute("POST", "/settings/tokens", Role.ADMINISTRATOR, _create_token, confirmed=True),
    PageRoute("POST", "/settings/tokens/revoke", Role.ADMINISTRATOR, _revoke, confirmed=True),
    PageRoute("POST", "/settings/secret", Role.ADMINISTRATOR, _show_secret, confirmed=True),
    PageRoute("POST", "/settings/secret/rotate", Role.ADMINISTRATOR, _rotate_secret, confirmed=True),
)
