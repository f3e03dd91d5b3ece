"""PHP's serialised values: strings in them changed, their lengths made right again.

The form is that of PHP's ``serialize()``: ``s:5:"hello";`` with lengths in bytes, ``a:2:{…}``, ``O:3:"Foo":1:{…}``,
``C:3:"Foo":4:{…}``, ``i:…;``, ``d:…;``, ``b:…;``, ``N;``, ``R:…;``, ``r:…;`` and ``E:…:"…";``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Change = Callable[[bytes], bytes]

_BEGIN = re.compile(rb"[aOC]:\d{1,10}:[{\"]|s:\d{1,10}:\"|E:\d{1,10}:\"")
_SCALAR = re.compile(rb"N;|i:[+-]?\d+;|b:[01];|[rR]:\d+;|d:[^;]{1,64};")
_TEXT = re.compile(rb"([sE]):(\d{1,10}):\"")
_ARRAY = re.compile(rb"a:(\d{1,10}):\{")
_OBJECT = re.compile(rb"O:(\d{1,10}):\"")
_CUSTOM = re.compile(rb"C:(\d{1,10}):\"")
_MEMBERS = re.compile(rb"\":(\d{1,10}):\{")
_FRAGMENT = re.compile(rb"s:(\d{1,10}):\"")


def rewrite(data: bytes, change: Change) -> bytes | None:
    """Change the strings of a serialised value.

    Args:
        data: the value, as PHP wrote it.
        change: gives another content for the content of a string; called for keys too.

    Returns:
        The value with its lengths made right, or None where the data is not one whole serialised value.
    """
    if not _BEGIN.match(data):
        return None
    return _Rewriting(data, change).run()


def rewrite_fragments(data: bytes, change: Change, plain: Change) -> bytes:
    """Change the serialised strings that stand in a text, and what is between them.

    PHP's sessions (``name|value…``) and serialised values whose outer structure is damaged are such texts.

    Args:
        data: the text.
        change: gives another content for the content of a string whose length is right.
        plain: gives another text for what is not part of such a string.
    """
    out: list[bytes] = []
    done = 0
    while match := _FRAGMENT.search(data, done):
        end = match.end() + int(match[1])
        if data[end : end + 2] != b'";':
            out.append(plain(data[done : match.end()]))
            done = match.end()
            continue
        content = change(data[match.end() : end])
        out += [plain(data[done : match.start()]), b's:%d:"' % len(content), content, b'";']
        done = end + 2
    out.append(plain(data[done:]))
    return b"".join(out)


class _Rewriting:
    """One walk over a value: no recursion, for depth is the data's to choose."""

    def __init__(self, data: bytes, change: Change) -> None:
        self._data = data
        self._change = change
        self._position = 0
        self._out: list[bytes] = []
        # Values that are still to come in each array and object that is open.
        self._open: list[int] = []

    def run(self) -> bytes | None:
        while True:
            before = len(self._open)
            if not self._value():
                return None
            if len(self._open) == before and not self._close():
                return None
            if len(self._open) > before and self._open[-1] == 0 and not self._close_empty():
                return None
            if not self._open:
                break
        rest = self._data[self._position :]
        if rest.strip():
            return None
        self._out.append(rest)
        return b"".join(self._out)

    def _value(self) -> bool:
        data, position = self._data, self._position
        if match := _SCALAR.match(data, position):
            self._take(match.end())
        elif match := _TEXT.match(data, position):
            return self._text(match)
        elif match := _ARRAY.match(data, position):
            self._take(match.end())
            self._open.append(2 * int(match[1]))
        elif match := _OBJECT.match(data, position):
            members = _MEMBERS.match(data, match.end() + int(match[1]))
            if not members:
                return False
            self._take(members.end())
            self._open.append(2 * int(members[1]))
        elif match := _CUSTOM.match(data, position):
            return self._custom(match)
        else:
            return False
        return True

    def _text(self, match: re.Match[bytes]) -> bool:
        end = match.end() + int(match[2])
        if self._data[end : end + 2] != b'";':
            return False
        content = self._data[match.end() : end]
        # Cases of enumerations name code; so do properties that are not public (NUL, class, NUL, name).
        if match[1] == b"s" and not content.startswith(b"\0"):
            content = self._change(content)
        self._out.append(b'%s:%d:"%s";' % (match[1], len(content), content))
        self._position = end + 2
        return True

    def _custom(self, match: re.Match[bytes]) -> bool:
        """Take an object that serialises itself: its payload is a text of its own making."""
        members = _MEMBERS.match(self._data, match.end() + int(match[1]))
        if not members:
            return False
        end = members.end() + int(members[1])
        if self._data[end : end + 1] != b"}":
            return False
        payload = self._change(self._data[members.end() : end])
        head = self._data[self._position : members.start()]
        self._out.append(b'%s":%d:{%s}' % (head, len(payload), payload))
        self._position = end + 1
        return True

    def _take(self, end: int) -> None:
        self._out.append(self._data[self._position : end])
        self._position = end

    def _close(self) -> bool:
        """Count a value that is done, and close what it completes."""
        while self._open:
            self._open[-1] -= 1
            if self._open[-1]:
                return True
            if not self._brace():
                return False
        return True

    def _close_empty(self) -> bool:
        return self._brace() and self._close()

    def _brace(self) -> bool:
        if self._data[self._position : self._position + 1] != b"}":
            return False
        self._take(self._position + 1)
        self._open.pop()
        return True
