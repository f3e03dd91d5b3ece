"""The blocks of a JPS archive as bytes (format notes, sections 2.2 to 2.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from backstay.archives.entries import EntryType
from backstay.archives.jps.cipher import HASHES
from backstay.errors import DamagedArchiveError

SIGNATURE = b"JPS"
ENTITY_SIGNATURE = b"JPF"
END_SIGNATURE = b"JPE"
FIXED_HEADER = 8
ENTITY_HEAD = struct.Struct("<3sHH")
CHUNK_HEAD = struct.Struct("<II")
END = struct.Struct("<3sHIII")
ITERATIONS = 128000
"""Rounds of PBKDF2 in archives that are written (section 2.2)."""

_EXTRA = struct.Struct("<4sHBIB64s")
_EXTRA_SIGNATURE = b"JH\x00\x01"
_MOST_ITERATIONS = 10_000_000
_ENTITY_TAIL = struct.Struct("<BBIII")
_VERSIONS = {(1, 9), (1, 10), (2, 0)}
_LOW = 0xFFFFFFFF

_TYPE_CODES = {EntryType.DIRECTORY: 0, EntryType.FILE: 1, EntryType.SYMLINK: 2}
_TYPES = {code: entry_type for entry_type, code in _TYPE_CODES.items()}


class ArchiveHeader(NamedTuple):
    """The header.

    Attributes:
        length: bytes up to the first entity.
        version: major and minor.
        hash_name: hash of PBKDF2.
        iterations: its rounds; 0 where keys are made in the old way.
        salt: the salt of all blocks, None where there is none or each has its own.
    """

    length: int
    version: tuple[int, int]
    hash_name: str
    iterations: int
    salt: bytes | None


class EntityHeader(NamedTuple):
    """What an entity's header says once it is decrypted.

    Attributes:
        path: the bytes of the path, as they stand there.
        type: directory, file or link.
        compression: 0 stored, 1 deflated.
        size: bytes of content.
        mode: the permissions field.
        mtime: Unix seconds, None where there are none.
    """

    path: bytes
    type: EntryType
    compression: int
    size: int
    mode: int
    mtime: int | None


def pack_archive_header(salt: bytes, *, split: bool) -> bytes:
    """Make the header of a JPS 2.0 with a static salt (section 2.2)."""
    extra = _EXTRA.pack(_EXTRA_SIGNATURE, _EXTRA.size, 0, ITERATIONS, 1, salt)
    return SIGNATURE + struct.pack("<BBBH", 2, 0, split, len(extra)) + extra


def parse_archive_header(data: bytes) -> ArchiveHeader:
    """Read a header from the first bytes of an archive.

    Raises:
        DamagedArchiveError: if it is cut short, of an unknown version or contradicts itself.
    """
    if len(data) < FIXED_HEADER:
        raise DamagedArchiveError("its header is cut short")
    major, minor, _, extra = struct.unpack_from("<BBBH", data, 3)
    if (major, minor) not in _VERSIONS:
        raise DamagedArchiveError(f"its version {major}.{minor} is not known")
    length = FIXED_HEADER + extra
    if (major, minor) != (2, 0):
        return ArchiveHeader(length, (major, minor), HASHES[0], 0, None)
    if extra < _EXTRA.size or len(data) < length:
        raise DamagedArchiveError("its header is cut short")
    mark, size, hash_code, iterations, static, salt = _EXTRA.unpack_from(data, FIXED_HEADER)
    if mark != _EXTRA_SIGNATURE or size != _EXTRA.size or hash_code >= len(HASHES) or static > 1:
        raise DamagedArchiveError("its header contradicts itself")
    if not 0 < iterations <= _MOST_ITERATIONS:
        # More rounds than anyone would wait for: a header that is to keep the reader busy.
        raise DamagedArchiveError(f"its header asks for {iterations} rounds of key derivation")
    return ArchiveHeader(length, (2, 0), HASHES[hash_code], iterations, salt if static else None)


def pack_entity(path: bytes, entry_type: EntryType, size: int, mode: int, mtime: int) -> bytes:
    """Make an entity's header, to be encrypted (section 2.3)."""
    name = path + b"/" if entry_type is EntryType.DIRECTORY else path
    is_file = entry_type is EntryType.FILE
    seconds = mtime if is_file and 0 < mtime <= _LOW else 0
    tail = _ENTITY_TAIL.pack(_TYPE_CODES[entry_type], int(is_file), size, mode & _LOW, seconds)
    return len(name).to_bytes(2, "little") + name + tail


def parse_entity(data: bytes) -> EntityHeader:
    """Read an entity's header.

    Raises:
        DamagedArchiveError: if it makes no sense, as it will with a wrong password.
    """
    length = int.from_bytes(data[:2], "little")
    if len(data) != 2 + length + _ENTITY_TAIL.size:
        raise DamagedArchiveError("an entry's header makes no sense")
    type_code, compression, size, mode, mtime = _ENTITY_TAIL.unpack_from(data, 2 + length)
    entry_type = _TYPES.get(type_code)
    if entry_type is None or compression > 1 or (entry_type is EntryType.DIRECTORY and size):
        raise DamagedArchiveError("an entry's header makes no sense")
    return EntityHeader(data[2 : 2 + length], entry_type, compression, size, mode, mtime or None)
