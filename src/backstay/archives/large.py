"""Large entries: read, deflated and written block by block, and continued in the middle after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import codec, manifest
from backstay.archives.attributes import NO_ATTRIBUTES
from backstay.archives.content import CHANGED, UnreadableError, open_large, original_attributes
from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.formats import DEFLATED, STORED, Content, Head, Unit
from backstay.archives.names import path_bytes
from backstay.errors import ArchiveError

if TYPE_CHECKING:
    from backstay.archives.attributes import Attributes
    from backstay.archives.entries import Source
    from backstay.archives.writer import ArchiveWriter, OpenEntry

_SAMPLE = 65536
_SAMPLES = 8


class Block(NamedTuple):
    """A block that is ready to be written.

    Attributes:
        raw: its content, as it was read.
        unit: its bytes for the archive.
        compressed_size: bytes of it before encryption.
        crc: CRC-32 of ``raw``.
    """

    raw: bytes
    unit: Unit
    compressed_size: int
    crc: int


class LargeEntry:
    """A large file on its way into an archive. `block` is called from many threads, the rest in order from one.

    Args:
        source: the file.
        writer: the archive.
        begun: the entry in the middle of which the archive stands since a crash. If it is this very file, and the file
            is the same still, writing goes on there.

    Attributes:
        block_size: bytes of content in a block; the last has fewer.
        start: offset of the first block to be read.
        length: bytes to be read.
        why_not: why it cannot be stored after all, None if it can.

    Raises:
        UnreadableError: if it cannot be read.
    """

    def __init__(self, source: Source, writer: ArchiveWriter, begun: OpenEntry | None = None) -> None:
        self.source = source
        self.closed = False
        self._preparer = writer.preparer
        self._format = writer.preparer.format
        self._content = open_large(source, writer.work_directory, inflate=bool(self._format.chunk_size))
        # A stream that was deflated before is copied as it is, and its hash is known.
        self._ready = source.deflated if not self._format.chunk_size else None
        self.block_size = self._format.chunk_size or codec.BLOCK_SIZE
        self.length = self._content.size
        self._ended = False
        self._hash = blake3()
        same = begun is not None and [begun.path, begun.identity] == [source.path, self._content.identity()]
        self._begun = begun if same else None
        try:
            self.start = self._hash_again(self._begun.content) if self._begun else 0
            self._method = self._begun.content.method if self._begun else self._choose_method()
        except UnreadableError:
            self.close()
            raise
        limit = self._format.largest
        self.why_not = f"has grown to {self.length} bytes" if limit is not None and self.length > limit else None
        self._failure: str | None = None

    def _hash_again(self, content: Content) -> int:
        done = content.compressed_size if self._ready else content.size
        for offset in range(0, 0 if self._ready else done, codec.BLOCK_SIZE):
            self._hash.update(self._content.block(offset, min(codec.BLOCK_SIZE, done - offset)))
        return done

    def _choose_method(self) -> int:
        if self._ready or self._format.chunk_size:
            return DEFLATED
        if self.length > self._preparer.store_above:
            return STORED
        step = max(self.length // _SAMPLES, 1)
        samples = (self._content.block(offset, _SAMPLE) for offset in range(0, self.length, step))
        return DEFLATED if any(sample and self._preparer.codec.shrinks(sample) for sample in samples) else STORED

    def block(self, offset: int) -> Block:
        """Read and deflate the block at an offset."""
        raw = self._content.block(offset, self.block_size)
        if self._ready or self._method == STORED or not raw:
            return Block(raw, Unit(b"", raw), len(raw), self._crc(raw))
        if self._format.chunk_size:
            deflated: bytes | bytearray = self._preparer.codec.whole(raw)
            return Block(raw, self._format.unit(deflated), len(deflated), self._crc(raw))
        deflated = self._preparer.codec.block(raw)
        return Block(raw, Unit(b"", deflated), len(deflated), self._crc(raw))

    def _crc(self, raw: bytes) -> int:
        return isal_zlib.crc32(raw) if self._format.uses_crc and not self._ready else 0

    def begin(self, writer: ArchiveWriter) -> None:
        """Write the header, unless the entry is continued."""
        if self._begun is not None:
            return
        writer.drop_entry()
        content = Content(self._method, 0, 0, 0)
        head = Head(path_bytes(self.source.path), EntryType.FILE, self._mode, self._mtime)
        writer.begin_entry(self.source.path, self._content.identity(), head, content, self._largest)

    @property
    def _mode(self) -> int:
        return self.source.mode if self.source.deflated else self._content.mode

    @property
    def _mtime(self) -> int:
        return self.source.mtime if self.source.deflated else self._content.mtime

    @property
    def _largest(self) -> int:
        spool = self.source.deflated
        return max(spool.size, spool.compressed_size) if spool else self.length

    def add(self, writer: ArchiveWriter, block: Block) -> None:
        """Write a block."""
        entry = writer.open_entry
        if entry is None or self._ended or not block.raw:
            self._ended = True
            return
        before = entry.content
        size = len(block.raw)
        crc = isal_zlib.crc32_combine(before.crc, block.crc, size) if self._format.uses_crc else 0
        if not self._ready:
            self._hash.update(block.raw)
        content = Content(before.method, before.size + size, before.compressed_size + block.compressed_size, crc)
        writer.add_block(block.unit, content)
        # Behind a short block the file has been cut: what may come later in it is another file's content.
        self._ended = size < self.block_size

    def drop(self, writer: ArchiveWriter, reason: str) -> None:
        """Take back what was written of an entry that cannot be read to its end.

        Raises:
            ArchiveError: if it is content of the archive's own making, which must not be missing.
        """
        if self.source.deflated:
            raise ArchiveError(f"{self.source.deflated.path} {reason}.")
        self._ended = True
        self._failure = self._failure or reason
        writer.drop_entry()

    def end(self, writer: ArchiveWriter) -> str | None:
        """End the entry with what was read.

        Returns:
            The end of a sentence that names it, if what is stored is not what the file was.
        """
        entry = writer.open_entry
        if entry is None:
            writer.last_path = self.source.path
            self.close()
            return self._failure
        content = entry.content
        spool = self._ready
        digest = spool.blake3 if spool else self._hash.hexdigest()
        if spool:
            writer.add_block(Unit(b"", b""), Content(DEFLATED, spool.size, spool.compressed_size, spool.crc32))
        elif self._method == DEFLATED and not self._format.chunk_size:
            end = codec.EMPTY_STREAM
            writer.add_block(Unit(b"", end), content._replace(compressed_size=content.compressed_size + len(end)))
        line = ManifestLine(
            self.source.path, EntryType.FILE, entry.content.size, self._mode, self._mtime, digest,
            attributes=self._attributes(),
        )  # fmt: skip
        changed = self._content.changed() or (not spool and entry.content.size != self.length)
        writer.end_entry(manifest.pack_line(line))
        self.close()
        return CHANGED if changed else self._content.warning

    def _attributes(self) -> Attributes:
        if self.source.deflated:
            return NO_ATTRIBUTES
        return original_attributes(self.source)[0] if self.source.original else self._content.attributes

    def close(self) -> None:
        """Release the file."""
        if not self.closed:
            self.closed = True
            self._content.close()
