"""What checks of a server are made of: a probe that asks, and findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import httpx2

from backstay.api.envelope import NotAnEnvelopeError, challenge, read_reply
from backstay.client.endpoints import Endpoint
from backstay.client.messages import USER_AGENT, Answer, find_answer
from backstay.client.secrecy import blanked
from backstay.client.sync import Client
from backstay.errors import BackstayError, ConnectionFailedError


class Group(StrEnum):
    """What a check is about."""

    VERSION_1 = "version 1"
    VERSION_2 = "version 2"
    VERSION_3 = "version 3"
    RECORDS = "records"
    ROUTES = "routes"
    BACKUP = "taking a backup"
    PROFILES = "profiles"


class Outcome(StrEnum):
    """What came of a check."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_OFFERED = "not offered"


class FailedError(Exception):
    """The server does something else than it should; the message says what."""


class NotOfferedError(Exception):
    """The server does not have what the check is about; the message says what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        group: what it is about.
        name: the sentence that should hold.
        outcome: whether it does.
        message: what was seen instead, or why it could not be checked.
    """

    group: Group
    name: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class RawReply:
    """A reply to look at closely: HTTP status, lower-case headers, body as text."""

    status: int
    headers: Mapping[str, str]
    text: str

    def answer(self) -> Answer:
        """The API's answer in it.

        Raises:
            FailedError: there is none.
        """
        found = find_answer(self.text)
        if found is None:
            raise FailedError(f"the answer is not the API's: HTTP {self.status}, {self.text[:80]!r}")
        return found


@dataclass
class Probe:
    """A server under test.

    Attributes:
        url: address as given.
        secret: secret word or token.
        endpoints: how each version of the API that it answers is called.
        http: sends raw requests.
        timeout: seconds to wait for the server.
        verify: as for ``Client``.
        profile: number of the profile that may be backed up.
    """

    url: str
    secret: str = field(repr=False)
    http: httpx2.Client = field(repr=False)
    timeout: float = 60.0
    verify: bool | str = True
    profile: int = 1
    endpoints: dict[int, Endpoint] = field(default_factory=dict)
    level: int = 0

    def find_endpoints(self) -> None:
        """Finds out which versions the server answers.

        Raises:
            BackstayError: it answers none; the error of the newest that came near.
        """
        problem: BackstayError | None = None
        for version in (3, 2, 1):
            try:
                with self.client(version) as client:
                    self.level = client.get_version().api
                    if client.endpoint is not None:
                        self.endpoints[version] = client.endpoint
            except ConnectionFailedError:
                raise
            except BackstayError as error:
                problem = problem or error
        if not self.endpoints and problem is not None:
            raise problem

    def client(self, version: int | None = None) -> Client:
        """A client of the server, of one version or of the newest that answers."""
        if version is None and self.endpoints:
            version = max(self.endpoints)
        endpoint = self.endpoints.get(version or 0)
        return Client(
            self.url, self.secret, version=version, endpoint=endpoint, timeout=self.timeout, verify=self.verify
        )

    def endpoint(self, version: int) -> Endpoint:
        """How a version is called.

        Raises:
            NotOfferedError: the server does not answer that version.
        """
        if version not in self.endpoints:
            raise NotOfferedError(f"the server does not answer version {version}")
        return self.endpoints[version]

    def send(
        self,
        verb: str,
        url: str,
        *,
        query: Mapping[str, Any] | tuple[tuple[str, str], ...] = (),
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawReply:
        """A request exactly as described, and its reply.

        Raises:
            FailedError: the server did not answer.
        """
        pairs = list(query.items() if isinstance(query, Mapping) else query)
        sent = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        content = None
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form)
        try:
            reply = self.http.request(
                verb,
                f"{url}?{urlencode(pairs)}" if pairs else url,
                headers=[(name.encode(), value.encode("utf-8")) for name, value in sent.items()],
                content=content,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise FailedError(f"no answer: {blanked(str(error), [self.secret]) or type(error).__name__}") from None
        named = {name.lower(): value for name, value in reply.headers.items()}
        return RawReply(reply.status_code, named, reply.content.decode("utf-8", "replace"))

    def ask_2(self, method: str, data: Mapping[str, Any] | None = None, *, secret: str | None = None) -> RawReply:
        """A call of version 2 by GET, with the secret in the header; an empty secret sends none."""
        endpoint = self.endpoint(2)
        given = self.secret if secret is None else secret
        headers = {"X-Akeeba-Auth": given} if given else {}
        return self.send(
            "GET", endpoint.url, query=(*endpoint.query, ("method", method), *(data or {}).items()), headers=headers
        )

    def ask_1(self, text: str) -> RawReply:
        """A request of version 1 whose ``json`` parameter is given as it is."""
        endpoint = self.endpoint(1)
        return self.send("POST", endpoint.url, query=endpoint.query, form={"json": text})

    def inner_1(self, method: str = "getVersion", **members: Any) -> str:
        """An inner request of version 1 with a good challenge."""
        inner = {"challenge": challenge("conformance", self.secret), "method": method, "data": None, **members}
        return json.dumps(inner, separators=(",", ":"))

    def answer_1(self, text: str) -> Answer:
        """What version 1 answers to a ``json`` parameter."""
        reply = self.ask_1(text)
        try:
            envelope = read_reply(reply.text, reply_key=self.secret)
        except NotAnEnvelopeError as error:
            raise FailedError(f"{error} HTTP {reply.status}") from None
        return Answer(envelope.status, envelope.data)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a server should do.

    Attributes:
        group: what it is about.
        name: the sentence that should hold.
        changes: whether it changes something on the server.
        run: asks the server; raises ``FailedError`` or ``NotOfferedError`` where the sentence does not hold.
    """

    group: Group
    name: str
    changes: bool
    run: Callable[[Probe], None]

    def finding(self, probe: Probe) -> Finding:
        """Runs the check."""
        try:
            self.run(probe)
        except NotOfferedError as reason:
            return Finding(self.group, self.name, Outcome.NOT_OFFERED, str(reason))
        except (FailedError, BackstayError) as reason:
            return Finding(self.group, self.name, Outcome.FAILS, blanked(str(reason), [probe.secret]))
        return Finding(self.group, self.name, Outcome.HOLDS)


@dataclass
class Checks:
    """The checks of one module, in the order in which they are written."""

    group: Group
    changes: bool = False
    found: list[Check] = field(default_factory=list)

    def __call__(self, run: Callable[[Probe], None]) -> Callable[[Probe], None]:
        """Makes a function a check; the first line of its docstring is the sentence that should hold."""
        sentence = (run.__doc__ or "").partition("\n")[0].rstrip(".")
        self.found.append(Check(self.group, sentence, self.changes, run))
        return run

    def __iter__(self) -> Iterator[Check]:
        return iter(self.found)


def expect(answer: Answer, status: int, message: str | None = None) -> None:
    """Raises ``FailedError`` unless an answer has this status and, where one is given, this message."""
    if answer.status != status:
        raise FailedError(f"the status is {answer.status} and not {status}")
    if message is not None and answer.data != message:
        raise FailedError(f"the message is {str(answer.data)[:80]!r} and not {message!r}")


def require(holds: object, otherwise: str) -> None:
    """Raises ``FailedError`` with these words unless something holds."""
    if not holds:
        raise FailedError(otherwise)
