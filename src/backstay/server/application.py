"""The server as an ASGI application: a request's path is understood, its form of the API found, the answer sent."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route as PathRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from backstay.api.status import Status
from backstay.jobs.installation import Installation
from backstay.server import monitor, v2, v3
from backstay.server.access_log import AccessLog, note_route
from backstay.server.authentication import Authenticator
from backstay.server.browser import browser_page, openapi_response
from backstay.server.dispatch import UNEXPECTED, Dispatcher
from backstay.server.health import Readiness, alive
from backstay.server.metrics_page import MetricsPage
from backstay.server.pages import not_found, refused, route_not_found, start_page
from backstay.server.request import HttpRequest, RefusedRequestError, RequestReader
from backstay.server.request_counts import RequestCounts
from backstay.server.routes import Endpoint, Route, route_of
from backstay.server.v1 import VersionOne

_log = logging.getLogger(__name__)

_OPTIONS = ("", "com_akeebabackup", "com_akeeba")
"""Names of the component in the host application; a request for another one is not ours."""
_WORDPRESS_ACTION = "akeebabackup_api"
_OPEN_PAGES = (Endpoint.NOTHING, Endpoint.NO_ROUTE, Endpoint.ALIVE, Endpoint.READY)
"""Answered before anything of the request but its path is read."""


class Application:
    """Answers every request; an ASGI application.

    Args:
        installation: what the calls are about.
        counts: of the requests, for the metrics.
        pages: answers at paths that are none of the API's; None: nothing stands there.
    """

    def __init__(self, installation: Installation, counts: RequestCounts, pages: ASGIApp | None = None) -> None:
        self._pages = pages
        self._configuration = installation.configuration.server
        self._reader = RequestReader(
            maximum_head=self._configuration.maximum_head, maximum_body=self._configuration.maximum_body
        )
        self._authenticator = Authenticator(installation)
        self._dispatcher = Dispatcher(installation)
        self._version_one = VersionOne(self._configuration, self._authenticator, self._dispatcher)
        self._metrics = MetricsPage(installation, self._authenticator, counts)
        self._readiness = Readiness(installation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            route = route_of(scope["path"])
            note_route(route.endpoint.value)
            if self._pages is not None and _is_page(route, scope):
                # Streams of events are open for long: counted apart, they spoil no page's time.
                note_route("events" if scope["path"] == "/events" else "page")
                await self._pages(scope, receive, send)
                return
            if route.endpoint in _OPEN_PAGES:
                answer = await self._open_page(route)
            else:
                answer = await self._answer(route, await self._reader.read(scope, receive), scope)
        except RefusedRequestError as error:
            answer = refused(error.status, error.sentence)
        except Exception:  # noqa: BLE001 - the boundary of the process: a bug answers as the API does, and is logged
            _log.exception("A request failed in a way that nobody foresaw.")
            answer = v2.reply(Status.ERROR, UNEXPECTED)
        await answer(scope, receive, send)

    async def _open_page(self, route: Route) -> ASGIApp:
        match route.endpoint:
            case Endpoint.ALIVE:
                return alive()
            case Endpoint.READY:
                return await self._readiness.answer()
            case Endpoint.NO_ROUTE:
                return route_not_found()
            case _:
                return not_found()

    async def _answer(self, route: Route, request: HttpRequest, scope: Scope) -> ASGIApp:
        match route.endpoint:
            case Endpoint.VERSION_3:
                return await v3.answer(route.name, request, self._authenticator, self._dispatcher)
            case Endpoint.VERSION_2:
                return await v2.answer(request, self._authenticator, self._dispatcher)
            case Endpoint.MONITOR_JOOMLA | Endpoint.MONITOR_WORDPRESS:
                return await monitor.answer(route, request, scope["scheme"], self._authenticator, self._configuration)
            case Endpoint.OPENAPI | Endpoint.BROWSER:
                is_page = route.endpoint is Endpoint.BROWSER
                return browser_page() if is_page else openapi_response(route.base, self._configuration.api_level)
            case Endpoint.METRICS:
                return await self._metrics.answer(request)
            case _:
                return await self._classic(route, request)

    async def _classic(self, route: Route, request: HttpRequest) -> ASGIApp:
        """Answer where versions 1 and 2 share a path: ``json`` means version 1, ``method`` version 2 (clients.md)."""
        if not _is_ours(request):
            return not_found()
        if request.value("json") is not None:
            return await self._version_one.answer(request)
        view = (request.value("view") or "").lower()
        if request.value("method") is not None or view == "api":
            return await v2.answer(request, self._authenticator, self._dispatcher)
        if view == "json":
            return await self._version_one.answer(request)
        if request.verb not in ("GET", "HEAD", "POST"):
            return v2.wrong_verb(request.verb)
        is_start = route.endpoint is Endpoint.START and not route.base
        return start_page() if is_start else not_found()


def _is_page(route: Route, scope: Scope) -> bool:
    """Return whether a request is a browser's and not a client's: an address that the API leaves free."""
    if route.endpoint is Endpoint.START:
        return not route.base and not scope["query_string"] and scope["method"] in ("GET", "HEAD")
    return route.endpoint is Endpoint.NOTHING


def _is_ours(request: HttpRequest) -> bool:
    if (request.value("option") or "").lower() not in _OPTIONS:
        return False
    action = request.value("action")
    if request.path.endswith("/admin-ajax.php"):
        return action == _WORDPRESS_ACTION
    return True


def create_application(installation: Installation, pages: ASGIApp | None = None) -> Starlette:
    """Return the application that answers for one installation.

    Args:
        installation: opened by the caller, and closed by it after the server has ended.
        pages: answers browsers, at paths that are none of the API's; None: nothing does.
    """
    counts = RequestCounts()
    return Starlette(
        routes=[PathRoute("/{path:path}", Application(installation, counts, pages))],
        middleware=[Middleware(AccessLog, counts=counts)],
    )
