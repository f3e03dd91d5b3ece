"""The documents in which a site monitor finds the API (clients.md, the monitor)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from backstay.api.methods import Scope
from backstay.api.status import ACCESS_DENIED, NOT_ALLOWED
from backstay.jobs.server_configuration import ServerConfiguration
from backstay.server.authentication import API_SCOPES, Authenticator, Credentials, Identity
from backstay.server.request import HttpRequest
from backstay.server.routes import Endpoint, Route
from backstay.version import __version__

_GENERATION = "3"
"""Which generation of the vendor's software this one is like, for the monitor: one with version 2 of the API."""
_JOOMLA_TYPE = "application/vnd.api+json"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def answer(
    route: Route, request: HttpRequest, scheme: str, authenticator: Authenticator, configuration: ServerConfiguration
) -> Response:
    """Return the document, to who may read it.

    Whoever holds every privilege gets the secret word. Others get their own token in its place: version 2
    takes it, and it opens no more than it did.

    Args:
        route: which of the two forms.
        request: the request.
        scheme: http or https.
        authenticator: finds out who asks.
        configuration: holds the address of the server, where one is set.
    """
    if request.verb not in ("GET", "HEAD"):
        return _refusal(405, "Method Not Allowed")
    offered = Credentials.of_headers(request.headers)
    identity = await authenticator.identify(offered, request.address)
    if identity is None:
        return _refusal(401, ACCESS_DENIED)
    if Scope.READ not in identity.scopes:
        return _refusal(403, NOT_ALLOWED)
    secret = _secret_for(identity, offered, authenticator)
    base = configuration.public_url.rstrip("/") or f"{scheme}://{request.headers.get('host', 'localhost')}{route.base}"
    is_joomla = route.endpoint is Endpoint.MONITOR_JOOMLA
    document = _document(secret, base, is_joomla=is_joomla, has_version_1=secret == authenticator.secret())
    if not is_joomla:
        return JSONResponse(document, headers=_HEADERS)
    wrapped = {"data": {"type": "akeebabackup", "id": "0", "attributes": document}}
    return JSONResponse(wrapped, headers=_HEADERS, media_type=_JOOMLA_TYPE)


def _secret_for(identity: Identity, offered: Credentials, authenticator: Authenticator) -> str:
    secret = authenticator.secret()
    if identity.scopes >= API_SCOPES and identity.groups is None and secret is not None:
        return secret
    return offered.token or ""


def _document(secret: str, base: str, *, is_joomla: bool, has_version_1: bool) -> dict[str, Any]:
    if is_joomla:
        version_2 = [f"{base}/index.php?option=com_akeebabackup&view=api&format=raw"]
        version_1 = [f"{base}/index.php?option=com_akeeba&view=json&format=raw"]
    else:
        version_2 = [f"{base}/wp-admin/admin-ajax.php?action=akeebabackup_api"]
        version_1 = [f"{base}/wp-content/plugins/akeebabackupwp/app/index.php?option=com_akeeba&view=json&format=raw"]
    return {
        "installed": True,
        "version": __version__,
        "api": _GENERATION,
        "secret": secret,
        "endpoints": {"v2": version_2, "v1": version_1 if has_version_1 else []},
    }


def _refusal(status: int, title: str) -> Response:
    return JSONResponse({"errors": [{"title": title, "code": status}]}, status, headers=_HEADERS)
