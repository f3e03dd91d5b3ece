"""``.env`` files: values replaced, and every other byte kept."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(
    rb"^(?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.]*)[ \t]*=[ \t]*)"
    rb"(?P<value>'[^']*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[^\r\n]*?)(?P<tail>[ \t]*(?:(?<=[ \t'\"])\#[^\r\n]*)?\r?)$",
    re.MULTILINE | re.DOTALL,
)
_BARE = re.compile(rb"[\w./:@%+,=?~-]*")
_ESCAPE = re.compile(rb'\\(["\\$nrt])')
_MEANINGS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def read(source: bytes) -> dict[str, bytes]:
    """Return the values by name; where a name is set twice, the last."""
    return {match["name"].decode(): _meaning(match["value"]) for match in _LINE.finditer(source)}


def replaced(source: bytes, values: Mapping[str, bytes]) -> bytes:
    """Return the source with other values for names that it sets; a value that needs no quotes keeps having none."""

    def change(match: re.Match[bytes]) -> bytes:
        name = match["name"].decode()
        if name not in values or _meaning(match["value"]) == values[name]:
            return match[0]
        return match["head"] + _written(values[name], like=match["value"]) + match["tail"]

    return _LINE.sub(change, source)


def _meaning(value: bytes) -> bytes:
    if value[:1] == b"'":
        return value[1:-1]
    if value[:1] == b'"':
        return _ESCAPE.sub(lambda match: _MEANINGS.get(match[1], match[1]), value[1:-1])
    return value


def _written(value: bytes, *, like: bytes) -> bytes:
    if like[:1] == b"'" and b"'" not in value:
        return b"'" + value + b"'"
    if like[:1] not in (b"'", b'"') and _BARE.fullmatch(value):
        return value
    if b"'" not in value and (b"$" in value or b"\\" in value or b'"' in value):
        # Readers differ in what they take for an escape in double quotes, and agree on single ones.
        return b"'" + value + b"'"
    return b'"' + re.sub(rb'(["\\$])', rb"\\\1", value).replace(b"\n", b"\\n") + b'"'
