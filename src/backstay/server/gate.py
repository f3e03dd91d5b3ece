"""Every request comes in here: its path is understood, its form of the API found, and the answer sent."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from backstay.api.status import Status
from backstay.jobs.installation import Installation
from backstay.server import monitor, v2, v3
from backstay.server.authentication import Doorkeeper
from backstay.server.browser import browser_page, openapi_response
from backstay.server.dispatch import UNEXPECTED, Dispatcher
from backstay.server.incoming import Incoming, RefusedRequestError, RequestReader
from backstay.server.pages import not_found, refused, route_not_found, start_page
from backstay.server.routes import Door, Route, route_of
from backstay.server.v1 import VersionOne

_log = logging.getLogger(__name__)

_OPTIONS = ("", "com_akeebabackup", "com_akeeba")
"""Names of the component in the host application; a request for another one is not ours."""
_WORDPRESS_ACTION = "akeebabackup_api"


class Gate:
    """Answers every request; an ASGI application.

    Args:
        installation: what the calls are about.
    """

    def __init__(self, installation: Installation) -> None:
        self._configuration = installation.configuration.server
        self._reader = RequestReader(
            maximum_head=self._configuration.maximum_head, maximum_body=self._configuration.maximum_body
        )
        self._doorkeeper = Doorkeeper(installation)
        self._dispatcher = Dispatcher(installation)
        self._version_one = VersionOne(self._configuration, self._doorkeeper, self._dispatcher)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            route = route_of(scope["path"])
            if route.door in (Door.NOTHING, Door.NO_ROUTE):
                answer: ASGIApp = not_found() if route.door is Door.NOTHING else route_not_found()
            else:
                answer = await self._answer(route, await self._reader.read(scope, receive), scope)
        except RefusedRequestError as error:
            answer = refused(error.status, error.sentence)
        except Exception:  # noqa: BLE001 - the boundary of the process: a bug answers as the API does, and is logged
            _log.exception("A request failed in a way that nobody foresaw.")
            answer = v2.reply(Status.ERROR, UNEXPECTED)
        await answer(scope, receive, send)

    async def _answer(self, route: Route, incoming: Incoming, scope: Scope) -> ASGIApp:
        match route.door:
            case Door.VERSION_3:
                return await v3.answer(route.name, incoming, self._doorkeeper, self._dispatcher)
            case Door.VERSION_2:
                return await v2.answer(incoming, self._doorkeeper, self._dispatcher)
            case Door.MONITOR_JOOMLA | Door.MONITOR_WORDPRESS:
                return await monitor.answer(route, incoming, scope["scheme"], self._doorkeeper, self._configuration)
            case Door.OPENAPI:
                return openapi_response(route.base, self._configuration.api_level)
            case Door.BROWSER:
                return browser_page()
            case _:
                return await self._classic(route, incoming)

    async def _classic(self, route: Route, incoming: Incoming) -> ASGIApp:
        """Answer where versions 1 and 2 share a path: ``json`` means version 1, ``method`` version 2 (clients.md)."""
        if not _is_ours(incoming):
            return not_found()
        if incoming.value("json") is not None:
            return await self._version_one.answer(incoming)
        view = (incoming.value("view") or "").lower()
        if incoming.value("method") is not None or view == "api":
            return await v2.answer(incoming, self._doorkeeper, self._dispatcher)
        if view == "json":
            return await self._version_one.answer(incoming)
        if incoming.verb not in ("GET", "HEAD", "POST"):
            return v2.wrong_verb(incoming.verb)
        is_start = route.door is Door.START and not route.base
        return start_page() if is_start else not_found()


def _is_ours(incoming: Incoming) -> bool:
    if (incoming.value("option") or "").lower() not in _OPTIONS:
        return False
    action = incoming.value("action")
    if incoming.path.endswith("/admin-ajax.php"):
        return action == _WORDPRESS_ACTION
    return True
