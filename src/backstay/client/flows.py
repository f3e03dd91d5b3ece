"""What the client does, apart from how bytes travel: the one core below the sync and the async client.

A flow is a generator. It yields actions (send this request, wait so long), is given what came of them, and returns
the result; whoever runs it does the input and output.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError

from backstay.api.ciphers import BlockForm
from backstay.api.conversion import integer
from backstay.api.methods.backups import STEP_BACKUP
from backstay.api.methods.information import GET_VERSION
from backstay.api.methods.records import DELETE, DELETE_FILES
from backstay.api.status import Status, error_of_status
from backstay.client.endpoints import Endpoint, routes, with_get
from backstay.client.messages import (
    Answer,
    Call,
    Envelope,
    HttpReply,
    HttpRequest,
    NotTheApiError,
    build_request,
    read_answer,
)
from backstay.client.redirects import MAX_REDIRECTS, REDIRECT_STATUSES, redirect_target
from backstay.client.secrecy import blanked
from backstay.errors import BackstayError, ConnectionFailedError, ProtocolError

logger = logging.getLogger(__name__)

R = TypeVar("R")

TEMPORARY_HTTP_ERRORS = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Send:
    """Action: send a request; what comes back is an ``HttpReply``."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Pause:
    """Action: wait, in seconds; nothing comes back."""

    seconds: float


