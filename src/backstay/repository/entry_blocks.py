"""The entries of one chunk of lines in an archive, wherever in it they lie: made once, and joined in bulk."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import EntryType
from backstay.archives.formats import STORED
from backstay.archives.manifest import with_position
from backstay.archives.names import path_bytes
from backstay.archives.zip.layout import central_length
from backstay.repository.entry_formats import Format, entry_of
from backstay.repository.layout import ChunkRef, pack_refs, parse_refs
from backstay.repository.lines import Line, manifest_text

NOWHERE = (1 << 64) - 1
_PLACE = struct.Struct("<16sI")
_COUNTS = struct.Struct("<QQQIIII")


@dataclass(frozen=True, slots=True)
class EntryBlock:
    """Entries side by side: bytes, then a chunk, then bytes, and so on, with bytes at the end.

    Attributes:
        size: bytes of all of it.
        content_size: of the content of all entries.
        compressed_size: of it in the archive.
        headers: bytes of the header of each line's entry, 0 where it has none.
        places: where the header begins, in bytes from the beginning of the block, `NOWHERE` where there is none.
        lengths: bytes before each chunk, and behind the last.
        inflated: for each chunk, 1 where its content stands there, 0 where its deflated bytes do.
        literals: the bytes between the chunks, one behind another.
        refs: the references to the chunks, one behind another.
        records: of ZIP's directory, as if each entry lay first.
    """

    size: int
    content_size: int
    compressed_size: int
    headers: array[int]
    places: array[int]
    lengths: array[int]
    inflated: bytes
    literals: bytes
    refs: bytes
    records: list[bytes]

    def chunks(self) -> list[ChunkRef]:
        """Give the chunks."""
        return parse_refs(self.refs)

    @property
    def lines(self) -> int:
        """The number of lines and chunks."""
        return len(self.headers) + len(self.inflated)

    def literal_pieces(self) -> list[bytes]:
        """Give the bytes before each chunk, and behind the last."""
        literals = self.literals
        ends = list(accumulate(self.lengths))
        return [literals[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def entry_places(self) -> list[int]:
        """Give where the header of each entry begins."""
        return [place for place in self.places if place != NOWHERE]


def make_block(lines: list[Line], made: Format) -> EntryBlock:
    """Make the entries of lines."""
    headers, places, lengths = array("I"), array("Q"), array("I")
    inflated = bytearray()
    literals: list[bytes] = []
    refs: list[ChunkRef] = []
    records: list[bytes] = []
    at = pending = content_size = compressed_size = 0
    for line in lines:
        entry = entry_of(line, made)
        if entry is None:
            headers.append(0)
            places.append(NOWHERE)
            continue
        head, content = entry
        header = made.header(head, content)
        headers.append(len(header))
        places.append(at)
        literals.append(header)
        pending += len(header)
        for ref in line.chunks:
            lengths.append(pending)
            pending = 0
            refs.append(ref)
            inflated.append(content.method == STORED)
        if head.type is EntryType.SYMLINK:
            ending = path_bytes(line.line.target or "")
        else:
            ending = EMPTY_STREAM if head.type is EntryType.FILE and content.method != STORED else b""
        literals.append(ending)
        pending += len(ending)
        at += len(header) + content.compressed_size
        content_size += content.size
        compressed_size += content.compressed_size
        if record := made.record(head, content):
            records.append(record)
    lengths.append(pending)
    return EntryBlock(
        at,
        content_size,
        compressed_size,
        headers,
        places,
        lengths,
        bytes(inflated),
        b"".join(literals),
        pack_refs(refs),
        records,
    )


def pack_block(block: EntryBlock) -> bytes:
    """Write a block as this machine keeps it."""
    records = b"".join(block.records)
    counts = _COUNTS.pack(
        block.size, block.content_size, block.compressed_size,
        len(block.headers), len(block.inflated), len(block.literals), len(records),
    )  # fmt: skip
    arrays = (block.headers, block.places, block.lengths)
    return b"".join((counts, *(part.tobytes() for part in arrays), block.inflated, block.literals, block.refs, records))


def parse_block(data: bytes) -> EntryBlock:
    """Read what `pack_block` has written on this machine."""
    size, content_size, compressed_size, lines, chunks, literal, record_bytes = _COUNTS.unpack_from(data)
    at = _COUNTS.size
    arrays = []
    for kind, count in (("I", lines), ("Q", lines), ("I", chunks + 1)):
        part = array(kind)
        part.frombytes(data[at : at + count * part.itemsize])
        arrays.append(part)
        at += count * part.itemsize
    inflated = data[at : at + chunks]
    at += chunks
    literals = data[at : at + literal]
    at += literal
    refs = data[at : len(data) - record_bytes]
    records = _cut(data[len(data) - record_bytes :]) if record_bytes else []
    return EntryBlock(
        size, content_size, compressed_size, arrays[0], arrays[1], arrays[2], inflated, literals, refs, records
    )


def _cut(records: bytes) -> list[bytes]:
    found = []
    at = 0
    while at < len(records):
        length = central_length(records[at : at + 46])
        found.append(records[at : at + length])
        at += length
    return found


def pack_places(places: Iterable[tuple[str, int]]) -> bytes:
    """Write where chunks lie, packs and offsets in them, as this machine keeps it."""
    return b"".join(_PLACE.pack(bytes.fromhex(pack), offset) for pack, offset in places)


def parse_places(data: bytes) -> list[tuple[str, int]]:
    """Read what `pack_places` has written."""
    places = list(_PLACE.iter_unpack(data))
    names = {pack: pack.hex() for pack in {pack for pack, _ in places}}
    return [(names[pack], offset) for pack, offset in places]


def placed_texts(content: bytes, block: EntryBlock, start: int) -> list[bytes]:
    """Give what the manifest says of the lines of a chunk, with where the header of each entry lies.

    Args:
        content: of the chunk of lines.
        block: its entries.
        start: where these begin in the stream of all parts.
    """
    return [
        text if place == NOWHERE else with_position(text, start + place)
        for text, place in zip(map(manifest_text, content.splitlines(keepends=True)), block.places, strict=True)
    ]
