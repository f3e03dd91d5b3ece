"""Packs: many chunks in one file, with its table at the end."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from backstay.archives.parts import disk_errors
from backstay.errors import DamagedRepositoryError
from backstay.repository.keys import Keys
from backstay.repository.layout import (
    PACK_HEADER,
    PACK_MAGIC,
    TRAILERS,
    ChunkRef,
    Row,
    pack_rows,
    pack_trailers,
    parse_rows,
    parse_trailers,
)
from backstay.repository.store import Found, Store

PACK_SIZE = 32 << 20
"""Bytes after which a pack is closed."""
MOST_CHUNKS = 1 << 16
"""Chunks after which a pack is closed."""
FOLDER = "packs"
_TAIL = 64 << 10
_TABLE = b"table"


def pack_name(identity: str) -> str:
    """Give the name of a pack's file."""
    return f"{FOLDER}/{identity}"


class FinishedPack(NamedTuple):
    """A pack that is whole in a file of this machine.

    Attributes:
        id: 32 hexadecimal digits.
        path: the file.
        size: its bytes.
        digest: its BLAKE3.
        rows: its chunks.
    """

    id: str
    path: Path
    size: int
    digest: str
    rows: list[Row]


class PackBuilder:
    """Writes one pack into a file of this machine; nothing of it counts before it lies at the destination.

    Args:
        folder: where the file is made.
        keys: of the repository.
    """

    def __init__(self, folder: Path, keys: Keys) -> None:
        identity = secrets.token_bytes(16)
        self.id = identity.hex()
        self.path = folder / self.id
        self._keys = keys
        self._digest = blake3()
        self.rows: list[Row] = []
        self.size = 0
        with disk_errors(self.path):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)
        try:
            self._write(PACK_MAGIC + identity)
        except BaseException:
            self.discard()
            raise

    @property
    def is_full(self) -> bool:
        """Whether it should be closed."""
        return self.size >= PACK_SIZE or len(self.rows) >= MOST_CHUNKS

    def add(self, ref: ChunkRef, stored: bytes, kind: int) -> None:
        """Add a chunk.

        Args:
            ref: the chunk.
            stored: its deflated bytes, sealed where the repository is encrypted.
            kind: what it holds.
        """
        self.rows.append(Row(ref, self.size, kind))
        self._write(stored)

    def _write(self, data: bytes) -> None:
        with disk_errors(self.path):
            self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def finish(self) -> FinishedPack:
        """Write the tables and close the file."""
        table = self._keys.seal(pack_rows(self.rows), _TABLE + bytes.fromhex(self.id))
        self._write(table)
        self._write(table)
        self._write(pack_trailers(table, len(self.rows)))
        with disk_errors(self.path):
            self._file.close()
        return FinishedPack(self.id, self.path, self.size, self._digest.hexdigest(), self.rows)

    def discard(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def read_table(store: Store, keys: Keys, pack: Found) -> list[Row]:
    """Read the table of a pack.

    Raises:
        DamagedRepositoryError: neither of its two tables is what was written.
        NotFoundError: the pack is gone.
    """
    name = pack_name(pack.name)
    begin = max(pack.size - _TAIL, 0)
    tail = store.read(name, begin, pack.size - begin)
    trailer = parse_trailers(tail[-TRAILERS:])
    problem = DamagedRepositoryError(f"The pack {pack.name} of the repository is damaged: its tables are unreadable.")
    if trailer is None:
        raise problem
    needed = 2 * trailer.length + TRAILERS
    if needed + PACK_HEADER > pack.size:
        raise problem
    if needed > len(tail):
        begin = pack.size - needed
        tail = store.read(name, begin, needed)
    end = len(tail) - TRAILERS
    for start in (end - 2 * trailer.length, end - trailer.length):
        table = tail[start : start + trailer.length]
        if blake3(table).digest() == trailer.digest:
            opened = keys.open(table, _TABLE + bytes.fromhex(pack.name))
            rows = parse_rows(opened, trailer.rows) if opened is not None else None
            if rows is not None and _fits(rows, pack.size - needed, keys.seal_size):
                return rows
    raise problem


def _fits(rows: list[Row], end: int, seal: int) -> bool:
    """Say whether chunks lie where chunks can lie: a table comes from outside."""
    return all(row.offset >= PACK_HEADER and row.offset + row.ref.deflated + seal <= end for row in rows)


def is_pack_name(name: str) -> bool:
    """Say whether a file in the folder of packs is one."""
    return len(name) == 32 and all(letter in "0123456789abcdef" for letter in name)
