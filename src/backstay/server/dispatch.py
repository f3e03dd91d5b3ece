"""The one dispatch: a method's name, its raw parameters and who asks, to a reply or an error of the API.

Every version of the API comes through here, so that none can do, or be refused, what another can't.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from backstay.api.methods import Method, Parameters, Scope, find_method
from backstay.api.status import NOT_ALLOWED, ApiError, Status, not_supported, unknown_method
from backstay.errors import BackstayError, NotFoundError
from backstay.jobs import journal
from backstay.jobs.installation import Installation
from backstay.server.access_log import CallNote, caller_address, note_call
from backstay.server.answer import Answer
from backstay.server.authentication import Identity
from backstay.server.handlers import HANDLERS, Call, Handler, PartOfArchive, Scheduling
from backstay.server.tenancy import require_own

_log = logging.getLogger(__name__)

DOWNLOAD_DIRECT = "downloadDirect"
"""The one method that answers with a file."""

_WAITING_THREADS = 200
"""Calls of stepBackup that may wait for news at once; further ones queue."""
_SHORT_THREADS = 20
"""Other calls that may be worked on at once."""
_LARGE_THREADS = 4
"""Calls with large replies that may be worked on at once: each holds its reply in memory."""

_CHANGING = frozenset({Scope.BACKUP, Scope.DELETE, Scope.CONFIGURE})
_READING = ("get", "export", "browse", "test", "step")
"""Methods of these scopes that only tell, or, as stepBackup, drive on what another call began."""
_TOLD = ("description", "source", "root", "table", "path", "type", "regex", "status", "uuid", "virtual_folder", "name")
"""Parameters that the journal tells: none of them is a secret."""

UNEXPECTED = "An unexpected error occurred: see the log of the server."


@dataclass(frozen=True, slots=True)
class MethodRequest:
    """A call that was made out of a request, in whichever version of the API.

    Attributes:
        version: of the API: 1, 2 or 3.
        name: of the method, as sent.
        data: parameters as they came.
        identity: who asks.
    """

    version: int
    name: str
    data: Mapping[str, Any]
    identity: Identity


class Dispatcher:
    """Answers calls.

    Args:
        installation: what the calls are about.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._limiters = {
            Scheduling.WAITING: anyio.CapacityLimiter(_WAITING_THREADS),
            Scheduling.SHORT: anyio.CapacityLimiter(_SHORT_THREADS),
            Scheduling.LARGE: anyio.CapacityLimiter(_LARGE_THREADS),
        }

    async def answer(self, request: MethodRequest, encode: Callable[[Any], bytes]) -> Answer:
        """Return a call's reply.

        Args:
            request: the call.
            encode: writes a reply value as the body of the answer; runs where the method ran, off the event loop.

        Raises:
            ApiError: the call failed, or is not allowed; with the status and message for the reply.
        """
        status: int = Status.OK
        name = "an unknown method"
        try:
            method = find_method(request.name)
            if method is None:
                raise unknown_method(request.name)
            name = method.name
            return await self._answer(method, request, encode)
        except ApiError as error:
            status = error.status
            raise
        finally:
            note_call(CallNote(name, request.identity.name, request.version, int(status)))

    async def _answer(self, method: Method[Any, Any], request: MethodRequest, encode: Callable[[Any], bytes]) -> Answer:
        if not method.answers_at(self._installation.configuration.server.api_level):
            raise not_supported()
        parameters = method.read_parameters(request.data)
        if not method.scopes_for(parameters) <= request.identity.scopes:
            raise ApiError(Status.NOT_ALLOWED, NOT_ALLOWED)
        handler = HANDLERS[method.name]
        call = Call(self._installation, request.version, request.identity.groups)
        noted = partial(self._note, method, parameters, request.identity, caller_address()) if changes(method) else None
        try:
            return await self._run(
                handler.scheduling, partial(_encoded, method.name, handler, call, parameters, encode, noted)
            )
        except ApiError:
            raise
        except BackstayError as error:
            raise api_error(error) from error
        except Exception:  # noqa: BLE001 - the boundary, see below
            # The boundary of the process: a bug must answer as the API answers, and be written in full to the log.
            _log.exception("%s failed in a way that nobody foresaw.", method.name)
            raise ApiError(Status.ERROR, UNEXPECTED) from None

    async def _run(self, scheduling: Scheduling, function: Callable[[], Answer]) -> Answer:
        if scheduling is Scheduling.INLINE:
            return function()
        return await anyio.to_thread.run_sync(function, limiter=self._limiters[scheduling])

    def _note(
        self, method: Method[Any, Any], parameters: Parameters, identity: Identity, address: str, value: object
    ) -> None:
        """Write into the journal what a call has changed."""
        given = parameters.model_dump(include=set(_TOLD) | {"profile", "backup_id"}, exclude_unset=True)
        kind = "backup" if "backup_id" in type(parameters).model_fields else "profile"
        number = getattr(parameters, "backup_id" if kind == "backup" else "profile", None)
        details = {name: value for name, value in given.items() if name in _TOLD and value not in ("", None)}
        if backup := getattr(value, "backup_id", None):
            details["backup"] = backup
        journal.note(self._installation, identity.name, journal.API, method.name, f"{kind} {number}", details, address)


def changes(method: Method[Any, Any]) -> bool:
    """Return whether a method changes something that stays, so that it stands in the journal who called it."""
    return method.scope in _CHANGING and not method.name.startswith(_READING)


def _encoded(
    name: str,
    handler: Handler,
    call: Call,
    parameters: Parameters,
    encode: Callable[[Any], bytes],
    noted: Callable[[object], None] | None,
) -> Answer:
    if call.groups is not None:
        require_own(call.installation, call.groups, name, parameters)
    value = handler.function(call, parameters)
    if noted is not None:
        noted(value)
    if isinstance(value, PartOfArchive):
        return Answer(part=value)
    return Answer(body=encode(value), when_sent=call.when_sent)


def api_error(error: BackstayError) -> ApiError:
    """Return an error of the layers below as the API's: its sentence, and the status that says its kind."""
    return ApiError(Status.NOT_FOUND if isinstance(error, NotFoundError) else Status.ERROR, str(error))
