"""A first walk over an archive, before anything is read or written of it: what it holds, and whether that may be so."""

from __future__ import annotations

import posixpath
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstay.archives import codec, manifest
from backstay.archives.entries import Entry, EntryType, Limits
from backstay.archives.formats import DEFLATED
from backstay.archives.names import folded, shown, why_unsafe
from backstay.errors import ArchiveLimitError, DamagedArchiveError, UnsafeEntryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BUCKETS = 64


@dataclass(slots=True)
class Survey:
    """What an archive holds.

    Attributes:
        entries: number of entries.
        size: bytes of their content.
        compressed_size: bytes of it in the archive.
        wanted: bytes of the content that is to be written.
        manifest: the entries of the manifest's files, in order.
        links: keys of all symbolic links.
        duplicates: hashes of keys that more than one entry has.
    """

    entries: int = 0
    size: int = 0
    compressed_size: int = 0
    wanted: int = 0
    manifest: list[Entry] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    duplicates: set[int] = field(default_factory=set)


def safe_path(path: str) -> str:
    """Give a path without empty steps, fit to be joined to a folder.

    Raises:
        UnsafeEntryError: if it is absolute, leads out of the folder, or is no path.
    """
    reason = why_unsafe(path)
    if reason and not path.startswith("/"):
        steps = [step for step in path.split("/") if step not in {"", "."}]
        path = "/".join(steps)
        reason = why_unsafe(path)
    if reason:
        raise UnsafeEntryError(f"The entry {shown(path)} {reason}: nothing of the archive is written.")
    return path


def key_of(path: str, *, fold: bool) -> str:
    """Give what two paths have in common that are the same file in the target."""
    return folded(path) if fold else path


def survey(entries: Iterable[Entry], limits: Limits, *, fold: bool, wanted: Callable[[Entry], str | None]) -> Survey:
    """Walk over an archive.

    Args:
        entries: its entries.
        limits: what it may unpack to.
        fold: the target ignores case and Unicode form of names.
        wanted: gives the path an entry is to be written to, None if it is not wanted.

    Raises:
        ArchiveLimitError: if it unpacks to more than the limits allow.
        UnsafeEntryError: if a wanted entry has a path that leads out of the target.
        DamagedArchiveError: if the structure is damaged.
    """
    found = Survey()
    buckets = [array("q") for _ in range(_BUCKETS)]
    for entry in entries:
        _count(found, entry, limits)
        if manifest.piece_number(entry.path) is not None and entry.type is EntryType.FILE:
            found.manifest.append(entry)
        path = wanted(entry)
        if path is None:
            continue
        found.wanted += entry.size
        key = key_of(safe_path(path), fold=fold)
        code = hash(key)
        buckets[code % _BUCKETS].append(code)
        if entry.type is EntryType.SYMLINK:
            found.links.add(key)
    if limits.ratio is not None and found.size > limits.ratio_floor:
        ratio = found.size / max(found.compressed_size, 1)
        if ratio > limits.ratio:
            raise ArchiveLimitError(
                f"The archive unpacks to {ratio:.0f} times its size, which is more than the limit allows."
            )
    for bucket in buckets:
        found.duplicates |= _repeated(bucket)
    return found


def _count(found: Survey, entry: Entry, limits: Limits) -> None:
    found.entries += 1
    found.size += entry.size
    found.compressed_size += entry.compressed_size
    if limits.entries is not None and found.entries > limits.entries:
        raise ArchiveLimitError(f"The archive holds more than {limits.entries} entries, which is the limit.")
    if limits.total_size is not None and found.size > limits.total_size:
        raise ArchiveLimitError(f"The archive unpacks to more than {limits.total_size} bytes, which is the limit.")
    deflated = entry.location is not None and entry.location.method == DEFLATED
    if deflated and not codec.possible(entry.size, entry.compressed_size):
        raise DamagedArchiveError(
            f"The entry {shown(entry.path)} is damaged: {entry.compressed_size} bytes cannot hold {entry.size}."
        )


def _repeated(codes: array[int]) -> set[int]:
    seen = set(codes)
    if len(seen) == len(codes):
        return set()
    repeated = set()
    for code in codes:
        if code in seen:
            seen.discard(code)
        else:
            repeated.add(code)
    return repeated


def beneath_link(path: str, links: set[str], *, fold: bool) -> bool:
    """Say whether a path leads through one of the archive's own symbolic links."""
    if not links:
        return False
    parent = posixpath.dirname(path)
    while parent:
        if key_of(parent, fold=fold) in links:
            return True
        parent = posixpath.dirname(parent)
    return False
