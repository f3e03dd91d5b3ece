"""Writing JPS 2.0 with a static salt."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Any, ClassVar

from backstay.archives.codec import BLOCK_SIZE, stored_size
from backstay.archives.entries import EntryType
from backstay.archives.formats import Content, Head, Totals, Unit
from backstay.archives.jps.cipher import HASHES, SALT_SIZE, derived_key, encrypt, encrypted_size
from backstay.archives.jps.layout import (
    CHUNK_HEAD,
    END,
    END_SIGNATURE,
    ENTITY_HEAD,
    ENTITY_SIGNATURE,
    ITERATIONS,
    pack_archive_header,
    pack_entity,
)
from backstay.errors import WrongPasswordError

if TYPE_CHECKING:
    from backstay.archives.parts import PartWriter, Position

_LOW = 0xFFFFFFFF


def largest_chunk(part_size: int) -> int:
    """Give how many bytes of content go into one chunk.

    The vendor's extractor moves on by one part at most while it reads a chunk: one that lies in three parts ends in
    "corrupt". A chunk that is no longer than a part lies in two at most, wherever it begins.

    Args:
        part_size: bytes of a part, 0 for a single file.
    """
    if not part_size:
        return BLOCK_SIZE
    size = min(BLOCK_SIZE, part_size)
    while encrypted_size(stored_size(size)) > part_size:
        size -= 64
    return size


class JpsWriter:
    """Writes JPS 2.0 (format notes, section 2).

    Args:
        password: the password.
        part_size: bytes of a part, 0 for a single file.
        state: what `state` gave at a checkpoint, None for a new archive.

    Raises:
        WrongPasswordError: if the password is not the one the archive was begun with.
    """

    name: ClassVar[str] = "jps"
    uses_crc: ClassVar[bool] = False
    empty_content: ClassVar[bytes] = b""
    largest: ClassVar[int | None] = _LOW

    def __init__(self, password: str, part_size: int = 0, state: dict[str, Any] | None = None) -> None:
        self.chunk_size: int | None = largest_chunk(part_size)
        self._salt = bytes.fromhex(state["salt"]) if state else os.urandom(SALT_SIZE)
        self._key = derived_key(password.encode("utf-8", "surrogateescape"), self._salt, HASHES[0], ITERATIONS)
        if state and state["key"] != self._fingerprint():
            raise WrongPasswordError("The password is not the one that the archive was begun with.")

    def __repr__(self) -> str:
        return "JpsWriter()"

    def _fingerprint(self) -> str:
        # Guessing from this costs what guessing from the archive itself costs.
        return hashlib.sha256(b"backstay jps" + self._key).hexdigest()[:16]

    def begin(self, parts: PartWriter) -> None:
        """Write the header; it stays as it is."""
        parts.write(pack_archive_header(self._salt, split=bool(parts.part_size)))

    def header(self, head: Head, content: Content, largest: int) -> bytes:  # noqa: ARG002 - all sizes are 32 bits here
        """Make an entity's header; each has a vector of its own, so no two are alike."""
        # As in JPA, extractors apply the permissions of a link to what it points to.
        mode = stat.S_IFREG | 0o644 if head.type is EntryType.SYMLINK and stat.S_ISLNK(head.mode) else head.mode
        plain = pack_entity(head.path, head.type, content.size, mode, head.mtime)
        block = encrypt(self._key, plain)
        return ENTITY_HEAD.pack(ENTITY_SIGNATURE, len(block), len(plain)) + block

    def unit(self, data: bytes | bytearray) -> Unit:
        """Make a chunk: its head must not be cut, its block may be (section 2.8)."""
        block = encrypt(self._key, data)
        return Unit(CHUNK_HEAD.pack(len(block), len(data)), block)

    def written(self, head: Head, content: Content, largest: int, position: Position) -> None:
        """JPS has no directory at its end."""

    def finish(self, parts: PartWriter, totals: Totals) -> None:
        """Write the end mark into the last part, whatever its size is then (section 2.5)."""
        counts = (totals.entries & _LOW, totals.size & _LOW, totals.compressed_size & _LOW)
        parts.append(END.pack(END_SIGNATURE, min(parts.part, 0xFFFF), *counts))

    def state(self) -> dict[str, Any]:
        """Give the salt, and what shows whether a password is the same."""
        return {"salt": self._salt.hex(), "key": self._fingerprint()}

    def release(self) -> None:
        """Nothing lies beside the archive."""

    def discard(self) -> None:
        """Nothing lies beside the archive."""
