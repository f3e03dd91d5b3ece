"""The statements of a PostgreSQL dump: cut at semicolons outside quotes, and rows of COPY as blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backstay.errors import LoadError

_READ = 1 << 20
_COPY = re.compile(rb"\s*COPY\s(?:[^;\"]|\"[^\"]*\")*\sFROM\s+stdin\s*\Z", re.IGNORECASE)
_ATOMIC = re.compile(rb"\bBEGIN\s+ATOMIC\b", re.IGNORECASE)
_WORDS = re.compile(rb"'[^']*(?:''[^']*)*'(?!')|\"[^\"]*\"|--[^\n]*|\b(BEGIN|CASE|END)\b", re.IGNORECASE)
_BODY = re.compile(
    # No possessive groups: they match wrongly in Python before 3.11.5. Bounded, so that the matcher remembers little.
    # An E that begins a string with escapes is never taken alone: the string may go on behind what was read so far.
    rb"(?:[^'\"$/;\-eE]+|(?<![\w$])[eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')|(?<=[\w$])[eE]|[eE](?!')"
    rb"|'[^']*(?:''[^']*)*'(?!')|\"[^\"]*\"|--[^\n]*(?:\n|\Z)|-(?!-)|/\*[^*]*(?:\*(?!/)[^*]*)*\*/|/(?!\*)"
    rb"|\$(?P<tag>(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?)\$.*?\$(?P=tag)\$"
    rb"|\$(?!(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)){1,500}",
    re.DOTALL,
)
_COMMENTS = re.compile(rb"(?:\s+|--[^\n]*(?:\n|\Z))+")
_LINE_END = re.compile(rb"[ \t]*\r?\n")
_END_OF_COPY = b"\n\\.\n"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: where it begins in its part, its text, and whether rows of COPY follow."""

    offset: int
    text: bytes
    copies: bool = False


class StatementReader:
    """Reads a part of a dump: statements by :meth:`statements`, and after each COPY its :meth:`rows`."""

    def __init__(self, part: BinaryIO) -> None:
        self._part = part
        self._buffer = b""
        self._offset = 0
        self._ended = False

    def statements(self) -> Iterator[Statement]:
        """Yield each statement; the rows of a COPY must be read before the next.

        Raises:
            LoadError: a quotation mark or a comment has no end.
        """
        while (found := self._next()) is not None:
            if found.text:
                yield found

    def rows(self) -> Iterator[bytes]:
        """Yield the bytes of the rows of the COPY that was yielded last, without their end mark.

        Raises:
            LoadError: the part ends before the rows do.
        """
        self._skip(_LINE_END)
        at_start = True
        while True:
            if at_start and self._buffer.startswith(_END_OF_COPY[1:]):
                self._cut(len(_END_OF_COPY) - 1)
                return
            if (found := self._buffer.find(_END_OF_COPY)) >= 0:
                yield self._buffer[: found + 1]
                self._cut(found + len(_END_OF_COPY))
                return
            # The end mark may have been cut by the end of what was read.
            ready = len(self._buffer) - len(_END_OF_COPY)
            if ready > 0:
                yield self._buffer[:ready]
                self._cut(ready)
                at_start = False
            if not self._more():
                raise LoadError(f"the rows that end at byte {self._offset + len(self._buffer)} lack their end mark")

    def _next(self) -> Statement | None:
        self._skip(_COMMENTS)
        position = 0
        while True:
            end = position
            while match := _BODY.match(self._buffer, end):
                end = match.end()
            if end + 2 >= len(self._buffer) and not self._ended:
                self._more()
                position = 0
                continue
            if not self._buffer.startswith(b";", end):
                if end >= len(self._buffer):
                    return self._taken(end, end)
                if self._more():
                    position = 0
                    continue
                raise LoadError(f"the statement that begins at byte {self._offset} has no end")
            text = self._buffer[:end]
            if not _ATOMIC.search(text) or _depth(text) <= 0:
                return self._taken(end, end + 1)
            position = end + 1

    def _taken(self, end: int, following: int) -> Statement | None:
        text, offset = self._buffer[:end], self._offset
        if not following:
            return None
        self._cut(following)
        bare = text.strip()
        return Statement(offset, bare, _COPY.match(bare) is not None)

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        while True:
            match = pattern.match(self._buffer)
            whole = match is None or match.end() < len(self._buffer)
            if (self._buffer and whole) or not self._more():
                if match := pattern.match(self._buffer):
                    self._cut(match.end())
                return

    def _cut(self, position: int) -> None:
        self._buffer = self._buffer[position:]
        self._offset += position

    def _more(self) -> bool:
        received = b"" if self._ended else self._part.read(max(_READ, len(self._buffer)))
        self._ended = not received
        self._buffer += received
        return bool(received)


def _depth(text: bytes) -> int:
    """Return how many blocks of an SQL-standard function body are still open."""
    depth = 0
    for match in _WORDS.finditer(text):
        if match[1]:
            depth += -1 if match[1].upper() == b"END" else 1
    return depth
