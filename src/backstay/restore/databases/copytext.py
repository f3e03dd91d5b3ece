"""Replacement in PostgreSQL's dumps: in the rows of ``COPY … FROM stdin``, whose text form says what each field is.

Fields are parted by tabs, rows by newlines, and escaped with backslashes (PostgreSQL documentation, COPY, text format).
Numbers, times and binary data hold nothing that an address would be found in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from backstay.restore.replacement import Replacer

_COPY = re.compile(rb'COPY\s+((?:[^\s("]|"(?:[^"]|"")*")+)\s*(\(.*\))?\s+FROM\s+stdin;\s*\Z', re.IGNORECASE | re.DOTALL)
_ESCAPE = re.compile(rb"\\([bfnrtv\\])")
_MEANINGS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\"}
_WRITTEN = {meaning: b"\\" + letter for letter, meaning in _MEANINGS.items()}
_SPECIAL = re.compile(rb"[\b\f\n\r\t\v\\]")


def replaced_in_copies(source: BinaryIO, replacer: Replacer, counts: dict[str, int]) -> Iterator[bytes]:
    """Yield a part of a dump, texts in its rows replaced.

    Args:
        source: the part.
        replacer: what is replaced.
        counts: table → texts changed; added to.
    """
    table = ""
    for line in source:
        if not table:
            if match := _COPY.match(line):
                table = match[1].decode("utf-8", "backslashreplace").replace('"', "")
            yield line
        elif line.rstrip(b"\r\n") == b"\\.":
            table = ""
            yield line
        else:
            changed, count = _row(line, replacer)
            if count:
                counts[table] = counts.get(table, 0) + count
            yield changed


def _row(line: bytes, replacer: Replacer) -> tuple[bytes, int]:
    body = line.rstrip(b"\n")
    fields = body.split(b"\t")
    count = 0
    for index, field in enumerate(fields):
        if field == b"\\N" or field.startswith(b"\\\\x"):
            continue
        before = _ESCAPE.sub(lambda match: _MEANINGS[match[1]], field) if b"\\" in field else field
        after = replacer.apply(before)
        if after is not before:
            fields[index] = _SPECIAL.sub(lambda match: _WRITTEN[match[0]], after)
            count += 1
    return (b"\t".join(fields) + line[len(body) :] if count else line), count
