"""The records of a ZIP archive as bytes (PKWARE's APPNOTE 6.3, and section 3 of the format notes)."""

from __future__ import annotations

import stat
import struct
import time
import zlib
from typing import NamedTuple

from backstay.archives.entries import EntryType
from backstay.archives.formats import DEFLATED, Content, Head
from backstay.archives.zip.methods import unsupported
from backstay.errors import DamagedArchiveError

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
WIDE_END_SIGNATURE = b"PK\x06\x06"
LOCATOR_SIGNATURE = b"PK\x06\x07"
SPLIT_MARKER = b"PK\x07\x08"
SINGLE_MARKER = b"PK00"
BEGINNINGS = {LOCAL_SIGNATURE, END_SIGNATURE, SPLIT_MARKER, SINGLE_MARKER}
"""What an archive begins with that no program stands before."""

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
WIDE_END = struct.Struct("<4sQHHIIQQQQ")
LOCATOR = struct.Struct("<4sIQI")

LOW = 0xFFFFFFFF
SHORT = 0xFFFF

_DISK_AT = 34
_OFFSET_AT = 42
"""Where a record of the central directory says where its entry lies."""

_UTF8 = 0x0800
_LATER = 0x0008
"""The sizes stand behind the content."""
_UNIX = 3
_UNIX_SYSTEMS = {_UNIX, 19}
_DOS_SYSTEMS = {0, 6, 10, 11, 14}
"""FAT, HPFS, NTFS (by its number in APPNOTE and in Info-ZIP) and VFAT."""

_MADE_BY = _UNIX << 8 | 30
_LINK_NEEDS = _UNIX << 8 | 10
"""The vendor's reader knows a link by these two bytes alone (section 3.3)."""

_NEEDS = 20
_WIDE_NEEDS = 45
_WIDE_ID = 0x0001
_TIME_ID = 0x5455
_NAME_ID = 0x7075
_ROOM = 1 << 20
"""Deflate may make content of 4 GiB longer by less than this."""

_FIRST_DAY = 0x21
_TIMES = range(-(1 << 31), 1 << 31)


class CentralRecord(NamedTuple):
    """A record of the central directory.

    Attributes:
        name: the bytes of the name.
        path: the name as text.
        flags: general purpose flags.
        method: as it stands there.
        size: bytes of content.
        compressed_size: bytes of it in the archive.
        crc: CRC-32 of the content.
        mode: ``st_mode``, None where the maker is not Unix.
        mtime: Unix seconds, None where there is no time.
        disk: number of the part with the local header, from 0.
        offset: of the local header, in that part.
        unsupported: why the content cannot be read; see `Location.unsupported`.
    """

    name: bytes
    path: str
    flags: int
    method: int
    size: int
    compressed_size: int
    crc: int
    mode: int | None
    mtime: int | None
    disk: int
    offset: int
    unsupported: str | None


class Ending(NamedTuple):
    """What the records at the end say.

    Attributes:
        disk: number of the part they are in, from 0.
        directory_disk: number of the part the central directory begins in.
        entries: number of its records.
        directory_size: bytes of it.
        directory_offset: of it, in its part.
        comment: bytes of the archive's comment.
    """

    disk: int
    directory_disk: int
    entries: int
    directory_size: int
    directory_offset: int
    comment: bytes


def is_wide(largest: int) -> bool:
    """Say whether a local header has to have fields for 64-bit sizes."""
    return largest >= LOW - _ROOM


def _name(head: Head) -> tuple[bytes, int]:
    name = head.path + b"/" if head.type is EntryType.DIRECTORY else head.path
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return name, 0
    return name, _UTF8


def _dos_time(mtime: int) -> tuple[int, int]:
    try:
        year, month, day, hour, minute, second, *_ = time.localtime(mtime)
    except (OverflowError, OSError, ValueError):
        return 0, _FIRST_DAY
    if not 1980 <= year <= 2107:
        return 0, _FIRST_DAY
    return hour << 11 | minute << 5 | min(second, 59) >> 1, (year - 1980) << 9 | month << 5 | day


def _timestamp(mtime: int) -> bytes:
    return struct.pack("<HHBi", _TIME_ID, 5, 1, mtime) if mtime in _TIMES else b""


def _needs(head: Head, *, wide: bool) -> int:
    if head.type is EntryType.SYMLINK:
        return _LINK_NEEDS
    return _WIDE_NEEDS if wide else _NEEDS


def pack_local(head: Head, content: Content, largest: int) -> bytes:
    """Make a local header; its length depends on ``head`` and ``largest`` alone."""
    name, flags = _name(head)
    wide = is_wide(largest)
    size, compressed_size = (LOW, LOW) if wide else (content.size, content.compressed_size)
    sizes = struct.pack("<HHQQ", _WIDE_ID, 16, content.size, content.compressed_size) if wide else b""
    extra = sizes + _timestamp(head.mtime)
    clock, day = _dos_time(head.mtime)
    method = 8 if content.method == DEFLATED else 0
    fixed = LOCAL.pack(
        LOCAL_SIGNATURE, _needs(head, wide=wide), flags, method, clock, day, content.crc,
        compressed_size, size, len(name), len(extra),
    )  # fmt: skip
    return fixed + name + extra


