"""What a format has to be able to do; everything else is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstay.archives.entries import Entry, EntryType
    from backstay.archives.part_stream import PartStream, Window
    from backstay.archives.parts import PartWriter, Position

STORED = 0
DEFLATED = 1
BZIP2 = 2
LZMA = 14
XZ = 95


class Head(NamedTuple):
    """What an entry's header says apart from sizes.

    Attributes:
        path: the bytes of the path, without slashes at its ends.
        type: directory, file or symbolic link.
        mode: ``st_mode`` as it goes into the header.
        mtime: whole Unix seconds.
    """

    path: bytes
    type: EntryType
    mode: int
    mtime: int


class Content(NamedTuple):
    """What an entry's header says of its content.

    Attributes:
        method: `STORED` or `DEFLATED`.
        size: bytes of content.
        compressed_size: bytes of it in the archive, before any encryption.
        crc: CRC-32 of the content; 0 where the format has none.
    """

    method: int
    size: int
    compressed_size: int
    crc: int


class Unit(NamedTuple):
    """A run of bytes for the archive: first what must not be cut by the end of a part, then what may."""

    whole: bytes | memoryview
    data: bytes | bytearray | memoryview


@dataclass(slots=True)
class Totals:
    """What an archive holds.

    Attributes:
        entries: number of entries in the format's sense.
        size: bytes of content.
        compressed_size: bytes of content as stored.
    """

    entries: int = 0
    size: int = 0
    compressed_size: int = 0


class FormatWriter(Protocol):
    """Writes one format. ``header`` and ``unit`` are called from many threads, the rest from one, in order."""

    name: ClassVar[str]
    uses_crc: ClassVar[bool]
    """Headers hold a CRC-32 of the content."""
    chunk_size: int | None
    """Content is a row of independent deflate streams of so many bytes each, never stored; None for one stream."""
    empty_content: ClassVar[bytes]
    """How content of no bytes is stored: a deflate stream, or nothing."""
    largest: ClassVar[int | None]
    """Bytes of the largest content that can be stored, None for any."""

    def begin(self, parts: PartWriter) -> None:
        """Write what stands before the first entry."""

    def header(self, head: Head, content: Content, largest: int) -> bytes:
        """Make an entry's header.

        Args:
            head: what it says apart from sizes.
            content: sizes as they are, or as far as they are known: the header is patched at the end.
            largest: no size will be above this; its length must depend on this and ``head`` alone.
        """

    def unit(self, data: bytes | bytearray) -> Unit:
        """Make what is written of a piece of an entry's (deflated) content."""

    def written(self, head: Head, content: Content, largest: int, position: Position) -> None:
        """Take note of an entry that is whole in the archive, its header at a position."""

    def finish(self, parts: PartWriter, totals: Totals) -> None:
        """Write what stands behind the last entry, and patch what stands before the first."""

    def state(self) -> dict[str, Any]:
        """Give what is needed to go on after a crash, as plain JSON; what it refers to on disk is synced."""

    def release(self) -> None:
        """Release files kept beside the archive, and leave them there."""

    def discard(self) -> None:
        """Delete what was kept beside the archive while it was written."""


class FormatReader(Protocol):
    """Reads one format."""

    @property
    def name(self) -> str:
        """Name of the format."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Walk over the entries in order, reading headers and link targets only.

        Raises:
            DamagedArchiveError: where the structure is not what it should be, or the archive ends before its end.
        """

    def entry_at(self, window: Window, offset: int, end: int | None = None) -> tuple[Entry, int]:
        """Read the one entry whose header is at an offset of the stream.

        Args:
            window: what to read it through.
            offset: of the header.
            end: where the next header lies, None where that is not known.

        Returns:
            The entry, and where the next header lies.

        Raises:
            DamagedArchiveError: there is no such entry.
        """

    def last_entry(self, path: str) -> Entry | None:
        """Find a small entry of a known path where it is the archive's last, from the archive's end."""

    def wrong_totals(self, size: int, compressed_size: int) -> str | None:
        """Compare the totals that the archive names with what it holds.

        Returns:
            None if they agree, or else the end of a sentence. The vendor's totals are not always right, so this is no
            reason not to read an archive.
        """

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Read an entry's content, never more than its size, in pieces of at most a megabyte or so.

        Raises:
            DamagedArchiveError: if it is not what it should be; the message says only what is wrong.
        """

    def whole(self, entry: Entry, data: bytes) -> bytes:
        """Make the content of a small entry from its bytes in the archive; for many threads."""

    stream: PartStream
    comment: str
