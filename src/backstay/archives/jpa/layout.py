"""The blocks of a JPA archive as bytes (format notes, sections 1.2 to 1.5)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from backstay.archives.entries import EntryType
from backstay.archives.formats import Content, Head
from backstay.errors import DamagedArchiveError

SIGNATURE = b"JPA"
ENTITY_SIGNATURE = b"JPF"
ENTITY_FIXED = 21
"""Bytes of an entity block without path and extras."""

_HEADER = struct.Struct("<3sHBBIII")
_SPANNED = b"JP\x01\x01"
_TOTALS = b"JP\x01\x02"
_ENTITY_TAIL = struct.Struct("<BBIII")
_ENTITY_START = struct.Struct("<3sHH")
_UNTIMED_TAIL = struct.Struct("<BBIIIHHQQ")
_TIMED_TAIL = struct.Struct("<BBIIIHHIHHQQ")
_SIZES = struct.Struct("<HHQQ")
_TIME_ID = 0x0100
_SIZES_ID = 0x0200
_LOW = 0xFFFFFFFF

_TYPE_CODES = {EntryType.DIRECTORY: 0, EntryType.FILE: 1, EntryType.SYMLINK: 2}
_TYPES = {code: entry_type for entry_type, code in _TYPE_CODES.items()}


class ArchiveHeader(NamedTuple):
    """The standard header with its extras.

    Attributes:
        length: bytes from the signature to the first entity block.
        version: major and minor.
        entries: number of entity blocks.
        size: bytes of all content; only the low 32 bits where ``wide`` is False.
        compressed_size: bytes of all entity data, likewise.
        wide: the totals are 64 bits wide.
        parts: the number of parts, None where the archive was not written to be split.
    """

    length: int
    version: tuple[int, int]
    entries: int
    size: int
    compressed_size: int
    wide: bool
    parts: int | None


class EntityBlock(NamedTuple):
    """An entity block.

    Attributes:
        path: the bytes of the path, as they stand there.
        type: directory, file or link.
        method: 0 stored, 1 raw deflate, 2 bzip2.
        size: bytes of content.
        compressed_size: bytes of entity data behind the block.
        mode: the permissions field.
        mtime: Unix seconds, None where there is no timestamp.
    """

    path: bytes
    type: EntryType
    method: int
    size: int
    compressed_size: int
    mode: int
    mtime: int | None


def pack_archive_header(entries: int, size: int, compressed_size: int, parts: int | None) -> bytes:
    """Make the header of a JPA 1.3; ``parts`` is None where splitting is not enabled (sections 1.2, 1.3)."""
    spanned = b"" if parts is None else _SPANNED + struct.pack("<HH", 4, min(parts, 0xFFFF))
    extras = spanned + _TOTALS + struct.pack("<HQQ", 18, size, compressed_size)
    fixed = _HEADER.pack(SIGNATURE, 19 + len(extras), 1, 3, entries & _LOW, size & _LOW, compressed_size & _LOW)
    return fixed + extras


def parse_archive_header(data: bytes) -> ArchiveHeader:
    """Read a header from the first bytes of an archive, all of the header among them.

    Raises:
        DamagedArchiveError: if it is cut short or contradicts itself.
    """
    if len(data) < _HEADER.size:
        raise DamagedArchiveError("its header is cut short")
    _, length, major, minor, entries, size, compressed_size = _HEADER.unpack_from(data)
    if length < _HEADER.size or length > len(data):
        raise DamagedArchiveError("its header has an impossible length")
    parts: int | None = None
    wide = False
    offset = _HEADER.size
    while length - offset >= 8:
        mark = data[offset : offset + 4]
        block = int.from_bytes(data[offset + 4 : offset + 6], "little")
        if mark == _SPANNED and block == 4:
            parts = int.from_bytes(data[offset + 6 : offset + 8], "little")
        elif mark == _TOTALS and block == 18 and length - offset >= 22:
            size, compressed_size = struct.unpack_from("<QQ", data, offset + 6)
            wide = True
        elif mark in {_SPANNED, _TOTALS}:
            raise DamagedArchiveError("a block of its header has an impossible length")
        offset += max(block, 2) + 4
    return ArchiveHeader(length, (major, minor), entries, size, compressed_size, wide, parts)


def pack_entity(head: Head, content: Content) -> bytes:
    """Make an entity block of JPA 1.3: the timestamp first, then the 64-bit sizes (sections 1.4, 1.5)."""
    path = head.path + b"/" if head.type is EntryType.DIRECTORY else head.path
    method, size, compressed_size, _ = content
    timed = head.type is EntryType.FILE and 0 < head.mtime <= _LOW
    extras = (_TIME_ID, 8, head.mtime, _SIZES_ID, 20) if timed else (_SIZES_ID, 20)
    tail = (_TIMED_TAIL if timed else _UNTIMED_TAIL).pack(
        _TYPE_CODES[head.type], method, compressed_size & _LOW, size & _LOW, head.mode & _LOW,
        *extras, compressed_size, size,
    )  # fmt: skip
    return _ENTITY_START.pack(ENTITY_SIGNATURE, 7 + len(path) + len(tail), len(path)) + path + tail


def parse_entity(block: bytes) -> EntityBlock:
    """Read an entity block, given whole.

    Raises:
        DamagedArchiveError: if it contradicts itself.
    """
    path_length = block[5] | block[6] << 8
    if ENTITY_FIXED + path_length > len(block):
        raise DamagedArchiveError("an entry's header is shorter than its path")
    tail = 7 + path_length
    type_code, method, compressed_size, size, mode = _ENTITY_TAIL.unpack_from(block, tail)
    mtime = None
    offset = tail + _ENTITY_TAIL.size
    while len(block) - offset >= 4:
        extra = block[offset] | block[offset + 1] << 8
        length = block[offset + 2] | block[offset + 3] << 8
        if length < 4 or offset + length > len(block):
            raise DamagedArchiveError("an extra field of an entry's header has an impossible length")
        if extra == _TIME_ID and length >= 8:
            mtime = int.from_bytes(block[offset + 4 : offset + 8], "little")
        elif extra == _SIZES_ID and length >= 20:
            _, _, compressed_size, size = _SIZES.unpack_from(block, offset)
        offset += length
    entry_type = _TYPES.get(type_code)
    if entry_type is None:
        raise DamagedArchiveError(f"an entry is of the unknown type {type_code}")
    return EntityBlock(block[7:tail], entry_type, method, size, compressed_size, mode, mtime)
