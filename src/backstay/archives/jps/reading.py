"""Reading JPS 1.9, 1.10 and 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from backstay.archives import codec
from backstay.archives.decompress import LONGEST_TARGET
from backstay.archives.entries import Entry, EntryType, Location
from backstay.archives.formats import DEFLATED, STORED
from backstay.archives.jps.cipher import Decryptor
from backstay.archives.jps.layout import (
    CHUNK_HEAD,
    END,
    END_SIGNATURE,
    ENTITY_HEAD,
    ENTITY_SIGNATURE,
    EntityHeader,
    parse_archive_header,
    parse_entity,
)
from backstay.archives.last_entry import last_entity
from backstay.archives.part_stream import PartStream, Window
from backstay.errors import DamagedArchiveError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOW = 0xFFFFFFFF
_LARGEST_CHUNK = 64 << 20
"""Bytes of the largest chunk that is read: one has to be held whole. Writers make chunks of a megabyte."""

_STRAY = {4, 8, 12}
"""What is left of a block's length by sixteens, by version (section 2.6): no signature can be taken for one."""


class JpsReader:
    """Reads a JPS archive.

    Args:
        stream: the parts.
        password: None and an empty one are the same.

    Raises:
        WrongPasswordError: if the password does not open the first entry.
        DamagedArchiveError: if the header is damaged.
    """

    name: ClassVar[str] = "jps"
    comment = ""

    def __init__(self, stream: PartStream, password: str | None) -> None:
        self.stream = stream
        try:
            header = parse_archive_header(stream.read(0, 256))
        except DamagedArchiveError as error:
            raise DamagedArchiveError(f"{self._name} is damaged: {error}.") from None
        self._start = header.length
        self._size = 0
        self._cipher = Decryptor(password or "", header.salt, header.hash_name, header.iterations)
        self._check_password(given=password is not None)

    @property
    def _name(self) -> str:
        return str(self.stream.paths[-1])

    def _check_password(self, *, given: bool) -> None:
        if self.stream.read(self._start, 3) != ENTITY_SIGNATURE:
            return
        try:
            self._entity(Window(self.stream), self._start)
        except DamagedArchiveError as error:
            if given:
                raise WrongPasswordError(f"The password does not open {self._name}.") from error
            raise WrongPasswordError(
                f"A password is needed to open {self._name}: give it with --password, or better in the environment "
                "variable BACKSTAY_PASSWORD."
            ) from error

    def _entity(self, window: Window, offset: int) -> tuple[EntityHeader, int]:
        signature, encrypted, size = ENTITY_HEAD.unpack(window.exactly(offset, ENTITY_HEAD.size))
        if signature != ENTITY_SIGNATURE:
            raise DamagedArchiveError(
                f"{self._name} is damaged: there is no entry at byte {offset}, where one should be."
            )
        block = window.exactly(offset + ENTITY_HEAD.size, encrypted)
        try:
            return parse_entity(self._cipher.decrypt(block, size)), offset + ENTITY_HEAD.size + encrypted
        except DamagedArchiveError as error:
            raise DamagedArchiveError(f"{self._name} is damaged at byte {offset}: {error}.") from None

    def entries(self) -> Iterator[Entry]:
        """Walk over the entities; see `FormatReader.entries`."""
        window = Window(self.stream)
        offset = self._start
        count = 0
        while window.exactly(offset, 3) != END_SIGNATURE:
            entry, offset = self.entry_at(window, offset)
            count += 1
            yield entry
        _, _, entries, self._size, _ = END.unpack(window.exactly(offset, END.size))
        if count & _LOW != entries:
            raise DamagedArchiveError(
                f"{self._name} is damaged: it holds {count} entries where its end says {entries}."
            )

    def entry_at(self, window: Window, offset: int, end: int | None = None) -> tuple[Entry, int]:
        """Read one entity; see `FormatReader.entry_at`."""
        header, start = self._entity(window, offset)
        if not header.size:
            end, compressed_size = start, 0
        elif end is None:
            end, compressed_size = self._chunks_end(window, start)
        else:
            compressed_size = end - start
        location = Location(start, end, DEFLATED if header.compression else STORED)
        return self._entry(header, location, compressed_size), end

    def last_entry(self, path: str) -> Entry | None:
        """Find the last entry from the end; see `FormatReader.last_entry`."""
        end = self.stream.length - END.size
        if self.stream.read(end, 3) != END_SIGNATURE:
            return None
        return last_entity(self, path, ENTITY_SIGNATURE, end)

    def _chunks_end(self, window: Window, offset: int) -> tuple[int, int]:
        """Walk over an entity's chunks: they end where the next signature stands."""
        total = 0
        while window.exactly(offset, 3) not in {ENTITY_SIGNATURE, END_SIGNATURE}:
            encrypted, size = CHUNK_HEAD.unpack(window.exactly(offset, CHUNK_HEAD.size))
            end = offset + CHUNK_HEAD.size + encrypted
            if encrypted % 16 not in _STRAY or size > encrypted:
                raise DamagedArchiveError(
                    f"{self._name} is damaged: the data at byte {offset} has an impossible length."
                )
            if end > self.stream.length:
                raise DamagedArchiveError(f"{self._name} is cut short: it ends in the middle of an entry.")
            offset = end
            total += size
        return offset, total

    def _entry(self, header: EntityHeader, location: Location, compressed_size: int) -> Entry:
        path = header.path.decode("utf-8", "surrogateescape")
        if header.type is not EntryType.FILE:
            path = path.removesuffix("/")
        entry = Entry(path, header.type, header.size, compressed_size, header.mode, header.mtime, None, location)
        if header.type is not EntryType.SYMLINK:
            return entry
        if max(header.size, location.end - location.start) > 2 * LONGEST_TARGET:
            raise DamagedArchiveError(f"{self._name} is damaged: a link has a target of {header.size} bytes.")
        try:
            target = b"".join(self.content(entry))
        except DamagedArchiveError as error:
            raise DamagedArchiveError(f"{self._name} is damaged: the target of a link: {error}.") from None
        text = target.decode("utf-8", "surrogateescape")
        return Entry(path, header.type, header.size, compressed_size, header.mode, header.mtime, text, location)

    def wrong_totals(self, size: int, compressed_size: int) -> str | None:  # noqa: ARG002 - see below
        """Compare with the end mark; the vendor's own total of compressed sizes is not what section 2.5 says."""
        if size & _LOW == self._size:
            return None
        return f"holds {size} bytes of content, and its end says {self._size}"

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Read an entry's content; see `FormatReader.content`."""
        location = entry.location
        if location is None:
            return iter(())
        return self._content(entry, self.stream.exactly, location.start, location.end)

    def whole(self, entry: Entry, data: bytes) -> bytes:
        """Make a small entry's content; see `FormatReader.whole`."""
        if not data:
            return b"".join(self._content(entry, self.stream.exactly, 0, 0))
        encrypted, size = CHUNK_HEAD.unpack_from(data)
        deflated = entry.location is not None and entry.location.method == DEFLATED
        if deflated and encrypted == len(data) - CHUNK_HEAD.size:
            # One chunk, as nearly every file has: the fast way.
            return codec.inflate_whole(self._cipher.decrypt(data[CHUNK_HEAD.size :], size), entry.size)
        return b"".join(self._content(entry, lambda offset, length: data[offset : offset + length], 0, len(data)))

    def _content(self, entry: Entry, read: Callable[[int, int], bytes], offset: int, end: int) -> Iterator[bytes]:
        done = 0
        while offset < end:
            encrypted, size = CHUNK_HEAD.unpack(read(offset, CHUNK_HEAD.size))
            offset += CHUNK_HEAD.size
            if encrypted > _LARGEST_CHUNK or offset + encrypted > end:
                raise DamagedArchiveError("it has a chunk that is too large")
            plain = self._cipher.decrypt(read(offset, encrypted), size)
            offset += encrypted
            stored = entry.location is None or entry.location.method == STORED
            for piece in (plain,) if stored else codec.inflate_chunk(plain, entry.size - done):
                done += len(piece)
                if done > entry.size:
                    raise DamagedArchiveError(f"it holds more than the {entry.size} bytes that were promised")
                yield piece
        if done != entry.size:
            raise DamagedArchiveError(f"it holds {done} bytes where {entry.size} were promised")
