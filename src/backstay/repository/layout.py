"""The bytes of a repository's files: chunks' references, tables of packs, snapshots (docs/reference/repository.md)."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from blake3 import blake3

from backstay.errors import DamagedRepositoryError

FORMAT = 1
"""The version of everything described here."""

DATA, LINES, LIST = 0, 1, 2
"""What a chunk holds: a piece of a file, lines of a manifest, references to chunks of lines."""

PACK_MAGIC = b"BSTYPAK1"
PACK_HEADER = 24
SNAPSHOT_MAGIC = b"BSTYSNP1"
_END_MAGIC = b"BSTYEND1"

_REF = struct.Struct("<32sII8s")
_ROW = struct.Struct("<32sII8sIB3x")
_TRAILER = struct.Struct("<8sII32s")
_CHECK = 8
TRAILERS = 2 * (_TRAILER.size + _CHECK)
"""Bytes at the end of a pack that say where its tables are, twice."""
_HASH = 32


class ChunkRef(NamedTuple):
    """A chunk as a snapshot names it.

    Attributes:
        identity: BLAKE3 of the content, keyed where the repository is encrypted.
        size: bytes of the content.
        deflated: bytes of it, deflated.
        form: the first 8 bytes of the BLAKE3 of the deflated bytes: the same content may be deflated in several ways.
    """

    identity: bytes
    size: int
    deflated: int
    form: bytes

    @property
    def key(self) -> bytes:
        """What tells it from all other chunks: its identity and its form."""
        return self.identity + self.form


class Row(NamedTuple):
    """A chunk as the table of its pack names it.

    Attributes:
        ref: the chunk.
        offset: of its first byte in the pack.
        kind: `DATA`, `LINES` or `LIST`.
    """

    ref: ChunkRef
    offset: int
    kind: int


def form_of(deflated: bytes | memoryview) -> bytes:
    """Give the form of deflated bytes."""
    return blake3(deflated).digest(length=8)


def pack_refs(refs: list[ChunkRef]) -> bytes:
    """Write references one behind another."""
    return b"".join(_REF.pack(*ref) for ref in refs)


def parse_refs(data: bytes) -> list[ChunkRef]:
    """Read what `pack_refs` wrote.

    Raises:
        DamagedRepositoryError: it is cut short.
    """
    if len(data) % _REF.size:
        raise DamagedRepositoryError("A list of chunks in the repository is cut short.")
    return list(map(ChunkRef._make, _REF.iter_unpack(data)))


def pack_rows(rows: list[Row]) -> bytes:
    """Write the rows of a table."""
    return b"".join(_ROW.pack(*row.ref, row.offset, row.kind) for row in rows)


def parse_rows(data: bytes, count: int) -> list[Row] | None:
    """Read the rows of a table; None where that is not what it is."""
    if len(data) != count * _ROW.size:
        return None
    return [Row(ChunkRef(*fields[:4]), fields[4], fields[5]) for fields in _ROW.iter_unpack(data)]


def pack_trailers(table: bytes, count: int) -> bytes:
    """Write what stands at the end of a pack: where its two equal tables are."""
    text = _TRAILER.pack(_END_MAGIC, len(table), count, blake3(table).digest())
    return (text + blake3(text).digest(length=_CHECK)) * 2


class Trailer(NamedTuple):
    """Where the tables of a pack are: both have this length, the second ends where the trailers begin.

    Attributes:
        length: bytes of one table.
        rows: their number.
        digest: BLAKE3 of one table as it stands in the pack.
    """

    length: int
    rows: int
    digest: bytes


def parse_trailers(data: bytes) -> Trailer | None:
    """Read the last bytes of a pack, the first trailer that is whole; None where none is."""
    half = TRAILERS // 2
    for text in (data[:half], data[half:]):
        if len(text) == half and blake3(text[:-_CHECK]).digest(length=_CHECK) == text[-_CHECK:]:
            magic, length, count, digest = _TRAILER.unpack(text[:-_CHECK])
            if magic == _END_MAGIC:
                return Trailer(length, count, digest)
    return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup in a repository.

    Attributes:
        id: 16 hexadecimal digits.
        created: when it was complete.
        record: what is known of the backup: plain JSON.
        entries: paths in it.
        size: bytes of the content of its files.
        deflated: bytes of them deflated, as if nothing were shared.
        added: bytes that were added to the repository for it.
        lists: the chunks with the references to its lines.
    """

    id: str
    created: datetime
    record: dict[str, Any]
    entries: int
    size: int
    deflated: int
    added: int
    lists: list[ChunkRef] = field(repr=False)


def snapshot_body(snapshot: Snapshot) -> bytes:
    """Write a snapshot, to be sealed where the repository is encrypted."""
    fields = {
        "created": snapshot.created.astimezone(UTC).isoformat(),
        "entries": snapshot.entries,
        "size": snapshot.size,
        "deflated": snapshot.deflated,
        "added": snapshot.added,
        "record": snapshot.record,
    }
    text = json.dumps(fields, separators=(",", ":")).encode("ascii")
    return len(text).to_bytes(4, "little") + text + pack_refs(snapshot.lists)


def parse_snapshot_body(identity: str, body: bytes) -> Snapshot:
    """Read what `snapshot_body` wrote.

    Raises:
        DamagedRepositoryError: it makes no sense.
    """
    length = int.from_bytes(body[:4], "little")
    try:
        fields = json.loads(body[4 : 4 + length])
        created = datetime.fromisoformat(fields["created"])
        numbers = [fields[name] for name in ("entries", "size", "deflated", "added")]
        record = fields["record"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged_snapshot(identity) from error
    if created.tzinfo is None or not isinstance(record, dict) or not all(type(number) is int for number in numbers):
        raise damaged_snapshot(identity)
    entries, size, deflated, added = numbers
    return Snapshot(identity, created, record, entries, size, deflated, added, parse_refs(body[4 + length :]))


def pack_snapshot(identity: str, body: bytes) -> bytes:
    """Write the file of a snapshot around its (sealed) body."""
    text = SNAPSHOT_MAGIC + bytes.fromhex(identity) + body
    return text + blake3(text).digest()


def unpack_snapshot(identity: str, data: bytes) -> bytes:
    """Give the (sealed) body of a snapshot's file.

    Raises:
        DamagedRepositoryError: it is not what was written.
    """
    text, digest = data[:-_HASH], data[-_HASH:]
    start = SNAPSHOT_MAGIC + bytes.fromhex(identity)
    if blake3(text).digest() != digest or not text.startswith(start):
        raise damaged_snapshot(identity)
    return text[len(start) :]


def damaged_snapshot(identity: str) -> DamagedRepositoryError:
    """Say that a snapshot's file cannot be used."""
    return DamagedRepositoryError(
        f"The backup {identity} of the repository is damaged: its list of files is unreadable."
    )
