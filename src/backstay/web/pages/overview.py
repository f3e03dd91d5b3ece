"""The first page: what is protected, what is not, and since when."""

from __future__ import annotations

from starlette.responses import Response

from backstay.jobs.users import Role
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit


def _overview(visit: Visit) -> Response:
    return visit.page("overview.html", profiles=visit.installation.catalogue.profiles.names())


ROUTES = (PageRoute("GET", "/", Role.VIEWER, _overview),)
