"""Parameters and replies of versions 2 and 3 as text.

Parameters are bracketed as PHP does it: ``data[filters][tables][0]=x``. In that form empty lists, empty objects and
nulls vanish and ``true`` is ``1`` (clients.md, v2 requests). Replies are ``{"status":200,"data":…}`` (api-v3.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from backstay.api.conversion import MAX_DEPTH
from backstay.api.status import NOT_ENCODABLE, ApiError, Status

MAX_PARAMETERS = 10_000
"""How many parameters one request may carry."""

ROUTING_PARAMETERS = frozenset({"option", "view", "format", "tmpl", "method", "_akeebaauth", "action", "json"})
"""Parameters that say where a request goes and who sends it; no method has one of these names."""


def plain(value: Any) -> Any:
    """A reply as JSON values: models become objects with the API's own keys, in the API's order."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="python", warnings=False)
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    return value


def reply_value(value: Any, *, version: int) -> Any:
    """A method's reply as JSON values for one version of the API.

    Args:
        value: what the method gave: a reply model, a list of them, or plain values.
        version: 1, 2 or 3. ``api`` in the reply of getVersion is a string in version 1 up to level 400
            (api-methods.md 1).

    Returns:
        JSON values.
    """
    shown = plain(value)
    if version == 1 and isinstance(shown, dict) and "component" in shown and isinstance(shown.get("api"), int):
        level = shown["api"]
        return {**shown, "api": str(level) if level <= 400 else level}
    return shown


def json_text(value: Any) -> str:
    """JSON values as compact ASCII text.

    Text that holds bytes of no encoding (``os.fsdecode``) is written with backslashes, as any half of a surrogate pair
    would make the whole reply unreadable for PHP.

    Raises:
        ApiError: status 500, where the value cannot be written as JSON.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        if "\\ud" in text:
            text = json.dumps(_shown(value), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ApiError(Status.ERROR, NOT_ENCODABLE) from None
    return text


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_shown(key): _shown(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(member) for member in value]
    return value


def encode_reply(status: int, data: Any) -> bytes:
    """A reply of version 2 or 3 as the body of an HTTP reply.

    ``#`` is written as an escape, so that ``###`` never occurs: clients cut replies at it (clients.md, replies).

    Raises:
        ApiError: status 500, where ``data`` cannot be written as JSON.
    """
    return f'{{"status":{int(status)},"data":{json_text(data)}}}'.replace("#", "\\u0023").encode("ascii")


def decode_parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Named parameters from the pairs of a query or a form, brackets resolved as PHP does.

    Args:
        pairs: names and values, URL-decoded, in the order they came.

    Returns:
        The parameters; keys ``0`` to ``n-1`` in that order become a list. A later pair wins over an earlier one.

    Raises:
        ApiError: status 500, for more than ``MAX_PARAMETERS`` pairs or brackets nested deeper than ``MAX_DEPTH``.
    """
    tree: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs):
        if count >= MAX_PARAMETERS:
            raise ApiError(Status.ERROR, f"The request has more than {MAX_PARAMETERS} parameters")
        if "[" in name:
            _set_at(tree, _path_of(name), value)
        else:
            tree[name] = value
    return {key: _settled(value) for key, value in tree.items()}


def _path_of(name: str) -> list[str]:
    """The keys in a bracketed name; text after the last bracket is dropped and an open bracket is text, as in PHP."""
    first, _, rest = name.partition("[")
    if not first or "]" not in rest:
        return [name]
    path = [first]
    while True:
        key, closed, rest = rest.partition("]")
        if not closed:
            return path
        path.append(key)
        if len(path) > MAX_DEPTH:
            raise ApiError(Status.ERROR, "The parameters of the request nest too deep")
        if not rest.startswith("["):
            return path
        rest = rest[1:]


class _Branch(dict[str, Any]):
    """A level of brackets; empty brackets take the next free number."""

    next_number = 0

    def key(self, given: str) -> str:
        key = given or str(self.next_number)
        if key.isascii() and key.isdigit() and len(key) < 18:
            self.next_number = max(self.next_number, int(key) + 1)
        return key


def _set_at(tree: dict[str, Any], path: list[str], value: str) -> None:
    first, *between = path
    here: dict[str, Any] = tree
    key = first
    for following in between:
        branch = here.get(key)
        if not isinstance(branch, _Branch):
            branch = here[key] = _Branch()
        here, key = branch, branch.key(following)
    here[key] = value


def _settled(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key == str(position) for position, key in enumerate(value)):
        return [_settled(member) for member in value.values()]
    return {key: _settled(member) for key, member in value.items()}


def encode_parameters(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Parameters as the pairs of a query or a form, bracketed; the way back is ``decode_parameters``.

    Empty lists, empty objects and nulls vanish; ``true`` is ``1`` and ``false`` is ``0``.
    """
    return [pair for name, value in data.items() for pair in _pairs(name, value)]


def _pairs(name: str, value: Any) -> Iterable[tuple[str, str]]:
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _pairs(f"{name}[{key}]", member)
    elif isinstance(value, (list, tuple)):
        for position, member in enumerate(value):
            yield from _pairs(f"{name}[{position}]", member)
    elif isinstance(value, bool):
        yield name, "1" if value else "0"
    else:
        yield name, str(value)
