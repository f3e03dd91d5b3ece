"""Version 3 of the API: the method in the path, credentials in headers only (api-v3.md)."""

from __future__ import annotations

from starlette.types import ASGIApp

from backstay.server.authentication import Credentials, Doorkeeper
from backstay.server.dispatch import Dispatcher, Request
from backstay.server.incoming import Incoming
from backstay.server.v2 import call, is_download, not_identified, wrong_verb


async def answer(name: str, incoming: Incoming, doorkeeper: Doorkeeper, dispatcher: Dispatcher) -> ASGIApp:
    """Return the answer to a request of version 3.

    Args:
        name: of the method, from the path.
        incoming: the request.
        doorkeeper: tells who asks.
        dispatcher: answers.
    """
    if incoming.verb not in ("GET", "POST") and not (incoming.verb == "HEAD" and is_download(name)):
        return wrong_verb(incoming.verb)
    identity = await doorkeeper.identify(Credentials.of_headers(incoming.headers), incoming.address)
    if identity is None:
        return not_identified(name)
    return await call(incoming.pairs, dispatcher, Request(3, name, {}, identity))