def pack_central(head: Head, content: Content, largest: int, disk: int, offset: int) -> bytes:
    """Make a record of the central directory for an entry whose local header is at an offset in a part."""
    name, flags = _name(head)
    wide = b""
    fields = []
    for value, limit, form in (
        (content.size, LOW, "<Q"),
        (content.compressed_size, LOW, "<Q"),
        (offset, LOW, "<Q"),
        (disk, SHORT, "<I"),
    ):
        fields.append(min(value, limit))
        if value >= limit:
            wide += struct.pack(form, value)
    extra = (struct.pack("<HH", _WIDE_ID, len(wide)) + wide if wide else b"") + _timestamp(head.mtime)
    clock, day = _dos_time(head.mtime)
    size, compressed_size, low_offset, low_disk = fields
    attributes = (head.mode & SHORT) << 16 | (0x10 if head.type is EntryType.DIRECTORY else 0)
    fixed = CENTRAL.pack(
        CENTRAL_SIGNATURE, _MADE_BY, _needs(head, wide=bool(wide) or is_wide(largest)), flags,
        8 if content.method == DEFLATED else 0, clock, day, content.crc, compressed_size, size,
        len(name), len(extra), 0, low_disk, 0, attributes, low_offset,
    )  # fmt: skip
    return fixed + name + extra


def with_place(record: bytes, disk: int, offset: int) -> bytes:
    """Give a record of `pack_central` that was made for part 0 and offset 0 with another place."""
    fixed = bytearray(record)
    struct.pack_into("<H", fixed, _DISK_AT, min(disk, SHORT))
    struct.pack_into("<I", fixed, _OFFSET_AT, min(offset, LOW))
    if offset < LOW and disk < SHORT:
        return bytes(fixed)
    wide = (struct.pack("<Q", offset) if offset >= LOW else b"") + (struct.pack("<I", disk) if disk >= SHORT else b"")
    begin = CENTRAL.size + int.from_bytes(record[28:30], "little")
    extra = record[begin:]
    if extra[:2] == struct.pack("<H", _WIDE_ID):
        # Sizes are there already; places stand behind them.
        end = 4 + int.from_bytes(extra[2:4], "little")
        wide, extra = extra[4:end] + wide, extra[end:]
    extra = struct.pack("<HH", _WIDE_ID, len(wide)) + wide + extra
    struct.pack_into("<H", fixed, 30, len(extra))
    if int.from_bytes(fixed[6:8], "little") == _NEEDS:
        struct.pack_into("<H", fixed, 6, _WIDE_NEEDS)
    return bytes(fixed[:begin]) + extra


def central_length(record: bytes) -> int:
    """Give the length of a record of the central directory from its first 46 bytes."""
    name, extra, comment = struct.unpack_from("<HHH", record, 28)
    return CENTRAL.size + int(name) + int(extra) + int(comment)


def pack_ending(ending: Ending, last_entries: int, wide_position: tuple[int, int]) -> bytes:
    """Make the records at the end, those of Zip64 among them only where a number asks for them.

    Args:
        ending: what they say.
        last_entries: records of the directory that begin in the last part.
        wide_position: part, from 0, and offset where these records will be written.
    """
    wide = b""
    if (
        max(ending.disk, ending.directory_disk, ending.entries, last_entries) >= SHORT
        or max(ending.directory_size, ending.directory_offset) >= LOW
    ):
        wide = WIDE_END.pack(
            WIDE_END_SIGNATURE, WIDE_END.size - 12, _MADE_BY, _WIDE_NEEDS, ending.disk, ending.directory_disk,
            last_entries, ending.entries, ending.directory_size, ending.directory_offset,
        ) + LOCATOR.pack(LOCATOR_SIGNATURE, *wide_position, ending.disk + 1)  # fmt: skip
    return (
        wide
        + END.pack(
            END_SIGNATURE, min(ending.disk, SHORT), min(ending.directory_disk, SHORT), min(last_entries, SHORT),
            min(ending.entries, SHORT), min(ending.directory_size, LOW), min(ending.directory_offset, LOW),
            len(ending.comment),
        )
        + ending.comment
    )  # fmt: skip


