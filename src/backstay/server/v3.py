"""Version 3 of the API: the method in the path, credentials in headers only (api-v3.md)."""

from __future__ import annotations

from starlette.types import ASGIApp

from backstay.server.authentication import Authenticator, Credentials
from backstay.server.dispatch import Dispatcher, MethodRequest
from backstay.server.request import HttpRequest
from backstay.server.v2 import call, is_download, not_identified, wrong_verb


async def answer(name: str, request: HttpRequest, authenticator: Authenticator, dispatcher: Dispatcher) -> ASGIApp:
    """Return the answer to a request of version 3.

    Args:
        name: of the method, from the path.
        request: the request.
        authenticator: finds out who asks.
        dispatcher: answers.
    """
    if request.verb not in ("GET", "POST") and not (request.verb == "HEAD" and is_download(name)):
        return wrong_verb(request.verb)
    identity = await authenticator.identify(Credentials.of_headers(request.headers), request.address)
    if identity is None:
        return not_identified(name)
    return await call(request.pairs, dispatcher, MethodRequest(3, name, {}, identity))
