"""The statements in a part of a dump, one after the other, in memory of one statement.

Three forms are read: with markers (the vendor's since version 7, and Backstay's), one statement a line (2015), and
plain SQL with ``DELIMITER`` lines (database-only backups, and what ``mariadb-dump`` writes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO

from backstay.databases.parts import MARKER
from backstay.errors import LoadError

_READ = 1 << 20
_DELIMITER_LINE = re.compile(rb"\s*delimiter[ \t]+(\S+)[ \t]*(?:\r?\n|\Z)", re.IGNORECASE)
_MAY_BE_DELIMITER_LINE = re.compile(
    rb"\s*(?:d|de|del|deli|delim|delimi|delimit|delimite|delimiter[^\n]*)?\Z", re.IGNORECASE
)
_LINE_END = re.compile(rb"[ \t\r]*(?:\n|\Z)")
_COMPOUND = re.compile(
    rb"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*\S+\s+)?(?:AGGREGATE\s+)?(?:PROCEDURE|FUNCTION|TRIGGER|EVENT)\b",
    re.IGNORECASE,
)


def read_statements(part: BinaryIO, *, marker: bytes | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield each statement of a part and the offset in bytes at which it begins.

    Args:
        part: the part, opened.
        marker: what stands between statements (``databases.json`` says); ``None`` looks at the part itself.

    Raises:
        LoadError: a quotation mark or a comment has no end; the message says from which byte on.
    """
    start = part.read(_READ)
    if marker or start.lstrip()[: len(MARKER)] == MARKER:
        yield from _between_markers(part, start, marker or b"\n" + MARKER)
    else:
        yield from _plain(part, start)


def _between_markers(part: BinaryIO, buffer: bytes, marker: bytes) -> Iterator[tuple[int, bytes]]:
    comment = marker.strip()
    offset = searched = 0
    while True:
        position = 0
        while (found := buffer.find(marker, max(position, searched))) >= 0:
            yield from _cleaned(offset + position, buffer[position:found], comment)
            position = found + len(marker)
            searched = 0
        searched = max(0, len(buffer) - position - len(marker))
        buffer, offset = buffer[position:], offset + position
        received = part.read(max(_READ, len(buffer)))
        if not received:
            yield from _cleaned(offset, buffer, comment)
            return
        buffer += received


def _cleaned(offset: int, piece: bytes, comment: bytes) -> Iterator[tuple[int, bytes]]:
    """Take what surrounds a statement off it: markers, which are comments, its semicolon, and blanks."""
    while True:
        stripped = piece.lstrip()
        offset += len(piece) - len(stripped)
        if not stripped.startswith(comment):
            break
        piece = stripped[len(comment) :]
        offset += len(comment)
    stripped = stripped.rstrip()
    while stripped.endswith(comment):
        stripped = stripped[: -len(comment)].rstrip()
    if stripped := stripped.removesuffix(b";").rstrip():
        yield offset, stripped


@cache
def _until(delimiter: bytes) -> re.Pattern[bytes]:
    """Return what matches SQL up to a delimiter that stands outside quotes and comments."""
    first, rest = re.escape(delimiter[:1]), re.escape(delimiter[1:])
    lone = first + b"(?!" + rest + b")|" if rest else b""
    # No possessive groups: they match wrongly in Python before 3.11.5. A bounded number of pieces keeps what the
    # matcher remembers small; who uses it goes on until nothing more matches.
    return re.compile(
        rb"(?:[^'\"`#/\-" + first + rb"]+|" + lone + rb"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')"
        rb"|\"[^\"\\]*(?:(?:\\.|\"\")[^\"\\]*)*\"(?!\")|`[^`]*`"
        rb"|--(?=[\x00-\x20])[^\n]*(?:\n|\Z)|-(?!-[\x00-\x20])|\#__\w|\#(?!__\w)[^\n]*(?:\n|\Z)"
        rb"|/\*[^*]*(?:\*(?!/)[^*]*)*\*/|/(?!\*)){1,500}",
        re.DOTALL,
    )


def _plain(part: BinaryIO, buffer: bytes) -> Iterator[tuple[int, bytes]]:
    offset = position = 0
    delimiter = b";"
    ended = False
    while True:
        statement = _next_statement(buffer, position, delimiter, ended=ended)
        if statement is None:
            buffer, offset, position = buffer[position:], offset + position, 0
            received = part.read(max(_READ, len(buffer)))
            ended = not received
            buffer += received
            continue
        end, text, delimiter = statement
        if bare := text.strip():
            yield offset + position + len(text) - len(text.lstrip()), bare
        elif end == position:
            if buffer[position:].strip():
                raise LoadError(f"the statement that begins at byte {offset + position} has no end")
            return
        position = end


def _next_statement(buffer: bytes, position: int, delimiter: bytes, *, ended: bool) -> tuple[int, bytes, bytes] | None:
    """Return where the next statement ends, its text and the delimiter from there on; ``None`` to read more first."""
    if command := _DELIMITER_LINE.match(buffer, position):
        return command.end(), b"", command[1]
    if not ended and _MAY_BE_DELIMITER_LINE.match(buffer, position):
        return None
    pattern = _until(delimiter)
    end = position
    while True:
        while match := pattern.match(buffer, end):
            end = match.end()
        # What looks ahead may look past the end of what was read so far.
        if not ended and end + len(delimiter) + 2 >= len(buffer):
            return None
        if not buffer.startswith(delimiter, end):
            if not ended:
                return None
            whole = end >= len(buffer)
            return (end, buffer[position:end], delimiter) if whole else (position, b"", delimiter)
        after = end + len(delimiter)
        text = buffer[position:end]
        if delimiter != b";" or not _COMPOUND.match(text) or _ends_line(buffer, after):
            return after, text, delimiter
        end = after


def _ends_line(buffer: bytes, position: int) -> bool:
    return _LINE_END.match(buffer, position) is not None
