"""The lines of a snapshot: what the manifest of an archive says of each path, and the chunks of its content.

Lines are kept in chunks like everything else. Where one ends and the next begins depends on the paths alone, so that a
change of one file changes one chunk of lines; and so it is with the lists of those chunks.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.manifest import pack_line, parse_fields
from backstay.errors import DamagedArchiveError, DamagedRepositoryError
from backstay.repository.layout import LINES, LIST, ChunkRef, Snapshot, pack_refs, parse_refs
from backstay.repository.opened import Repository

_LINES_MASK = 31
_MOST_LINES = 256
_LONG = 800
_LONG_LINES = 12 << 10
_MOST_BYTES = 256 << 10
_LIST_MASK = 127
_MOST_LIST = 1024
_OWN = b',"crc":'
_CHUNKS = b',"chunks":"'
_END = b'"}\n'


@dataclass(frozen=True, slots=True)
class Line:
    """One path of a snapshot.

    Attributes:
        line: what the manifest says of it.
        text: that, as the manifest has it, without a place in an archive.
        crc: CRC-32 of a file's content.
        chunks: the pieces of a file's content, in order.
    """

    line: ManifestLine
    text: bytes
    crc: int
    chunks: tuple[ChunkRef, ...]

    @property
    def deflated(self) -> int:
        """Bytes of the content as one deflate stream."""
        return sum(ref.deflated for ref in self.chunks) + 2


def file_line(line: ManifestLine, crc: int, chunks: tuple[ChunkRef, ...]) -> Line:
    """Make the line of a file."""
    return Line(line, pack_line(line), crc, chunks)


def other_line(line: ManifestLine) -> Line:
    """Make the line of a folder or a link."""
    return Line(line, pack_line(line), 0, ())


def pack(line: Line) -> bytes:
    """Write a line as the repository keeps it."""
    if line.line.type is not EntryType.FILE:
        return line.text
    return pack_file(line.text, line.crc, line.chunks)


def pack_file(text: bytes, crc: int, chunks: Sequence[ChunkRef]) -> bytes:
    """Write the line of a file as the repository keeps it.

    Args:
        text: what the manifest says of it.
        crc: CRC-32 of its content.
        chunks: the pieces of it, in order.
    """
    return text[:-2] + b',"crc":%d,"chunks":"%s"}\n' % (
        crc,
        binascii.b2a_base64(pack_refs(list(chunks)), newline=False),
    )


def chunks_of(text: bytes) -> list[ChunkRef]:
    """Read the pieces of a file's content from its line, which this machine has written; none where it is no file."""
    cut = text.rfind(_CHUNKS)
    return parse_refs(binascii.a2b_base64(text[cut + len(_CHUNKS) : -3])) if cut >= 0 else []


def manifest_text(text: bytes) -> bytes:
    """Give what the manifest says of a path, from its line as the repository keeps it."""
    cut = text.rfind(_OWN)
    return text if cut < 0 else text[:cut] + b"}\n"


def parse(text: bytes) -> Line:
    """Read what `pack` wrote.

    Raises:
        DamagedRepositoryError: it makes no sense.
    """
    try:
        line, fields = parse_fields(text)
        if line.type is not EntryType.FILE:
            return Line(line, text, 0, ())
        chunks = tuple(parse_refs(base64.b64decode(fields["chunks"], validate=True)))
        if type(fields["crc"]) is not int or sum(ref.size for ref in chunks) != line.size:
            raise ValueError(line.path)  # noqa: TRY301 - one error is made of all
        return Line(line, manifest_text(text), fields["crc"], chunks)
    except (DamagedArchiveError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise DamagedRepositoryError("A line of a backup's list of files makes no sense.") from error


class LineWriter:
    """Cuts lines into chunks, and what refers to them likewise.

    Args:
        store: stores a chunk of a kind.
    """

    def __init__(self, store: Callable[[bytes, int], ChunkRef]) -> None:
        self._store = store
        self._lines: list[bytes] = []
        self._bytes = 0
        self._refs: list[ChunkRef] = []
        self._lists: list[ChunkRef] = []

    def add_text(self, path: bytes, text: bytes) -> None:
        """Add the line of a path, as `pack` writes it, behind those before."""
        self._lines.append(text)
        self._bytes += len(text)
        crc = zlib.crc32(path)
        size = len(text)
        # The lines of files in many pieces are long, and a change of one costs the whole chunk that it is in.
        ends = not crc & _LINES_MASK or (size > _LONG and crc * _LONG_LINES < size << 32)
        if ends or len(self._lines) >= _MOST_LINES or self._bytes >= _MOST_BYTES:
            self._end_lines()

    def _end_lines(self) -> None:
        ref = self._store(b"".join(self._lines), LINES)
        self._lines.clear()
        self._bytes = 0
        self._refs.append(ref)
        if not ref.identity[0] & _LIST_MASK or len(self._refs) >= _MOST_LIST:
            self._end_list()

    def _end_list(self) -> None:
        self._lists.append(self._store(pack_refs(self._refs), LIST))
        self._refs.clear()

    def finish(self) -> list[ChunkRef]:
        """End the last chunks; give the references to the lists."""
        if self._lines:
            self._end_lines()
        if self._refs:
            self._end_list()
        return self._lists


def segments(repository: Repository, snapshot: Snapshot) -> Iterator[ChunkRef]:
    """Give the chunks with the lines of a snapshot, in order.

    Raises:
        DamagedRepositoryError: a list of them is missing or damaged.
    """
    for content in repository.contents(snapshot.lists):
        yield from parse_refs(content)


def lines_of(content: bytes) -> list[Line]:
    """Give the lines of a chunk of lines.

    Raises:
        DamagedRepositoryError: one makes no sense.
    """
    return [parse(text) for text in content.splitlines(keepends=True)]


def all_chunks_of(content: bytes) -> list[ChunkRef]:
    """Give the chunks of all files of a chunk of lines, without a look at what else the lines say.

    Raises:
        DamagedRepositoryError: a line makes no sense.
    """
    found: list[ChunkRef] = []
    try:
        for text in content.splitlines(keepends=True):
            is_plain = _CHUNKS in text and text.endswith(_END)
            found += chunks_of(text) if is_plain else parse(text).chunks
    except binascii.Error as error:
        raise DamagedRepositoryError("A line of a backup's list of files makes no sense.") from error
    return found


def lines(repository: Repository, snapshot: Snapshot) -> Iterator[Line]:
    """Give the lines of a snapshot.

    Raises:
        DamagedRepositoryError: some are missing or damaged.
    """
    for content in repository.contents(list(segments(repository, snapshot))):
        yield from lines_of(content)
