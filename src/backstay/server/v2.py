"""Version 2 of the API: parameters in URL and form, the secret in a header or a parameter (encapsulation page, 10)."""

from __future__ import annotations

import re

from starlette.responses import Response
from starlette.types import ASGIApp

from backstay.api.status import ACCESS_DENIED, ApiError, Status
from backstay.api.wire import ROUTING_PARAMETERS, decode_parameters, encode_reply, reply_value
from backstay.downloads.local_parts import refusal
from backstay.server.authentication import Authenticator, Credentials
from backstay.server.dispatch import DOWNLOAD_DIRECT, Dispatcher, MethodRequest
from backstay.server.request import HttpRequest, Pairs

SECRET_PARAMETER = "_akeebaAuth"  # noqa: S105 - the name of the parameter, not a secret
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9._-]")

REPLY_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store, no-cache, must-revalidate, max-age=0",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
}


def reply(status: int, data: object) -> Response:
    """Return a reply of version 2 or 3; its status stands inside, HTTP's is 200 (clients.md, replies)."""
    return Response(encode_reply(status, data), headers=REPLY_HEADERS)


def wrong_verb(verb: str) -> Response:
    """Return the answer to a verb that the API does not know."""
    return reply(Status.UNKNOWN_METHOD, f"Invalid HTTP method {verb}")


def credentials(request: HttpRequest) -> Credentials:
    """Return what a request of version 2 carries: the header counts, then URL, then form."""
    offered = Credentials.of_headers(request.headers)
    if offered.secret is not None:
        return offered
    for pairs in (request.query, request.form):
        for name, value in reversed(pairs):
            if name == SECRET_PARAMETER and value:
                return Credentials(value.encode("utf-8", "surrogateescape"))
    return offered


async def answer(request: HttpRequest, authenticator: Authenticator, dispatcher: Dispatcher) -> ASGIApp:
    """Return the answer to a request of version 2."""
    name = _NOT_OF_A_NAME.sub("", request.value("method") or "")
    if not _verb_fits(request.verb, name):
        return wrong_verb(request.verb)
    identity = await authenticator.identify(credentials(request), request.address, token_as_secret=True)
    if identity is None:
        return not_identified(name)
    return await call(request.pairs, dispatcher, MethodRequest(2, name, {}, identity))


async def call(pairs: Pairs, dispatcher: Dispatcher, request: MethodRequest) -> ASGIApp:
    """Return the answer to a call of version 2 or 3 whose sender is known.

    Args:
        pairs: parameters as they came; those that only say where the request goes are left out.
        dispatcher: answers it.
        request: the call, without its parameters.
    """
    try:
        data = decode_parameters(pair for pair in pairs if pair[0].lower() not in ROUTING_PARAMETERS)
        found = await dispatcher.answer(MethodRequest(request.version, request.name, data, request.identity), _encode)
    except ApiError as error:
        if is_download(request.name):
            return refused_download(error)
        return reply(error.status, error.message)
    return found.response(REPLY_HEADERS)


def _encode(value: object) -> bytes:
    return encode_reply(Status.OK, reply_value(value, version=2))


def is_download(name: str) -> bool:
    """Whether a method, as sent, is the one that answers with a file."""
    return name.lower() == DOWNLOAD_DIRECT.lower()


def refused_download(error: ApiError) -> Response:
    """Return the answer to a download that fails: HTTP's own status and a sentence (clients.md, replies)."""
    http_status = error.status if error.status in (Status.NOT_ALLOWED, Status.NOT_FOUND) else Status.ERROR
    return refusal(http_status, error.message)


def not_identified(name: str) -> Response:
    """Return the answer to a request whose sender is not known.

    A download is refused by HTTP's own status: a program that saves what comes would take a reply for the archive.

    Args:
        name: of the method.
    """
    if is_download(name):
        return refused_download(ApiError(Status.NOT_ALLOWED, ACCESS_DENIED))
    return reply(Status.ACCESS_DENIED, ACCESS_DENIED)


def _verb_fits(verb: str, name: str) -> bool:
    """GET and POST call anything; HEAD asks about a file, and must not start a backup."""
    return verb in ("GET", "POST") or (verb == "HEAD" and is_download(name))
