"""Finding the end of a ZIP archive, and with it the central directory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from backstay.archives.zip.layout import (
    BEGINNINGS,
    CENTRAL_SIGNATURE,
    END,
    END_SIGNATURE,
    LOCATOR,
    LOCATOR_SIGNATURE,
    LOW,
    SHORT,
    WIDE_END,
    WIDE_END_SIGNATURE,
    Ending,
)
from backstay.errors import DamagedArchiveError, MissingPartError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstay.archives.part_stream import PartStream

_SEARCHED = END.size + 2 * SHORT
"""Bytes at the end of a stream where the end record is looked for: as long a comment again may stand behind it."""


class Found(NamedTuple):
    """Where the central directory is, in offsets of the whole stream.

    Attributes:
        start: its first byte.
        end: behind its last byte.
        entries: how many records it is said to have; ZIPs without Zip64 keep only the low 16 bits.
        shift: how many bytes stand before the archive (a program that unpacks it).
        comment: the archive's comment.
    """

    start: int
    end: int
    entries: int
    shift: int
    comment: bytes


def has_ending(stream: PartStream) -> bool:
    """Say whether a stream ends as a ZIP archive does, without a byte behind that."""
    return any(not behind for _, behind in _candidates(stream))


def has_directory(stream: PartStream) -> bool:
    """Say whether a stream holds the end of a ZIP archive with its directory, other bytes behind it or not."""
    try:
        find_ending(stream)
    except DamagedArchiveError:
        return False
    return True


def _candidates(stream: PartStream) -> Iterator[tuple[int, int]]:
    """Find what may be the end, the last first.

    Yields:
        Where it begins, and how many bytes stand behind it.
    """
    tail = stream.read(max(stream.length - _SEARCHED, 0), _SEARCHED)
    base = stream.length - len(tail)
    offset = tail.rfind(END_SIGNATURE, 0, max(len(tail) - END.size + 4, 0))
    while offset >= 0:
        length = int.from_bytes(tail[offset + END.size - 2 : offset + END.size], "little")
        behind = len(tail) - offset - END.size - length
        if behind >= 0:
            yield base + offset, behind
        offset = tail.rfind(END_SIGNATURE, 0, offset + 3)


def find_ending(stream: PartStream) -> Found:
    """Find the central directory.

    Raises:
        DamagedArchiveError: if the end is missing or contradicts itself.
        MissingPartError: if there are fewer parts than it says.
    """
    candidates = list(_candidates(stream))
    for position, behind in candidates:
        if not behind:
            return _found(stream, position)
    for position, _ in candidates:
        with contextlib.suppress(DamagedArchiveError):
            found = _found(stream, position)
            if _is_whole(stream, found):
                return found
    raise DamagedArchiveError(f"{stream.paths[-1]} is cut short: a ZIP archive ends with a directory, and it has none.")


def _is_whole(stream: PartStream, found: Found) -> bool:
    """Say whether an end with bytes behind it is this archive's, and not that of an archive stored in a broken one."""
    begins = stream.read(0, 4) in BEGINNINGS
    if found.start == found.end:
        return begins and not found.start
    return stream.read(found.start, 4) == CENTRAL_SIGNATURE and not (begins and found.shift)


def _found(stream: PartStream, position: int) -> Found:
    name = stream.paths[-1]
    ending, end = _parse(stream, position)
    if ending.disk >= len(stream.paths):
        raise MissingPartError(
            f"{name} has {ending.disk + 1} parts and {len(stream.paths)} are here: put all of them into one folder."
        )
    if len(stream.paths) == 1:
        start = end - ending.directory_size
        shift = start - ending.directory_offset
    else:
        start = stream.starts[min(ending.directory_disk, len(stream.starts) - 1)] + ending.directory_offset
        shift = 0
    if shift < 0 or start < 0 or start + ending.directory_size != end:
        raise DamagedArchiveError(f"{name} is damaged: its directory is not where its end says.")
    return Found(start, end, ending.entries, shift, ending.comment)


def _parse(stream: PartStream, position: int) -> tuple[Ending, int]:
    fields = END.unpack(stream.read(position, END.size))
    comment = stream.read(position + END.size, fields[7])
    ending = Ending(fields[1], fields[2], fields[4], fields[5], fields[6], comment)
    if SHORT not in fields[1:5] and LOW not in fields[5:7]:
        return ending, position
    raw = stream.read(position - LOCATOR.size, LOCATOR.size) if position >= LOCATOR.size else b""
    if raw[:4] != LOCATOR_SIGNATURE:
        return ending, position
    wide_position = position - LOCATOR.size - WIDE_END.size
    wide = stream.read(wide_position, WIDE_END.size) if wide_position >= 0 else b""
    if wide[:4] != WIDE_END_SIGNATURE:
        # With data of its own the record is longer; then only the locator says where it begins.
        _, disk, offset, _ = LOCATOR.unpack(raw)
        wide_position = stream.starts[disk] + offset if disk < len(stream.starts) else stream.length
        wide = stream.read(wide_position, WIDE_END.size)
    if wide[:4] != WIDE_END_SIGNATURE or len(wide) < WIDE_END.size:
        raise DamagedArchiveError(f"{stream.paths[-1]} is damaged: its Zip64 end is missing.")
    _, _, _, _, disk, directory_disk, _, entries, size, offset = WIDE_END.unpack(wide)
    return Ending(disk, directory_disk, entries, size, offset, comment), wide_position
