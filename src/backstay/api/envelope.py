"""Requests and replies of version 1: the envelope, its challenge and its five encapsulations.

Everything here follows api-v1-encapsulation.md: the tolerated request forms (3), the encapsulations (4), the challenge
(5), the order of checks (6) and the form of replies (7).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from backstay.api.ciphers import (
    BlockForm,
    UndecryptableError,
    base64_bytes,
    decrypt_block,
    decrypt_counter_text,
    encrypt_block,
    encrypt_counter_text,
)
from backstay.api.conversion import decode_json
from backstay.api.status import AUTHENTICATION_FAILED, JSON_ERROR, UNKNOWN_ENCAPSULATION, ApiError, Status
from backstay.api.wire import json_text

MARK = "###"
SHORTEST_BODY = 12
SHORTEST_SALT = 2


class Encapsulation(IntEnum):
    """How the inner request and the reply's data are written."""

    RAW = 1
    AESCTR128 = 2
    AESCTR256 = 3
    AESCBC128 = 4
    AESCBC256 = 5

    @property
    def bits(self) -> int:
        """Key size; RAW has none and says 128."""
        return 256 if self in (Encapsulation.AESCTR256, Encapsulation.AESCBC256) else 128

    @property
    def in_blocks(self) -> bool:
        """Whether it is AES-CBC."""
        return self in (Encapsulation.AESCBC128, Encapsulation.AESCBC256)


@dataclass(frozen=True, slots=True)
class EnvelopeRequest:
    """A request of version 1 that was decoded and whose sender knows the secret.

    Attributes:
        method: name of the method, as sent.
        data: its parameters; empty where none were named.
        encapsulation: how it came, and how the reply goes.
        sent_id: the id as the client wrote it, a number or a text: the reply echoes it.
        reply_key: what encrypts the reply (encapsulations 2 to 5).
        block_form: generation of the CBC block that came; the reply is written in the same.
        salt: salt of the challenge; empty for encapsulations 2 to 5.
    """

    method: str
    data: dict[str, Any] = field(repr=False)
    encapsulation: Encapsulation = Encapsulation.RAW
    sent_id: int | str = 1
    reply_key: str = field(default="", repr=False)
    block_form: BlockForm = BlockForm.LEGACY
    salt: str = field(default="", repr=False)


def challenge(salt: str, secret: str) -> str:
    """``salt:md5(salt + secret)`` in lower-case hexadecimal (section 5)."""
    return f"{salt}:{_hash(salt, secret)}"


def _hash(salt: str, secret: str) -> str:
    text = (salt + secret).encode("utf-8", "surrogatepass")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def salt_of_challenge(given: object, secret: str) -> str | None:
    """The salt of a challenge that holds for the secret, or None; compared in constant time.

    The first colon stands at index 2 or later; what follows a second colon does not matter (section 5).
    """
    if not isinstance(given, str) or given.find(":") < SHORTEST_SALT:
        return None
    salt, proof = given.split(":")[:2]
    expected = _hash(salt, secret).encode("ascii")
    return salt if hmac.compare_digest(proof.encode("utf-8", "surrogatepass"), expected) else None


def read_request(text: str | None, secret: str, *, encrypted: bool = False) -> EnvelopeRequest:
    """A request of version 1 from its ``json`` parameter, with all checks in the documented order.

    Args:
        text: value of the parameter, URL-decoded; None if it is missing.
        secret: the secret word of the API.
        encrypted: whether encapsulations 2 to 5 are allowed; if not they are answered as by servers without them.

    Returns:
        The request. That its method exists is for the caller to check, next.

    Raises:
        ApiError: 500 for what is not JSON, 503 for an encapsulation that is not known or not allowed, 401 for a body
            that cannot be decoded or a wrong challenge, in this order.
    """
    outer = _outer(text)
    sent_id = outer.get("encapsulation") if isinstance(outer, dict) else None
    encapsulation = _encapsulation(sent_id)
    if encapsulation is None or (encapsulation is not Encapsulation.RAW and not encrypted):
        raise ApiError(Status.ACCESS_DENIED, UNKNOWN_ENCAPSULATION)
    inner, form = _inner(_body(outer), encapsulation, secret)
    method = inner.get("method") if inner else None
    if not inner or not isinstance(method, (str, int)) or method in ("", "0", 0):
        raise ApiError(Status.AUTHENTICATION_FAILED, AUTHENTICATION_FAILED)
    salt = ""
    if encapsulation is Encapsulation.RAW:
        proven = salt_of_challenge(inner.get("challenge"), secret)
        if proven is None:
            raise ApiError(Status.AUTHENTICATION_FAILED, AUTHENTICATION_FAILED)
        salt = proven
    key = inner.get("key")
    return EnvelopeRequest(
        method=str(method),
        data=_named(inner.get("data")),
        encapsulation=encapsulation,
        sent_id=sent_id if isinstance(sent_id, (int, str)) else encapsulation.value,
        reply_key=str(key) if isinstance(key, (str, int)) and key else secret,
        block_form=form,
        salt=salt,
    )


