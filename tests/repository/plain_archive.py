"""A snapshot as an archive, made the plain way: entry by entry, all of it in memory."""

from __future__ import annotations

from blake3 import blake3
from isal import isal_zlib

from backstay.archives import EntryType, manifest
from backstay.archives.codec import EMPTY_STREAM
from backstay.archives.entries import ManifestLine
from backstay.archives.formats import STORED, Content, Head
from backstay.archives.jpa.layout import pack_archive_header
from backstay.archives.zip.layout import SINGLE_MARKER, Ending, pack_central, pack_ending
from backstay.repository.entry_formats import Form, entry_of, format_of, own_head
from backstay.repository.layout import Snapshot
from backstay.repository.lines import Line, lines
from backstay.repository.opened import Repository


class PlainArchive:
    """The parts of a snapshot's archive, in ``parts``."""

    def __init__(self, repository: Repository, snapshot: Snapshot, form: Form) -> None:
        self._repository = repository
        self._form = form
        self._format = format_of(form)
        self._mtime = int(snapshot.created.timestamp())
        self.parts = [bytearray(self._format.beginning(split=bool(form.part_size)))]
        self._records: list[bytes] = []
        self._sizes = [0, 0]
        self._texts: list[bytes] = []
        for line in lines(repository, snapshot):
            self._add(line)
        self._add_manifest()
        if form.format == "zip":
            self._end_zip()
        else:
            split = len(self.parts) if form.part_size else None
            header = pack_archive_header(len(self._records), self._sizes[0], self._sizes[1], split)
            self.parts[0][: len(header)] = header

    def _reserve(self, size: int) -> None:
        if self._form.part_size and self.parts[-1] and self._form.part_size - len(self.parts[-1]) <= size:
            self.parts.append(bytearray())

    def _write(self, data: bytes) -> None:
        while self._form.part_size and len(self.parts[-1]) + len(data) > self._form.part_size:
            room = self._form.part_size - len(self.parts[-1])
            self.parts[-1] += data[:room]
            data = data[room:]
            self.parts.append(bytearray())
        self.parts[-1] += data

    def _add(self, line: Line) -> None:
        entry = entry_of(line, self._format)
        if entry is None:
            self._texts.append(line.text)
            return
        head, content = entry
        data = (line.line.target or "").encode()
        if head.type is EntryType.FILE and content.method == STORED:
            data = b"".join(self._repository.contents(line.chunks))
        elif head.type is EntryType.FILE:
            data = b"".join(self._repository.deflated(line.chunks)) + EMPTY_STREAM
        self._texts.append(manifest.with_position(line.text, self._put(head, content, data)))

    def _put(self, head: Head, content: Content, data: bytes) -> int:
        assert len(data) == content.compressed_size
        header = self._format.header(head, content)
        self._reserve(len(header))
        at = sum(map(len, self.parts))
        mode = head.mode if head.type is not EntryType.SYMLINK else 0o120777
        place = (len(self.parts) - 1, len(self.parts[-1]))
        largest = max(content.size, content.compressed_size)
        self._records.append(pack_central(head._replace(mode=mode), content, largest, *place))
        self._write(header)
        self._write(data)
        self._sizes = [self._sizes[0] + content.size, self._sizes[1] + content.compressed_size]
        return at

    def _put_own(self, path: str, data: bytes) -> None:
        content = Content(STORED, len(data), len(data), isal_zlib.crc32(data))
        self._put(own_head(path, self._mtime), content, data)

    def _add_manifest(self) -> None:
        first = own_head(manifest.piece_name(1), self._mtime)
        self._reserve(len(self._format.header(first, Content(STORED, 0, 0, 0))))
        pointer = manifest.pack_pointer(sum(map(len, self.parts)))
        line = ManifestLine(
            manifest.POINTER, EntryType.FILE, len(pointer), 0o100644, self._mtime, blake3(pointer).hexdigest()
        )
        self._texts.append(manifest.pack_line(line))
        digest = blake3(b"".join(self._texts)).hexdigest()
        self._texts.append(b'{"end":%d,"blake3":"%s"}\n' % (len(self._texts), digest.encode()))
        pieces = [b""]
        for text in self._texts:
            if len(pieces[-1]) + len(text) > manifest.PIECE_SIZE:
                pieces.append(b"")
            pieces[-1] += text
        for number, piece in enumerate(pieces, start=1):
            self._put_own(manifest.piece_name(number), piece)
        self._put_own(manifest.POINTER, pointer)

    def _end_zip(self) -> None:
        begun: list[tuple[int, int]] = []
        for record in self._records:
            self._reserve(len(record))
            begun.append((len(self.parts) - 1, len(self.parts[-1])))
            self._write(record)
        comment = self._form.comment.encode()
        self._reserve(56 + 20 + 22 + len(comment))
        disk, offset = len(self.parts) - 1, len(self.parts[-1])
        count, size = len(self._records), sum(map(len, self._records))
        ending = Ending(disk, begun[0][0], count, size, begun[0][1], comment)
        self._write(pack_ending(ending, sum(place[0] == disk for place in begun), (disk, offset)))
        if self._form.part_size and len(self.parts) == 1:
            self.parts[0][:4] = SINGLE_MARKER
