"""Version 1 of the API: one parameter ``json`` that holds the whole call, replies between ``###`` marks."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from starlette.responses import Response
from starlette.types import ASGIApp

from backstay.api.envelope import EnvelopeRequest, read_request, write_error, write_reply
from backstay.api.methods import Scope, find_method
from backstay.api.status import ACCESS_DENIED, AUTHENTICATION_FAILED, ApiError, Status
from backstay.api.wire import reply_value
from backstay.jobs.server_configuration import ServerConfiguration
from backstay.server.authentication import Authenticator, Identity
from backstay.server.dispatch import Dispatcher, MethodRequest
from backstay.server.request import HttpRequest
from backstay.server.v2 import is_download, refused_download

_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store, no-cache, must-revalidate, max-age=0",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
_MOST_SALTS = 100_000


class Salts:
    """The salts that were used, the newest of them; kept as short digests, so that memory is bounded."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, salt: str) -> bool:
        """Note a salt; return whether it was not used before."""
        digest = hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = digest in self._seen
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > _MOST_SALTS:
            self._seen.popitem(last=False)
        return not known


class VersionOne:
    """Answers requests of version 1.

    Args:
        configuration: which encapsulations are answered, and whether salts may come again.
        authenticator: knows the secret.
        dispatcher: answers calls.
    """

    def __init__(
        self, configuration: ServerConfiguration, authenticator: Authenticator, dispatcher: Dispatcher
    ) -> None:
        self._configuration = configuration
        self._authenticator = authenticator
        self._dispatcher = dispatcher
        self._salts = Salts()

    async def answer(self, request: HttpRequest) -> ASGIApp:
        """Return the answer to a request; the checks come in the documented order (encapsulation page, 6)."""
        if request.verb not in ("GET", "POST", "HEAD"):
            return _error(ApiError(Status.UNKNOWN_METHOD, f"Invalid HTTP method {request.verb}"))
        secret = self._authenticator.secret()
        if secret is None:
            return _error(ApiError(Status.ACCESS_DENIED, ACCESS_DENIED))
        try:
            envelope = await self._read(request, secret)
        except ApiError as error:
            return _error(error)
        if request.verb == "HEAD" and not is_download(envelope.method):
            return _error(ApiError(Status.UNKNOWN_METHOD, "Invalid HTTP method HEAD"))
        return await self._call(envelope, self._authenticator.accept(request.address))

    async def _read(self, request: HttpRequest, secret: str) -> EnvelopeRequest:
        denied = ApiError(Status.AUTHENTICATION_FAILED, AUTHENTICATION_FAILED)
        if self._authenticator.is_flooding(request.address):
            raise denied
        try:
            envelope = read_request(
                request.value("json"), secret, encrypted=self._configuration.encrypted_encapsulations
            )
        except ApiError as error:
            if error.status == Status.AUTHENTICATION_FAILED:
                await self._authenticator.refuse(request.address)
            raise
        if self._configuration.refuse_replayed_salts and self._is_replayed(envelope, request.value("json") or ""):
            await self._authenticator.refuse(request.address)
            raise denied
        return envelope

    def _is_replayed(self, envelope: EnvelopeRequest, text: str) -> bool:
        """Whether a salt comes again on a call that changes something other than by taking a backup.

        Encrypted requests carry no salt; of them the whole text may not come again.
        """
        method = find_method(envelope.method)
        changes = (
            method is not None
            and method.scope in (Scope.DELETE, Scope.CONFIGURE)
            and not method.name.startswith(("get", "export", "browse", "test"))
        )
        is_new = self._salts.is_new(envelope.salt or text)
        return changes and not is_new

    async def _call(self, envelope: EnvelopeRequest, identity: Identity) -> ASGIApp:
        try:
            found = await self._dispatcher.answer(
                MethodRequest(1, envelope.method, envelope.data, identity),
                lambda value: write_reply(envelope, reply_value(value, version=1)),
            )
        except ApiError as error:
            return refused_download(error) if is_download(envelope.method) else _error(error)
        return found.response(_HEADERS)


def _error(error: ApiError) -> Response:
    return Response(write_error(error.status, error.message), headers=_HEADERS)