def _outer(text: str | None) -> Any:
    try:
        outer = decode_json(text) if text else None
    except ValueError:
        outer = None
    if outer is None:
        raise ApiError(Status.ERROR, JSON_ERROR)
    return outer


def _encapsulation(sent: object) -> Encapsulation | None:
    """The encapsulation of an id; a missing one is RAW, a numeric text counts as its number."""
    if sent is None:
        return Encapsulation.RAW
    if isinstance(sent, str) and len(sent) < 8 and sent.strip().isascii() and sent.strip().isdigit():
        sent = int(sent)
    if isinstance(sent, bool) or not isinstance(sent, (int, float)) or sent not in tuple(Encapsulation):
        return None
    return Encapsulation(int(sent))


def _body(outer: Any) -> Any:
    """The body in any tolerated form: the envelope's, or the whole value of the old form (section 3)."""
    return outer.get("body") if isinstance(outer, dict) else outer


def _inner(body: Any, encapsulation: Encapsulation, secret: str) -> tuple[dict[str, Any] | None, BlockForm]:
    form = BlockForm.LEGACY
    if isinstance(body, dict):  # the published reference prints it so
        return (body if encapsulation is Encapsulation.RAW else None), form
    if not isinstance(body, str):
        return None, form
    try:
        if encapsulation is Encapsulation.RAW:
            return _decoded(body.encode("utf-8", "surrogatepass")), form
        if encapsulation.in_blocks:
            opened = decrypt_block(base64_bytes(body), secret, encapsulation.bits)
            return _decoded(opened.plain), opened.form
        return _decoded(decrypt_counter_text(body, secret, encapsulation.bits)), form
    except UndecryptableError:
        return None, form


def _decoded(plain: bytes) -> dict[str, Any] | None:
    """The inner request: trailing NULs do not count, then it is one JSON object of a least length (section 3)."""
    stripped = plain.rstrip(b"\0")
    if len(stripped) < SHORTEST_BODY or not (stripped.startswith(b"{") and stripped.endswith(b"}")):
        return None
    try:
        inner: dict[str, Any] = decode_json(stripped)
    except ValueError:
        return None
    return inner


def _named(data: object) -> dict[str, Any]:
    """Named parameters of ``data``; a text that holds an object is decoded, anything else names none."""
    if isinstance(data, str):
        try:
            data = decode_json(data)
        except ValueError:
            return {}
    return data if isinstance(data, dict) else {}


def php_json(value: Any) -> str:
    """JSON text as PHP writes it by default: slashes and everything that is not ASCII escaped.

    Raises:
        ApiError: status 500, where the value cannot be written as JSON.
    """
    return json_text(value).replace("/", "\\/")


def write_reply(request: EnvelopeRequest, data: Any) -> bytes:
    """The reply to a call that succeeded: the value, encapsulated as the request was (section 7).

    Args:
        request: what was asked.
        data: the reply as JSON values.

    Returns:
        Body of the HTTP reply, with its marks.
    """
    try:
        text = php_json(data)
    except ApiError as error:
        return _marked({"encapsulation": 1, "body": {"status": error.status, "data": error.message}})
    return _marked({"encapsulation": request.sent_id, "body": {"status": 200, "data": encapsulate(request, text)}})


