"""The server as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from backstay.jobs.installation import Installation
from backstay.server.access_log import AccessLog
from backstay.server.gate import Gate


def create_application(installation: Installation) -> Starlette:
    """Return the application that answers for one installation.

    Args:
        installation: opened by the caller, and closed by it after the server has ended.
    """
    return Starlette(routes=[Route("/{path:path}", Gate(installation))], middleware=[Middleware(AccessLog)])