class TransportError(Exception):
    """A request was not answered.

    Attributes:
        sent: whether it may have reached the server.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


Flow: TypeAlias = Generator[Send | Pause, HttpReply | None, R]


@dataclass
class Session:
    """What a client knows of the server it calls.

    Attributes:
        url: address as the user gave it, with its scheme and without credentials.
        secret: secret word or token.
        version: the only version to use; None: the newest that works.
        envelope: how version 1 is written.
        endpoint: what worked; None: not known yet.
        proven: whether ``endpoint`` has worked in this session; one that was remembered may have gone stale.
        attempts: how often a call that may be repeated is tried; a step of a backup twice as often, as much is lost
            with it.
        tried: what detection tried and what came of it, for people.
        level: API level that the server reports; 0: not known.
    """

    url: str
    secret: str = field(repr=False)
    version: int | None = None
    envelope: Envelope = field(default_factory=Envelope)
    endpoint: Endpoint | None = None
    proven: bool = False
    attempts: int = 4
    tried: list[str] = field(default_factory=list)
    level: int = 0

    def blanked(self, text: str) -> str:
        """A text without the secret."""
        return blanked(text, [self.secret])


def call_flow(session: Session, call: Call[R]) -> Flow[R]:
    """Makes a call and gives its typed reply.

    A call is repeated after a broken connection only where that does no harm: never a ``startBackup`` that may have
    reached the server.

    Raises:
        BackstayError: of the class that says what went wrong.
    """
    try:
        answer, tries = yield from answered(session, call)
    except LostAnswerError as lost:
        raise lost.error from None
    if answer.status == Status.NOT_FOUND and tries > 1 and call.method in (DELETE, DELETE_FILES):
        answer = Answer(Status.OK, data=True)  # the try whose answer was lost has done it
    return reply_of_answer(session, call, answer)


def reply_of_answer(session: Session, call: Call[R], answer: Answer) -> R:
    """The typed reply in an answer.

    Raises:
        BackstayError: the answer is an error, or of another kind than the API has.
    """
    if answer.status != Status.OK:
        raise error_of_status(answer.status, session.blanked(message_of(answer.data)))
    try:
        return call.method.read_reply(answer.data)
    except ValidationError:
        raise ProtocolError(
            f"The server answered {call.method.name} with a value of another kind than the API has."
        ) from None


def message_of(data: Any) -> str:
    """The message of an error, one line, as a server wrote it."""
    if isinstance(data, dict):
        data = data.get("message", "")
    return " ".join(data.split())[:1000] if isinstance(data, str) else ""


class LostAnswerError(Exception):
    """A call that must not be repeated may have reached the server, and was not answered by the API.

    Attributes:
        error: what the user is shown where nothing else can be done.
    """

    def __init__(self, error: BackstayError) -> None:
        super().__init__(str(error))
        self.error = error


def answered(session: Session, call: Call[Any]) -> Flow[tuple[Answer, int]]:
    """What the API answered, an error of the API included, and how many tries it took.

    Raises:
        LostAnswerError: the answer was lost, and the call is not ``repeatable``.
        BackstayError: there is no answer.
    """
    if not session.proven:
        yield from prove_flow(session)
    most = session.attempts * 2 if call.method is STEP_BACKUP else session.attempts
    for tries in range(1, most + 1):
        endpoint = session.endpoint
        if endpoint is None:
            raise ProtocolError("No endpoint is known.")
        try:
            return (yield from ask(session, endpoint, call)), tries
        except TransportError as problem:
            if problem.sent and not call.method.repeatable:
                raise LostAnswerError(_unanswered(session, call, problem)) from None
            if tries == most:
                raise _unanswered(session, call, problem) from None
            logger.info("%s was not answered, try %d", call.method.name, tries)
        except _TemporaryError as problem:
            sentence = _no_answer(session, call, str(problem))
            if not call.method.repeatable:
                hint = " Look whether the server did it before you ask again."
                raise LostAnswerError(ProtocolError(sentence + hint)) from None
            if tries == most:
                raise ProtocolError(sentence) from None
        except NotTheApiError as problem:
            raise ProtocolError(_no_answer(session, call, str(problem))) from None
        yield Pause(min(0.5 * 2 ** (tries - 1), LONGEST_PAUSE))
    raise ProtocolError(_no_answer(session, call, "nothing"))


def _unanswered(session: Session, call: Call[Any], problem: TransportError) -> BackstayError:
    reason = session.blanked(str(problem))
    if problem.sent and not call.method.repeatable:
        return ConnectionFailedError(
            f"The connection broke before {call.method.name} was answered ({reason}): look whether the server did it "
            "before you ask again."
        )
    return ConnectionFailedError(f"The server {_host(session)} cannot be reached: {reason}.")


def _no_answer(session: Session, call: Call[Any], what: str) -> str:
    return f"The server {_host(session)} answered {call.method.name} with {what}, which is not the API."


def _host(session: Session) -> str:
    return urlsplit(session.endpoint.url if session.endpoint else session.url).netloc or "that was named"


class _TemporaryError(NotTheApiError):
    """The web server answered for the API with an error that may pass."""


def ask(session: Session, endpoint: Endpoint, call: Call[Any]) -> Flow[Answer]:
    """One request and what the API answered, redirects followed where that is allowed.

    Raises:
        NotTheApiError: the answer is not the API's.
        TransportError: there was none.
    """
    request = build_request(endpoint, call, session.secret, session.envelope)
    for _ in range(MAX_REDIRECTS + 1):
        reply = yield Send(request)
        if reply is None:
            raise TransportError("there was no reply", sent=True)
        location = reply.headers.get("location", "")
        if reply.status in REDIRECT_STATUSES and location:
            request = redirected(session.url, request, reply.status, location)
            continue
        try:
            return replace(read_answer(endpoint, request, reply), url=request.url)
        except NotTheApiError as problem:
            if reply.status in TEMPORARY_HTTP_ERRORS:
                raise _TemporaryError(str(problem)) from None
            raise
    raise NotTheApiError(f"more than {MAX_REDIRECTS} redirects")


def redirected(given: str, request: HttpRequest, status: int, location: str) -> HttpRequest:
    """The request that follows a redirect; only 303 turns a POST into a GET.

    Raises:
        ProtocolError: the redirect may not be followed.
    """
    target = redirect_target(given, request.url, location)
    asked = urlsplit(request.url)
    parts = urlsplit(target)
    if not parts.query and asked.query:
        target = urlunsplit((parts.scheme, parts.netloc, parts.path, asked.query, ""))
    if status == 303 and request.form is not None:
        return replace(request, verb="GET", url=target, form=None)
    return replace(request, url=target)


_VERSION_CALL = Call(GET_VERSION)


def prove_flow(session: Session) -> Flow[Endpoint]:
    """Tries the endpoint that was remembered, and looks for another if it does not work any more.

    Raises:
        BackstayError: as for ``detect_flow``.
    """
    remembered = session.endpoint
    if remembered is not None:
        session.tried.clear()
        outcome = yield from _try_route(session, (remembered,))
        if isinstance(outcome, Endpoint):
            session.proven = True
            return outcome
    return (yield from detect_flow(session))


def detect_flow(session: Session) -> Flow[Endpoint]:
    """Finds out how the server is called, newest version first, and keeps it in the session.

    Raises:
        BackstayError: nothing worked; the error of the route that came nearest, with what was tried.
    """
    session.tried.clear()
    found = routes(session.url, session.version)
    refusal: BackstayError | None = None
    for route in (*found, *(with_get(route) for route in found if route[0].version < 3)):
        outcome = yield from _try_route(session, route)
        if isinstance(outcome, Endpoint):
            session.endpoint, session.proven = outcome, True
            logger.info("The server answers %s", outcome)
            return outcome
        refusal = refusal or outcome
        if refusal is not None and route[0].version < 3:
            break  # a server that refuses the secret in one of the old versions refuses it in all of them
    if refusal is not None:
        raise refusal
    listed = "".join(f"\n  {line}" for line in session.tried)
    raise ProtocolError(
        f"The server {_host(session)} does not answer the API: give the address of the site, or of its API. "
        f"Tried:{session.blanked(listed)}"
    )


def _try_route(session: Session, route: tuple[Endpoint, ...]) -> Flow[Endpoint | BackstayError | None]:
    """The endpoint that worked, the API's refusal, or None where there is no API at all."""
    refusal: BackstayError | None = None
    for endpoint in route:
        for envelope in _envelopes(session, endpoint):
            session.envelope = envelope
            try:
                answer = yield from ask(session, endpoint, _VERSION_CALL)
            except NotTheApiError as problem:
                session.tried.append(f"{endpoint}: {problem}")
                return refusal
            except ProtocolError as problem:
                session.tried.append(f"{endpoint}: {problem}")
                refusal = refusal or problem
                return refusal
            except TransportError as problem:
                raise _unanswered(session, _VERSION_CALL, problem) from None
            said = session.blanked(message_of(answer.data)) if answer.status != Status.OK else "it works"
            session.tried.append(f"{endpoint}: status {answer.status}, {said}")
            if answer.status in (Status.OK, Status.NOT_ALLOWED):
                session.level = integer(answer.data.get("api")) if isinstance(answer.data, dict) else 0
                return moved(endpoint, answer.url)
            if answer.status in (Status.UNKNOWN_METHOD, Status.NOT_SUPPORTED):
                return refusal
            refusal = error_of_status(answer.status, said)
    return refusal


def moved(endpoint: Endpoint, url: str) -> Endpoint:
    """The endpoint at the address that answered: so a redirect to HTTPS is not asked for with every call.

    Args:
        endpoint: what was asked.
        url: the address that answered a getVersion.
    """
    parts = urlsplit(url)
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    if endpoint.version == 3:
        base, slash, method = base.rpartition("/")
        if not slash or method != GET_VERSION.name:
            return endpoint
    return replace(endpoint, url=base)


def _envelopes(session: Session, endpoint: Endpoint) -> list[Envelope]:
    """The ways to write version 1 that are worth trying: the generations of CBC blocks, newest first."""
    kind = session.envelope.encapsulation
    if endpoint.version == 1 and kind.in_blocks:
        return [Envelope(kind, form) for form in (BlockForm.SALTED, BlockForm.RANDOM_IV, BlockForm.LEGACY)]
    return [Envelope(kind)]
