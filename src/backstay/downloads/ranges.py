"""The ``Range`` header (RFC 9110 section 14) as an offset and a length."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_RANGES = 100
_RANGE = re.compile(r"(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a file: where it begins and how long it is, in bytes."""

    start: int
    length: int


class UnsatisfiableRangeError(ValueError):
    """No byte of what was asked for exists (HTTP 416)."""


def requested_span(header: str | None, size: int) -> Span | None:
    """Return the one piece of a file that a ``Range`` header asks for.

    Several ranges are answered as one where they touch or overlap.

    Args:
        header: value of the header, or None.
        size: of the file, in bytes.

    Returns:
        The piece, or None where the whole file is to be sent: no header, another unit than bytes, a header that is
        not well formed, or several ranges with gaps between them.

    Raises:
        UnsatisfiableRangeError: the header is well formed, and no byte of the file lies in what it asks for.
    """
    unit, separator, text = (header or "").partition("=")
    if not separator or unit.strip().lower() != "bytes":
        return None
    pieces = [piece.strip(" \t") for piece in text.split(",")]
    if len(pieces) > _MOST_RANGES:
        return None
    matches = [_RANGE.fullmatch(piece) for piece in pieces if piece]
    if not matches:
        return None
    spans = []
    for match in matches:
        if match is None or _is_backwards(match):
            return None
        spans.append(_borders(match, size))
    spans = sorted((start, stop) for start, stop in spans if start < stop)
    if not spans:
        raise UnsatisfiableRangeError(text)
    first, end = spans[0]
    for start, stop in spans[1:]:
        if start > end:
            return None
        end = max(end, stop)
    return Span(first, end - first)


def _is_backwards(match: re.Match[str]) -> bool:
    return bool(match[1] and match[2]) and int(match[2]) < int(match[1])


def _borders(match: re.Match[str], size: int) -> tuple[int, int]:
    if match[3]:
        return max(0, size - int(match[3])), size
    return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