def parse_central(record: bytes) -> CentralRecord:
    """Read a record of the central directory, given whole.

    Raises:
        DamagedArchiveError: if it contradicts itself.
    """
    (_, made_by, _, flags, method, clock, day, crc, compressed_size, size, name_length, extra_length, _, disk, _,
     attributes, offset) = CENTRAL.unpack_from(record)  # fmt: skip
    name = record[CENTRAL.size : CENTRAL.size + name_length]
    extras = _parse_extras(record[CENTRAL.size + name_length : CENTRAL.size + name_length + extra_length])
    wide = extras.get(_WIDE_ID, b"")
    numbers = []
    for value, limit, form in (
        (size, LOW, "<Q"),
        (compressed_size, LOW, "<Q"),
        (offset, LOW, "<Q"),
        (disk, SHORT, "<I"),
    ):
        length = struct.calcsize(form)
        if value == limit and len(wide) >= length:
            value, wide = struct.unpack_from(form, wide)[0], wide[length:]  # noqa: PLW2901 - the 64-bit field overrides
        numbers.append(value)
    system = made_by >> 8
    mode = attributes >> 16 if system in _UNIX_SYSTEMS else 0
    path = _text_of(name, flags, system, extras)
    if system in _DOS_SYSTEMS and not attributes >> 16:
        # No name of these systems holds a backslash. Who says FAT and gives Unix modes all the same, as the vendor does
        # (section 3.1), stands on Unix, where one may.
        path = path.replace("\\", "/")
    size, compressed_size, offset, disk = numbers
    return CentralRecord(
        name,
        path,
        flags,
        method,
        size,
        compressed_size,
        crc,
        mode or None,
        _time_of(clock, day, extras),
        disk,
        offset,
        unsupported(flags, method, extras),
    )


def local_length(fixed: bytes) -> int:
    """Give the length of a local header from its first 30 bytes."""
    name, extra = struct.unpack_from("<HH", fixed, 26)
    return LOCAL.size + int(name) + int(extra)


def parse_local(header: bytes) -> CentralRecord:
    """Read a local header, given whole, that holds all sizes: one that Backstay has written.

    Raises:
        DamagedArchiveError: if it is none, or contradicts itself.
    """
    (signature, _, flags, method, clock, day, crc, compressed_size, size, name_length, _) = LOCAL.unpack_from(header)
    if signature != LOCAL_SIGNATURE or flags & _LATER:
        raise DamagedArchiveError("there is no such header as was promised")
    name = header[LOCAL.size : LOCAL.size + name_length]
    extras = _parse_extras(header[LOCAL.size + name_length :])
    wide = extras.get(_WIDE_ID, b"")
    if len(wide) >= 16 and LOW in {size, compressed_size}:
        size, compressed_size = struct.unpack_from("<QQ", wide)
    path = _text_of(name, flags, _UNIX, extras)
    mtime = _time_of(clock, day, extras)
    reason = unsupported(flags, method, extras)
    return CentralRecord(name, path, flags, method, size, compressed_size, crc, None, mtime, 0, 0, reason)


def _parse_extras(data: bytes) -> dict[int, bytes]:
    extras: dict[int, bytes] = {}
    offset = 0
    while len(data) - offset >= 4:
        identity, length = struct.unpack_from("<HH", data, offset)
        if offset + 4 + length > len(data):
            raise DamagedArchiveError("an extra field of an entry has an impossible length")
        extras.setdefault(identity, data[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return extras


def _text_of(name: bytes, flags: int, system: int, extras: dict[int, bytes]) -> str:
    unicode_name = extras.get(_NAME_ID, b"")
    if len(unicode_name) > 5 and unicode_name[1:5] == zlib.crc32(name).to_bytes(4, "little"):
        name = unicode_name[5:]
    elif not flags & _UTF8 and system not in _UNIX_SYSTEMS:
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            return name.decode("cp437")
    return name.decode("utf-8", "surrogateescape")


def _time_of(clock: int, day: int, extras: dict[int, bytes]) -> int | None:
    stamp = extras.get(_TIME_ID, b"")
    if len(stamp) >= 5 and stamp[0] & 1:
        return int(struct.unpack_from("<i", stamp, 1)[0])
    fields = ((day >> 9) + 1980, day >> 5 & 15, day & 31, clock >> 11, clock >> 5 & 63, (clock & 31) * 2, 0, 0, -1)
    if day == _FIRST_DAY and not clock:
        return None
    try:
        return int(time.mktime(fields))
    except (OverflowError, ValueError):
        return None


def is_link(mode: int | None) -> bool:
    """Say whether a mode is that of a symbolic link."""
    return mode is not None and stat.S_ISLNK(mode)


def pack_streamed_local(head: Head, method: int) -> bytes:
    """Make a local header whose sizes stand behind the content, with 64 bits each."""
    name, flags = _name(head)
    extra = struct.pack("<HHQQ", _WIDE_ID, 16, 0, 0) + _timestamp(head.mtime)
    clock, day = _dos_time(head.mtime)
    fixed = LOCAL.pack(
        LOCAL_SIGNATURE, _WIDE_NEEDS, flags | _LATER, 8 if method == DEFLATED else 0, clock, day, 0, LOW, LOW,
        len(name), len(extra),
    )  # fmt: skip
    return fixed + name + extra


def pack_streamed_sizes(content: Content) -> bytes:
    """Make what stands behind the content of an entry with such a header."""
    return struct.pack("<4sIQQ", SPLIT_MARKER, content.crc, content.compressed_size, content.size)


def pack_streamed_central(head: Head, content: Content, offset: int) -> bytes:
    """Make the record of an entry with such a header."""
    record = bytearray(pack_central(head, content, LOW, 0, offset))
    struct.pack_into("<H", record, 8, struct.unpack_from("<H", record, 8)[0] | _LATER)
    return bytes(record)
