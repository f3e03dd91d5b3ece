"""Parameters as PHP converts them: every conversion takes any value and never fails.

Version 2 and 3 of the API send everything as text; the servers that clients were made for convert it as PHP does
(api-methods.md, general rules): ``"12abc"`` is 12, ``"abc"`` is 0. Where a value cannot mean anything, the neutral one
of the type is taken.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

LARGEST_INTEGER = 2**63 - 1
MAX_DEPTH = 64
"""How deep lists and objects may nest in anything that comes from outside."""

_LEADING_NUMBER = re.compile(r"[ \t\n\r\v\f]*([+-]?\d{1,400}(?:\.\d{0,400})?(?:[eE][+-]?\d{1,4})?)", re.ASCII)
_FALSE_WORDS = frozenset({"", "0", "false", "off", "no", "null"})


class DepthError(ValueError):
    """JSON from outside nests deeper than anything the API means."""


def decode_json(text: str | bytes) -> Any:
    """JSON text as Python values, safely.

    Args:
        text: JSON from outside; bytes must be UTF-8.

    Returns:
        The decoded value.

    Raises:
        ValueError: it is not JSON, holds ``NaN`` or ``Infinity``, or nests deeper than ``MAX_DEPTH``.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise DepthError("The JSON nests too deep.") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for container in level
            if isinstance(container, (list, dict))
            for member in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return value
    raise DepthError("The JSON nests too deep.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def integer(value: object) -> int:
    """A value as PHP's ``(int)`` gives it, held to 64 bits."""
    if isinstance(value, str):
        return _integer_of_text(value)
    if isinstance(value, (bool, int)):
        return _held(int(value))
    if isinstance(value, float):
        return _integer_of_float(value)
    return 1 if value else 0


def _integer_of_text(text: str) -> int:
    match = _LEADING_NUMBER.match(text)
    if match is None:
        return 0
    number = match[1]
    if number.lstrip("+-").isdigit():
        return _held(int(number))
    return _integer_of_float(float(number))


def _integer_of_float(number: float) -> int:
    if math.isnan(number):
        return 0
    return _held(int(max(min(number, 2.0**64), -(2.0**64))))


def _held(number: int) -> int:
    return max(-LARGEST_INTEGER - 1, min(number, LARGEST_INTEGER))


def boolean(value: object) -> bool:
    """A value as a switch: ``"0"``, ``"false"``, ``"off"``, ``"no"`` and nothing are off, all else is on."""
    if isinstance(value, str):
        return value.strip().lower() not in _FALSE_WORDS
    return bool(value)


def clean_text(text: str, *, keep_bytes: bool = False) -> str:
    """Text that can be encoded and stored: without NUL, and without halves of surrogate pairs.

    Args:
        text: any text, as JSON or a form gave it.
        keep_bytes: keep the surrogates that stand for undecodable bytes of a path (``os.fsdecode``).

    Returns:
        The text; what it could not keep is replaced by U+FFFD.
    """
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    kept = range(0xDC80, 0xDD00) if keep_bytes else range(0)
    return "".join(
        "\ufffd" if 0xD800 <= ord(character) < 0xE000 and ord(character) not in kept else character
        for character in joined
        if character != "\0"
    )


def text(value: object) -> str:
    """A value as text: numbers as PHP writes them, lists and objects as nothing."""
    if isinstance(value, str):
        return clean_text(value)
    return _text_of_scalar(value)


def path_text(value: object) -> str:
    """A value as the text of a path, in which bytes that are not UTF-8 survive as ``os.fsdecode`` gives them."""
    if isinstance(value, str):
        return clean_text(value, keep_bytes=True)
    return _text_of_scalar(value)


def _text_of_scalar(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, int):
        return str(_held(value))
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() else repr(value)
    return ""


def mapping(value: object) -> dict[str, Any]:
    """A value as an object: a dictionary, a list by its indexes, or JSON text that holds one of them; else empty."""
    if isinstance(value, str):
        try:
            value = decode_json(value)
        except ValueError:
            return {}
    if isinstance(value, list):
        value = {str(index): member for index, member in enumerate(value)}
    if not isinstance(value, dict):
        return {}
    cleaned: dict[str, Any] = clean(value)
    return cleaned


def clean(value: Any) -> Any:
    """A decoded JSON value with every text in it cleaned, keys too; it must not nest deeper than ``MAX_DEPTH``."""
    if isinstance(value, str):
        return clean_text(value, keep_bytes=True)
    if isinstance(value, dict):
        return {clean_text(str(key), keep_bytes=True): clean(member) for key, member in value.items()}
    if isinstance(value, list):
        return [clean(member) for member in value]
    return value


def profile_id(value: object) -> int:
    """A profile's number; zero and less mean profile 1 (api-methods.md, general rules)."""
    return max(1, integer(value))


Integer = Annotated[int, BeforeValidator(integer)]
Boolean = Annotated[bool, BeforeValidator(boolean)]
Text = Annotated[str, BeforeValidator(text)]
PathText = Annotated[str, BeforeValidator(path_text)]
Mapping = Annotated[dict[str, Any], BeforeValidator(mapping)]
ProfileId = Annotated[int, BeforeValidator(profile_id)]