def encapsulate(request: EnvelopeRequest, text: str) -> str:
    """A text (JSON, all ASCII) as the encapsulation, key and generation of a request write it."""
    kind, key = request.encapsulation, request.reply_key
    if kind is Encapsulation.RAW:
        return text
    plain = text.encode("ascii")
    if kind.in_blocks:
        return base64.b64encode(encrypt_block(plain, key, kind.bits, request.block_form)).decode("ascii")
    return encrypt_counter_text(plain, key, kind.bits)


def write_error(status: int, message: str) -> bytes:
    """The reply to a call that failed: always RAW, the message as JSON text (section 7)."""
    return _marked({"encapsulation": 1, "body": {"status": int(status), "data": php_json(message)}})


def _marked(envelope: dict[str, Any]) -> bytes:
    return f"{MARK}{php_json(envelope)}{MARK}".encode("ascii")


def write_request(
    method: str,
    data: dict[str, Any],
    *,
    secret: str,
    salt: str,
    encapsulation: Encapsulation = Encapsulation.RAW,
    block_form: BlockForm = BlockForm.LEGACY,
    reply_key: str = "",
) -> str:
    """A request of version 1, for the ``json`` parameter.

    Args:
        method: name of the method.
        data: its parameters, JSON values; empty data goes as ``[]`` (clients.md, v1 requests).
        secret: the secret word of the API.
        salt: letters and digits, different for each call.
        encapsulation: how to write the inner request.
        block_form: generation of CBC blocks to write.
        reply_key: key to ask the reply to be encrypted with; empty: the secret word.

    Returns:
        JSON text.
    """
    inner: dict[str, Any] = {"challenge": challenge(salt, secret), "method": method, "data": data or []}
    if encapsulation is not Encapsulation.RAW:
        del inner["challenge"]
        if reply_key:
            inner["key"] = reply_key
    carrier = EnvelopeRequest(method, {}, encapsulation, reply_key=secret, block_form=block_form)
    return json_text({"encapsulation": encapsulation.value, "body": encapsulate(carrier, json_text(inner))})


@dataclass(frozen=True, slots=True)
class EnvelopeReply:
    """A reply of version 1: its status and its decoded value (for errors the message)."""

    status: int
    data: Any


class NotAnEnvelopeError(ValueError):
    """What a server answered is not a reply of version 1."""


def read_reply(body: str, *, reply_key: str) -> EnvelopeReply:
    """A reply of version 1 from the body of an HTTP reply.

    Args:
        body: text of the HTTP reply; only what stands between the first and the last ``###`` counts.
        reply_key: key that decrypts it, if it is encrypted.

    Returns:
        Status and decoded value; data that is not JSON is taken as text (old servers, section 7).

    Raises:
        NotAnEnvelopeError: there are no marks, no envelope between them, or it cannot be decrypted.
    """
    start, end = body.find(MARK), body.rfind(MARK)
    if start == end:
        raise NotAnEnvelopeError("The answer has no ### marks.")
    try:
        envelope = decode_json(body[start + len(MARK) : end])
    except ValueError:
        raise NotAnEnvelopeError("There is no JSON between the ### marks of the answer.") from None
    inner = envelope.get("body") if isinstance(envelope, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("status"), (int, str)):
        raise NotAnEnvelopeError("The answer has no body with a status.")
    try:
        status = int(inner["status"])
        text = _opened(inner.get("data"), _encapsulation(envelope.get("encapsulation")), reply_key)
    except (UndecryptableError, ValueError):
        raise NotAnEnvelopeError("The answer cannot be decrypted.") from None
    return EnvelopeReply(status, _value(text))


def _opened(data: Any, encapsulation: Encapsulation | None, key: str) -> Any:
    if encapsulation in (None, Encapsulation.RAW) or not isinstance(data, str):
        return data
    if encapsulation.in_blocks:
        return decrypt_block(base64_bytes(data), key, encapsulation.bits).plain
    return decrypt_counter_text(data, key, encapsulation.bits)


def _value(data: Any) -> Any:
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    if not isinstance(data, str):
        return data
    text = data.rstrip("\0")
    try:
        return decode_json(text)
    except ValueError:
        return text
