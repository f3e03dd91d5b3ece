"""Reading what PHP's ``serialize`` wrote: arrays, texts, numbers, booleans and null; nothing else is let in.

Old versions of the reference engine keep filters in this form (engine-behaviour 6.1). Objects are refused: no text from
outside ever makes anything but plain values.
"""

from __future__ import annotations

from typing import Any

_MOST_DEPTH = 32
_LONGEST_NUMBER = 32


def read_serialized(text: str) -> Any:
    """Return the value that a serialized text holds; arrays as dictionaries with text keys.

    Raises:
        ValueError: it is not of this form, holds an object, or nests too deep.
    """
    content = text.strip().encode("utf-8", "surrogateescape")
    value, position = _value(content, 0, 0)
    if position != len(content):
        raise ValueError("There is something after the serialized value.")
    return value


def _value(content: bytes, position: int, depth: int) -> tuple[Any, int]:
    if depth > _MOST_DEPTH:
        raise ValueError("The serialized value nests too deep.")
    kind = content[position : position + 2]
    if kind == b"N;":
        return None, position + 2
    if kind == b"s:":
        return _text(content, position + 2)
    if kind == b"a:":
        return _array(content, position + 2, depth)
    if kind in (b"i:", b"b:", b"d:"):
        number, after = _until(content, position + 2, b";")
        return (float(number) if kind == b"d:" else bool(int(number)) if kind == b"b:" else int(number)), after
    raise ValueError("The value is not one that PHP serialized, or holds an object.")


def _until(content: bytes, position: int, mark: bytes) -> tuple[str, int]:
    end = content.find(mark, position, position + _LONGEST_NUMBER)
    if end < 0:
        raise ValueError("The serialized value is cut short.")
    return content[position:end].decode("ascii"), end + 1


def _text(content: bytes, position: int) -> tuple[str, int]:
    length, start = _until(content, position, b":")
    end = start + 1 + int(length)
    if int(length) < 0 or content[start : start + 1] != b'"' or content[end : end + 2] != b'";':
        raise ValueError("A text in the serialized value has another length than it says.")
    return content[start + 1 : end].decode("utf-8", "surrogateescape"), end + 2


def _array(content: bytes, position: int, depth: int) -> tuple[dict[str, Any], int]:
    count, position = _until(content, position, b":")
    if content[position : position + 1] != b"{":
        raise ValueError("An array in the serialized value does not begin.")
    position += 1
    members: dict[str, Any] = {}
    for _ in range(int(count)):
        key, position = _value(content, position, depth + 1)
        if isinstance(key, dict) or key is None:
            raise ValueError("A key in the serialized value is not a text or number.")
        members[str(key)], position = _value(content, position, depth + 1)
    if content[position : position + 1] != b"}":
        raise ValueError("An array in the serialized value does not end.")
    return members, position + 1
