"""The pages as an ASGI application: who asks is found out, allowed or refused, and answered by the page's handler."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import anyio
import anyio.to_thread
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from backstay.errors import BackstayError, ConfigurationError, NotFoundError, UsageError
from backstay.jobs.installation import Installation
from backstay.jobs.process_log import LOGGED_PATH
from backstay.jobs.users import Role, session_idle
from backstay.web.confirmation import confirm
from backstay.web.events import Streams
from backstay.web.guesses import Guesses
from backstay.web.pages import ROUTES
from backstay.web.rendering import html
from backstay.web.routes import PageRoute
from backstay.web.security import (
    FORGERY_FIELD,
    HEADERS,
    NOTICE_COOKIE,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    form_token,
    is_forged,
    set_cookie,
)
from backstay.web.tenancy import is_open
from backstay.web.visit import Visit

_log = logging.getLogger(__name__)

_THREADS = 20
"""Pages that may be worked on at once; further ones wait."""
_SIGN_IN_THREADS = 4
_VISITOR_SECONDS = 3600
MOST_FIELDS = 5000
NOTHING = "There is nothing at this address."


class _TooLargeError(Exception):
    """The body of a request is larger than is read."""


def create_pages(installation: Installation, routes: tuple[PageRoute, ...] = ROUTES) -> Pages:
    """Return the application that answers browsers.

    Args:
        installation: opened by the caller, and closed by it after the server has ended.
        routes: the table of pages.
    """
    return Pages(installation, routes)


class Pages:
    """Answers what a browser asks for; an ASGI application.

    Attributes:
        streams: of events, open now.
    """

    def __init__(self, installation: Installation, routes: tuple[PageRoute, ...]) -> None:
        self._installation = installation
        self._limiter = anyio.CapacityLimiter(_THREADS)
        self._sign_in_limiter = anyio.CapacityLimiter(_SIGN_IN_THREADS)
        self._guesses = Guesses()
        self.streams = Streams(installation)
        self._router = Router([Route(one.path, self._endpoint(one), methods=[one.verb]) for one in routes])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(message["headers"])
            await send(message)

        # Starlette raises what it does not find where an application stands around its router.
        scope["app"] = self
        try:
            await self._router(scope, self._bounded(receive), sending)
        except HTTPException as error:
            sentence = NOTHING if error.status_code == 404 else error.detail
            await _problem(error.status_code, sentence)(scope, receive, sending)
        except _TooLargeError:
            await _problem(413, "What was sent is too large: see server.maximum_body.")(scope, receive, sending)

    def end_streams(self) -> None:
        """End the streams of events: the server ends, and would wait for them. Called in its loop."""
        self.streams.end()

    def _bounded(self, receive: Receive) -> Receive:
        limit, count = self._installation.configuration.server.maximum_body, 0

        async def bounded() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > limit:
                raise _TooLargeError
            return message

        return bounded

    def _endpoint(self, route: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if "word" in request.path_params:
                request.scope[LOGGED_PATH] = route.path
            form = await request.form(max_fields=MOST_FIELDS) if route.verb == "POST" else FormData()
            try:
                # Who signs in takes no thread from those who have.
                limiter = self._limiter if route.needs is not None or route.verb == "GET" else self._sign_in_limiter
                response, delay = await anyio.to_thread.run_sync(self._answer, route, request, form, limiter=limiter)
                if delay:
                    # Here, where it holds no thread.
                    await anyio.sleep(delay)
                return response
            finally:
                await form.close()

        return answer

    def _answer(self, route: PageRoute, request: Request, form: FormData) -> tuple[Response, float]:
        visit, visitor = self._visit(request, form)
        try:
            response = _refusal(route, visit) or _answered(route, visit)
        except BackstayError as error:
            response = visit.page("problem.html", _status(error), sentence=str(error))
        except Exception:  # noqa: BLE001 - the boundary of the process: a bug is written to the log
            _log.exception("The page %s failed in a way that nobody foresaw.", route.path)
            response = visit.page("problem.html", 500, sentence="An unexpected error occurred: see the server's log.")
        if visitor:
            set_cookie(response, VISITOR_COOKIE, visitor, _VISITOR_SECONDS)
        return response, visit.delay

    def _visit(self, request: Request, form: FormData) -> tuple[Visit, str]:
        """Return what is known of a request, and the word of a new visitor."""
        catalogue, now = self._installation.catalogue, datetime.now(UTC)
        notice = unquote(request.cookies.get(NOTICE_COOKIE, ""))
        visit = Visit(self._installation, request, form=form, notice=notice, guesses=self._guesses)
        word = request.cookies.get(SESSION_COOKIE, "")
        session = catalogue.sessions.find(word, now, session_idle(self._installation)) if word else None
        user = catalogue.users.of_id(session.user_id) if session else None
        if user is not None and not user.disabled:
            visit.user, visit.session, visit.token = user, session, form_token(word)
            return visit, ""
        known = request.cookies.get(VISITOR_COOKIE, "")
        new = "" if known else secrets.token_urlsafe(32)
        visit.token = form_token(known or new)
        return visit, new


def _answered(route: PageRoute, visit: Visit) -> Response:
    """Return a page's answer; what it changed is written into the journal, where its handler did not do so."""
    response = route.handler(visit)
    if route.verb == "POST" and route.needs is not None and response.status_code < 400 and not visit.noted:
        visit.note(route.path.strip("/"), visit.request.url.path)
    return response


def _refusal(route: PageRoute, visit: Visit) -> Response | None:
    """Return why a request is not answered by its page; None: it is. The one place where access is decided."""
    if route.needs is not None:
        if visit.user is None:
            path = visit.request.url.path if route.verb == "GET" else "/"
            query = f"?{visit.request.url.query}" if route.verb == "GET" and visit.request.url.query else ""
            return visit.redirect("/sign-in" if path == "/" else f"/sign-in?next={quote(path + query, safe='')}")
        if not Role(visit.user.role).includes(route.needs):
            return visit.page("problem.html", 403, sentence=f"This needs the role {route.needs}: ask an administrator.")
        if not is_open(visit, route.bound):
            return visit.page("problem.html", 404, sentence=NOTHING)
    if route.verb == "POST" and is_forged(visit.request, visit.token, visit.field(FORGERY_FIELD)):
        return visit.page(
            "problem.html",
            403,
            sentence="This form did not come from a page that is open in this browser, or it is too old, or the "
            "browser keeps no cookies of a page without HTTPS: open the page anew and try again.",
        )
    return confirm(visit) if route.confirmed else None


def _status(error: BackstayError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, UsageError | ConfigurationError) else 500


def _problem(status: int, sentence: str) -> Response:
    return html("bare_problem.html", {"sentence": sentence}, status)


def _with_headers(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with those that keep it safe, where it does not say otherwise itself."""
    there = {name.lower() for name, _value in given}
    return [
        *given,
        *((n.lower().encode(), v.encode()) for n, v in HEADERS.items() if n.lower().encode() not in there),
    ]
