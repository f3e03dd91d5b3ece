"""Where each byte lies in the archive as which a snapshot is handed out: sums over its lines, without any content.

The archive is what the ordinary writer makes of the same entries, with three differences: content is one deflate stream
made of the chunks as they are, or stored where it is large; the manifest is stored; and its own files have the time of
the snapshot. So the same snapshot gives the same bytes every time.
"""

from __future__ import annotations

import bisect
import json
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

from backstay.repository.entry_formats import Form
from backstay.repository.layout import ChunkRef, pack_refs, parse_refs

_NUMBERS = ("pointer_at", "own_records_at", "ending_at", "length", "entries")
_BYTES = ("tail", "pointer", "own_records", "beginning", "ending")
_ARRAYS = ("starts", "records", "parts")


class Piece(NamedTuple):
    """A file of the archive's manifest.

    Attributes:
        at: offset of its header in the stream of all parts.
        segment: number of the chunk of lines in which it begins.
        line: number of its first line there.
        lines: how many lines it has.
        size: its bytes, those behind its lines among them.
        crc: CRC-32 of it.
    """

    at: int
    segment: int
    line: int
    lines: int
    size: int
    crc: int


@dataclass(slots=True)
class ArchiveLayout:
    """Where everything lies, in offsets of the stream of all parts.

    Attributes:
        form: what it is the layout of.
        segments: the chunks with the lines.
        starts: where the entries of each of them begin, and where those of the last end.
        pieces: the files of the manifest.
        tail: the last lines of the manifest, behind those of the entries.
        pointer: the file that says where the manifest lies.
        pointer_at: where its header is.
        records: where the records of ZIP's central directory for each chunk of lines begin; empty for JPA.
        own_records: those of the archive's own files.
        own_records_at: where they begin.
        beginning: what stands before the first entry.
        ending: what stands behind everything else.
        ending_at: where it begins.
        parts: where each part begins.
        length: bytes of all parts.
        entries: number of all entries.
        mtime: time of the archive's own files.
    """

    form: Form
    segments: list[ChunkRef]
    mtime: int
    starts: array[int] = field(default_factory=lambda: array("Q"))
    pieces: list[Piece] = field(default_factory=list)
    tail: bytes = b""
    pointer: bytes = b""
    pointer_at: int = 0
    records: array[int] = field(default_factory=lambda: array("Q"))
    own_records: bytes = b""
    own_records_at: int = 0
    beginning: bytes = b""
    ending: bytes = b""
    ending_at: int = 0
    parts: array[int] = field(default_factory=lambda: array("Q"))
    length: int = 0
    entries: int = 0

    def position(self, at: int) -> tuple[int, int]:
        """Give the number of the part, from 0, and the offset in it, of something that begins at an offset."""
        number = bisect.bisect_right(self.parts, at) - 1
        return number, at - self.parts[number]


def pack_layout(layout: ArchiveLayout) -> bytes:
    """Write a layout as this machine keeps it."""
    fields = {
        "form": layout.form,
        "mtime": layout.mtime,
        "pieces": layout.pieces,
        "numbers": [getattr(layout, name) for name in _NUMBERS],
        "bytes": [getattr(layout, name).hex() for name in _BYTES],
        "arrays": [len(getattr(layout, name)) for name in _ARRAYS],
    }
    arrays = [getattr(layout, name).tobytes() for name in _ARRAYS]
    text = json.dumps(fields).encode("ascii")
    return b"".join((len(text).to_bytes(8, "little"), text, *arrays, pack_refs(layout.segments)))


def parse_layout(data: bytes) -> ArchiveLayout:
    """Read what `pack_layout` has written on this machine."""
    at = 8 + int.from_bytes(data[:8], "little")
    fields = json.loads(data[8:at])
    layout = ArchiveLayout(Form(*fields["form"]), [], fields["mtime"])
    layout.pieces = [Piece(*piece) for piece in fields["pieces"]]
    for name, number in zip(_NUMBERS, fields["numbers"], strict=True):
        setattr(layout, name, number)
    for name, text in zip(_BYTES, fields["bytes"], strict=True):
        setattr(layout, name, bytes.fromhex(text))
    for name, count in zip(_ARRAYS, fields["arrays"], strict=True):
        found = array("Q")
        found.frombytes(data[at : at + 8 * count])
        setattr(layout, name, found)
        at += 8 * count
    layout.segments = parse_refs(data[at:])
    return layout
