"""The plain data that goes into archives and comes out of them.

Paths are ``/``-separated text without a slash at either end. They are bytes on disk and in archives; as text they
are what ``os.fsdecode`` makes of them (UTF-8 with ``surrogateescape``), so that any bytes survive.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstay.archives.attributes import NO_ATTRIBUTES, Attributes

if TYPE_CHECKING:
    from pathlib import Path


class EntryType(enum.Enum):
    """What an entry is; nothing else is ever stored or made."""

    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"


class Compression(enum.Enum):
    """How hard to try to make an archive small."""

    FAST = "fast"
    BALANCED = "balanced"
    SMALL = "small"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a reader finds an entry's data; its own business.

    Attributes:
        start: offset of the data in the stream of all parts, in bytes.
        end: offset after the last byte of the data.
        method: 0 stored, 1 raw deflate, 2 bzip2 (JPA's numbers, section 1.4 of the format notes), 14 LZMA, 95 xz
            (ZIP's).
        crc: CRC-32 of the content, where the format has one.
        unsupported: why the data cannot be read, as the end of a sentence that begins with the entry's name; None if it
            can.
    """

    start: int
    end: int
    method: int
    crc: int | None = None
    unsupported: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive as its header describes it; no data has been read.

    Attributes:
        path: where it belongs, relative to the root of the archive.
        type: directory, file or symbolic link.
        size: bytes of its content.
        compressed_size: bytes its content takes in the archive.
        mode: the permissions (``st_mode``, with type bits where the format has them), None where not known.
        mtime: modification time in whole Unix seconds, None where not known.
        target: what a symbolic link points to.
        location: where the reader finds the data.
    """

    path: str
    type: EntryType
    size: int
    compressed_size: int
    mode: int | None
    mtime: int | None
    target: str | None = None
    location: Location | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class DeflatedFile:
    """A file on disk that holds one raw deflate stream (RFC 1951), ready to be copied into an archive.

    Attributes:
        path: the file.
        size: bytes of the content once inflated.
        compressed_size: bytes of the file.
        crc32: CRC-32 of the content.
        blake3: BLAKE3 of the content, 64 hexadecimal digits.
    """

    path: str
    size: int
    compressed_size: int
    crc32: int
    blake3: str


@dataclass(frozen=True, slots=True)
class Source:
    """Something to pack.

    Exactly one of ``file``, ``data`` and ``deflated`` is set for a file, ``target`` for a symbolic link, none for
    a directory.

    Attributes:
        path: where it goes in the archive.
        type: directory, file or symbolic link.
        mode: ``st_mode``.
        mtime: modification time in whole Unix seconds.
        size: bytes expected; what is read decides.
        file: a real file to read.
        data: the content itself.
        deflated: content that was deflated before.
        target: what a symbolic link points to.
        implied: a directory that other entries imply. It gets an entry only if its mode is not 0755; its mode and
            time are in the manifest in any case.
        original: what on disk has the owner and the other `Attributes` that are kept: the path of a directory or link,
            or of the file that ``file`` is a copy of; None: ``file`` itself, if anything.
        seen: what was noted of it on the walk for who packs it; None: nothing was.
    """

    path: str
    type: EntryType
    mode: int
    mtime: int
    size: int = 0
    file: str | None = None
    data: bytes | None = field(default=None, repr=False)
    deflated: DeflatedFile | None = None
    target: str | None = None
    implied: bool = False
    original: str | None = None
    seen: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PackWarning:
    """Something that could not be stored, or not as it was: the archive is whole without it.

    Attributes:
        path: the path in the archive.
        message: one sentence that names it.
    """

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class PackProgress:
    """How far packing has come since the archive was created; crashes in between do not count.

    Attributes:
        entries: entries written whole.
        bytes_in: bytes of content read.
        bytes_out: bytes of the archive.
        path: the last path that is whole in the archive, in the order of the sources; None before the first.
    """

    entries: int
    bytes_in: int
    bytes_out: int
    path: str | None


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """A finished archive.

    Attributes:
        parts: the files, in order; the one with the main extension is last.
        total_size: bytes of all parts.
        entries: entries, those of the manifest not counted.
        uncompressed_size: bytes of their content.
        manifest_hash: BLAKE3 of the whole manifest, 64 hexadecimal digits.
    """

    parts: list[Path]
    total_size: int
    entries: int
    uncompressed_size: int
    manifest_hash: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may unpack to; what goes beyond is an `ArchiveLimitError` before anything is written.

    Without limits an archive may still not unpack to more than the disk has space for. A ratio is not limited unless
    asked for, because a backup may well hold a file that is mostly zeros.

    Attributes:
        total_size: bytes of all content, None for no limit.
        ratio: uncompressed to compressed size of the whole archive, None for no limit. Archives that unpack to
            less than ``ratio_floor`` are not held to it.
        ratio_floor: bytes.
        entries: number of entries, None for no limit.
    """

    total_size: int | None = None
    ratio: float | None = None
    ratio_floor: int = 1 << 20
    entries: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What the manifest says of one path.

    Attributes:
        path: the path.
        type: directory, file or symbolic link.
        size: bytes of content (of a link: of its target; of a directory: 0).
        mode: ``st_mode``.
        mtime: modification time in whole Unix seconds.
        blake3: BLAKE3 of a file's content, 64 hexadecimal digits.
        target: what a symbolic link points to.
        implied: a directory without an entry of its own.
        attributes: owner, fraction of a second, extended attributes, hard links.
        at: offset of the entry's header in the stream of all parts, in bytes; None where the archive does not say.
    """

    path: str
    type: EntryType
    size: int
    mode: int
    mtime: int
    blake3: str | None = None
    target: str | None = None
    implied: bool = False
    attributes: Attributes = NO_ATTRIBUTES
    at: int | None = field(default=None, compare=False)

    @property
    def mtime_ns(self) -> int:
        """Modification time in Unix nanoseconds."""
        return self.mtime * 1_000_000_000 + self.attributes.nanoseconds


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with an archive.

    Attributes:
        path: the entry, None where it is not one entry's.
        message: one sentence.
        harmless: every entry is whole all the same; the vendor's extractor does not look at it.
    """

    path: str | None
    message: str
    harmless: bool = False


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What reading all of an archive has shown.

    Attributes:
        entries: entries read.
        bytes: bytes of content read.
        problems: what is wrong; at most a thousand are listed.
        used_manifest: content was compared with the manifest's hashes; without one, only the structure was checked.
        manifest_hash: BLAKE3 of the manifest as it was read, to compare with the backup record.
    """

    entries: int
    bytes: int
    problems: list[Problem]
    used_manifest: bool
    manifest_hash: str | None = None

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class ExtractProgress:
    """How far an extraction has come.

    Attributes:
        entries: entries done.
        bytes: bytes of content written, or read.
        path: the last path done.
        total: bytes of content in all.
    """

    entries: int
    bytes: int
    path: str
    total: int


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What an extraction has written.

    Attributes:
        entries: files, directories and links made.
        bytes: bytes of content written.
        refused: entries that were not made because they were not safe; a warning named each.
        used_manifest: content, modes and times were checked or taken from the manifest.
        has_owners: the manifest names the owners of what was written.
    """

    entries: int
    bytes: int
    refused: int
    used_manifest: bool
    has_owners: bool = False
