"""Finding the last entry of a format that has no directory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from backstay.archives.part_stream import Window
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from backstay.archives.entries import Entry
    from backstay.archives.formats import FormatReader

_TAIL = 4096


def last_entity(reader: FormatReader, path: str, signature: bytes, end: int) -> Entry | None:
    """Find the last entry of a format that has no directory; see `FormatReader.last_entry`.

    Args:
        reader: of the archive.
        path: of the entry.
        signature: that every entry's header begins with.
        end: of the last entry, in the stream.
    """
    base = max(end - _TAIL, 0)
    tail = reader.stream.read(base, end - base)
    window = Window(reader.stream, start=base, data=tail)
    found = tail.rfind(signature)
    while found >= 0:
        # Anything may look like the signature.
        with contextlib.suppress(DamagedArchiveError):
            entry, entry_end = reader.entry_at(window, base + found)
            if entry.path == path and entry_end == end:
                return entry
        found = tail.rfind(signature, 0, found)
    return None
