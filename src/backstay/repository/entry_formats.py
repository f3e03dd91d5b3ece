"""The entries of an archive as which a snapshot is handed out: the bytes around their content, format by format."""

from __future__ import annotations

import stat
from typing import NamedTuple, Protocol

from isal import isal_zlib

from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import EntryType
from backstay.archives.formats import DEFLATED, STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header
from backstay.archives.jpa.writing import JpaWriter
from backstay.archives.names import path_bytes
from backstay.archives.writer import STORE_ABOVE
from backstay.archives.zip.layout import SPLIT_MARKER, pack_central, pack_local, with_place
from backstay.repository.lines import Line

FORMATS = ("jpa", "zip")


class Form(NamedTuple):
    """As what a snapshot is handed out.

    Attributes:
        format: ``jpa`` or ``zip``.
        part_size: bytes of a part, 0 for a single file.
        comment: of a ZIP archive.
    """

    format: str
    part_size: int = 0
    comment: str = ""


class Format(Protocol):
    """What differs from format to format."""

    empty: tuple[int, bytes]

    def beginning(self, *, split: bool) -> bytes:
        """Give what stands first, or as many bytes."""
        ...

    def header(self, head: Head, content: Content) -> bytes:
        """Give the header of an entry."""
        ...

    def record(self, head: Head, content: Content) -> bytes:
        """Give an entry's record in the directory at the end as if it lay first, nothing where there is none."""
        ...

    def placed(self, record: bytes, position: tuple[int, int]) -> bytes:
        """Give a record of an entry that lies elsewhere: in a part, from 0, at an offset."""
        ...


class _Jpa:
    empty = (DEFLATED, EMPTY_STREAM)

    def __init__(self) -> None:
        self._writer = JpaWriter()

    def beginning(self, *, split: bool) -> bytes:
        return pack_archive_header(0, 0, 0, 0 if split else None)

    def header(self, head: Head, content: Content) -> bytes:
        return self._writer.header(head, content, 0)

    def record(self, head: Head, content: Content) -> bytes:
        del head, content
        return b""

    def placed(self, record: bytes, position: tuple[int, int]) -> bytes:
        del position
        return record


class _Zip:
    empty = (STORED, b"")

    def beginning(self, *, split: bool) -> bytes:
        return SPLIT_MARKER if split else b""

    def header(self, head: Head, content: Content) -> bytes:
        return pack_local(head, content, max(content.size, content.compressed_size))

    def record(self, head: Head, content: Content) -> bytes:
        if head.type is EntryType.SYMLINK and not stat.S_ISLNK(head.mode):
            head = head._replace(mode=stat.S_IFLNK | 0o777)
        return pack_central(head, content, max(content.size, content.compressed_size), 0, 0)

    def placed(self, record: bytes, position: tuple[int, int]) -> bytes:
        return with_place(record, *position)


def format_of(form: Form) -> Format:
    """Give what makes a format's bytes."""
    return _Zip() if form.format == "zip" else _Jpa()


def rules_of(form: Form) -> str:
    """Name all on which the entries of an archive depend, besides the lines of which they are made."""
    return f"{form.format} {STORE_ABOVE}"


def entry_of(line: Line, made: Format) -> tuple[Head, Content] | None:
    """Give the header's fields of a line; None where it has no entry of its own."""
    path = line.line
    if path.implied and path.type is not EntryType.FILE:
        return None
    head = Head(path_bytes(path.path), path.type, path.mode, path.mtime)
    if path.type is EntryType.FILE:
        if not path.size:
            return head, Content(made.empty[0], 0, len(made.empty[1]), 0)
        if path.size > STORE_ABOVE:
            return head, Content(STORED, path.size, path.size, line.crc)
        deflated = sum([ref.deflated for ref in line.chunks]) + len(EMPTY_STREAM)
        return head, Content(DEFLATED, path.size, deflated, line.crc)
    target = path_bytes(path.target or "") if path.type is EntryType.SYMLINK else b""
    return head, Content(STORED, len(target), len(target), isal_zlib.crc32(target))


def own_head(path: str, mtime: int) -> Head:
    """Give the header's fields of one of the archive's own files."""
    return Head(path_bytes(path), EntryType.FILE, stat.S_IFREG | 0o644, mtime)
