"""Requests and replies of the client as plain data, for any endpoint; nothing here touches the network."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from backstay.api.ciphers import BlockForm
from backstay.api.conversion import decode_json
from backstay.api.envelope import Encapsulation, NotAnEnvelopeError, read_reply, write_request
from backstay.api.methods import Method
from backstay.api.wire import encode_parameters
from backstay.client.endpoints import Credential, Endpoint, Verb
from backstay.version import __version__

USER_AGENT = f"Backstay/{__version__}"
SALT_LENGTH = 32
REPLY_KEY_LENGTH = 64
_ALPHABET = string.ascii_letters + string.digits
_MAX_BRACES = 200

R = TypeVar("R")


@dataclass(frozen=True)
class Call(Generic[R]):
    """One call of a method.

    Attributes:
        method: row of the method table.
        data: parameters to send, JSON values; only those that were given.
    """

    method: Method[Any, R]
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """How requests of version 1 are written.

    Attributes:
        encapsulation: RAW, or one of the encryptions.
        block_form: generation of the blocks of AES-CBC.
    """

    encapsulation: Encapsulation = Encapsulation.RAW
    block_form: BlockForm = BlockForm.LEGACY


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, complete; all but the verb may hold credentials, so nothing of it is shown.

    Attributes:
        verb: GET or POST.
        url: absolute address with its query.
        headers: names and values.
        form: body of a POST, urlencoded; None for a GET.
        reply_key: what decrypts the reply, in version 1.
        shown: what the request asks, in words without secrets, for the verbose exchange.
    """

    verb: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    form: bytes | None = field(default=None, repr=False)
    reply_key: str = field(default="", repr=False)
    shown: str = ""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply: HTTP status, lower-case headers, body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered.

    Attributes:
        status: status of the API.
        data: the value; for errors the message.
        url: address that answered, after any redirects, with its query.
    """

    status: int
    data: Any = field(repr=False)
    url: str = field(default="", repr=False)


class NotTheApiError(ValueError):
    """A server answered something that is not the API; the message says what, half a sentence."""


def build_request(endpoint: Endpoint, call: Call[Any], secret: str, envelope: Envelope = Envelope()) -> HttpRequest:
    """The request that makes a call.

    Args:
        endpoint: how the server is called.
        call: method and parameters.
        secret: secret word or token.
        envelope: how version 1 is written.

    Returns:
        The request; a file (``downloadDirect``) is always asked for with GET (clients.md, v2 requests).
    """
    name = call.method.name
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
    if call.method.reply_type is bytes:
        headers |= {"Accept": "*/*", "Accept-Encoding": "identity"}
    query, form, key, url = list(endpoint.query), [], "", endpoint.url
    if endpoint.version == 1:
        key = _random_text(REPLY_KEY_LENGTH) if envelope.encapsulation is not Encapsulation.RAW else ""
        form = [("json", _enveloped(call, secret, envelope, key))]
    else:
        if endpoint.version == 3:
            url = f"{url}/{name}"
        else:
            form.append(("method", name))
        form += encode_parameters(_flat(call.data))
        if endpoint.credential is Credential.JOOMLA_HEADER:
            headers["X-Joomla-Token"] = secret
        elif endpoint.credential is Credential.AKEEBA_HEADER:
            headers["X-Akeeba-Auth"] = secret
        else:
            query.append(("_akeebaAuth", secret))
    shown = f"{name} {json.dumps(dict(call.data), default=str)}"
    if endpoint.verb is Verb.GET or call.method.reply_type is bytes:
        return HttpRequest("GET", _with_query(url, query + form), headers, None, key, shown)
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return HttpRequest("POST", _with_query(url, query), headers, _encoded(form).encode("ascii"), key, shown)


def _enveloped(call: Call[Any], secret: str, envelope: Envelope, key: str) -> str:
    return write_request(
        call.method.name,
        dict(call.data),
        secret=secret,
        salt=_random_text(SALT_LENGTH),
        encapsulation=envelope.encapsulation,
        block_form=envelope.block_form,
        reply_key=key,
    )


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters for a form: an object with members that would vanish there travels as JSON text instead."""
    return {name: json.dumps(value) if _would_lose(value) else value for name, value in data.items()}


def _would_lose(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not value or any(member is None or _would_lose(member) for member in value.values())
    if isinstance(value, (list, tuple)):
        return not value or any(member is None or _would_lose(member) for member in value)
    return False


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, encoding="utf-8", errors="surrogateescape")


def _with_query(url: str, pairs: list[tuple[str, str]]) -> str:
    return f"{url}?{_encoded(pairs)}" if pairs else url


def read_answer(endpoint: Endpoint, request: HttpRequest, reply: HttpReply) -> Answer:
    """What the API answered, found in whatever the server sent around it.

    Raises:
        NotTheApiError: the reply holds no answer of the API.
    """
    text = reply.text
    if endpoint.version == 1:
        try:
            envelope = read_reply(text, reply_key=request.reply_key)
        except NotAnEnvelopeError:
            raise NotTheApiError(_what_it_is(reply, text)) from None
        return Answer(envelope.status, envelope.data)
    answer = find_answer(text)
    if answer is None:
        raise NotTheApiError(_what_it_is(reply, text))
    return answer


def find_answer(text: str) -> Answer | None:
    """The API's answer in a text of version 2 or 3; None if there is none.

    It is the first JSON object with a status and data: the whole text, what stands between ``###`` marks, or an object
    among other output.
    """
    for candidate in (text, text[text.find("###") + 3 : text.rfind("###")] if "###" in text else ""):
        try:
            value = decode_json(candidate)
        except ValueError:
            continue
        if _is_answer(value):
            return Answer(value["status"], value["data"])
    decoder = json.JSONDecoder()
    for match, _ in zip(re.finditer(r'\{\s*"', text), range(_MAX_BRACES), strict=False):
        try:
            value, _end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if _is_answer(value):
            return Answer(value["status"], value["data"])
    return None


def _is_answer(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "data" in value
        and isinstance(value.get("status"), int)
        and not isinstance(value["status"], bool)
    )


def _what_it_is(reply: HttpReply, text: str) -> str:
    start = text.lstrip()[:200].lower()
    if not start:
        kind = "an empty reply"
    elif start.startswith(("<!doctype", "<html", "<head", "<body")) or "text/html" in reply.headers.get(
        "content-type", ""
    ):
        kind = "a web page"
    elif start.startswith(("{", "[")):
        kind = "JSON of another kind"
    else:
        kind = "something else"
    return kind if reply.status == 200 else f"HTTP {reply.status} and {kind}"
