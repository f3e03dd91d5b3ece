"""The manifest: what each entry of an archive must be, kept as the archive's last files.

It is JSON Lines in files of at most a megabyte, ``installation/backstay/manifest-0001.jsonl`` and so on: one line for
each path in the order of the entries, and a last line with the number of lines and the BLAKE3 of all lines before it.
Any reader of the format sees just more files. Each line says where in the archive its entry lies, and behind the
manifest comes one small file more, the archive's last, that says where the manifest lies: so one file is taken out of
an archive elsewhere without reading all headers before it. Bytes of a path that are not UTF-8 become the code points
DC80 to DCFF, as with Python's ``surrogateescape``.
"""

from __future__ import annotations

import json
import re
from collections import deque
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from backstay.archives.attributes import NO_ATTRIBUTES, Attributes, pack_attributes, parse_attributes
from backstay.archives.entries import EntryType, ManifestLine
from backstay.archives.spool import Spool
from backstay.errors import DamagedArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDER = "installation/backstay"
PIECE_SIZE = 1 << 20
"""Bytes of the largest file of a manifest."""
POINTER = f"{FOLDER}/manifest.json"
"""Path of the archive's last file, which says where the manifest lies. The manifest has a line of it like of any file,
so that readers that do not know it take it for one."""

_NAME = re.compile(rf"{FOLDER}/manifest-(\d{{4,}})\.jsonl", re.ASCII)
_LONGEST_LINE = PIECE_SIZE // 2
_LOOK_AHEAD = 1000
_LARGEST_POINTER = 1000
_TYPES = {entry_type.value: entry_type for entry_type in EntryType}
_DECODER = json.JSONDecoder()


def piece_name(number: int) -> str:
    """Give the path of a file of the manifest, counted from 1."""
    return f"{FOLDER}/manifest-{number:04d}.jsonl"


def piece_number(path: str) -> int | None:
    """Say which file of a manifest a path is, None if it is none."""
    if not path.startswith(FOLDER):
        return None
    match = _NAME.fullmatch(path)
    return int(match[1]) if match else None


def pack_file_line(
    path: str, size: int, mode: int, mtime: int, digest: str, attributes: Attributes = NO_ATTRIBUTES
) -> bytes:
    """Make the line of a file; what `pack_line` makes, for the many."""
    return (
        f'{{"path":{quoted(path)},"type":"file","size":{size},"mode":"{mode:o}","mtime":{mtime},"blake3":"{digest}"'
        f"{pack_attributes(attributes)}}}\n"
    ).encode("ascii")


def pack_line(line: ManifestLine) -> bytes:
    """Make the line of one path."""
    fields = [
        f'{{"path":{quoted(line.path)},"type":"{line.type.value}","size":{line.size},"mode":"{line.mode:o}","mtime":{line.mtime}'
    ]
    if line.blake3 is not None:
        fields.append(f',"blake3":"{line.blake3}"')
    if line.target is not None:
        fields.append(f',"target":{quoted(line.target)}')
    if line.implied:
        fields.append(',"implied":true')
    fields.append(pack_attributes(line.attributes))
    fields.append("}\n")
    return "".join(fields).encode("ascii")


def with_position(line: bytes, position: int) -> bytes:
    """Add to a line where the header of its entry lies in the stream of all parts, in bytes."""
    return line[:-2] + b',"at":%d}\n' % position


def pack_pointer(position: int) -> bytes:
    """Make the content of `POINTER`: where the header of the manifest's first file lies in the stream of all parts."""
    return b'{"manifest":%d}\n' % position


def parse_pointer(text: bytes) -> int | None:
    """Read what `pack_pointer` made; None where it is something else."""
    try:
        fields = json.loads(text) if len(text) <= _LARGEST_POINTER else None
    except (ValueError, RecursionError):
        return None
    position = fields.get("manifest") if isinstance(fields, dict) else None
    return position if type(position) is int and position >= 0 else None


def parse_line(text: bytes) -> ManifestLine:
    """Read the line of one path; fields of later versions are passed over.

    Raises:
        DamagedArchiveError: if it is not what `pack_line` makes.
    """
    return parse_fields(text)[0]


def parse_fields(text: bytes) -> tuple[ManifestLine, dict[str, Any]]:
    """Read the line of one path, and give all its fields with it; see `parse_line`."""
    try:
        fields = _fields_of(text)
        return _line_of(fields), fields
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedArchiveError("The archive's manifest is damaged: a line of it makes no sense.") from error


def _fields_of(text: bytes) -> dict[str, Any]:
    # What ``json.loads`` does, without guessing the encoding and looking for white space: an archive has many lines.
    line = text.decode("utf-8", "surrogatepass")
    fields: dict[str, Any]
    fields, end = _DECODER.raw_decode(line)
    if line[end:].strip():
        raise ValueError(end)
    return fields


def _line_of(fields: dict[str, Any]) -> ManifestLine:
    line = ManifestLine(
        path=fields["path"],
        type=_TYPES[fields["type"]],
        size=fields["size"],
        mode=int(fields["mode"], 8),
        mtime=fields["mtime"],
        blake3=fields.get("blake3"),
        target=fields.get("target"),
        implied=fields.get("implied", False),
        attributes=parse_attributes(fields),
        at=fields.get("at"),
    )
    texts = (line.path, line.blake3, line.target)
    right = all(text is None or isinstance(text, str) for text in texts) and isinstance(line.path, str)
    if not (right and type(line.size) is int and type(line.mtime) is int and abs(line.mtime) < 1 << 62):
        raise ValueError
    if line.at is not None and not (type(line.at) is int and line.at >= 0):
        raise ValueError
    if (line.type is EntryType.FILE) != (line.blake3 is not None):
        raise ValueError
    return line


class ManifestSpool(Spool):
    """Collects the manifest on disk while an archive is written."""

    def pieces(self) -> Iterator[tuple[bytes, str | None]]:
        """Give the files of the manifest in order.

        Yields:
            The content of each; with the last, the BLAKE3 of all of them together.
        """
        digest = blake3()
        lines = 0
        piece = b""
        with self.open() as file:
            while block := file.read(PIECE_SIZE - len(piece)):
                piece += block
                if len(piece) < PIECE_SIZE:
                    continue
                cut = piece.rindex(b"\n") + 1
                digest.update(piece[:cut])
                lines += piece.count(b"\n", 0, cut)
                yield piece[:cut], None
                piece = piece[cut:]
        digest.update(piece)
        lines += piece.count(b"\n")
        end = json.dumps({"end": lines, "blake3": digest.hexdigest()}, separators=(",", ":")).encode() + b"\n"
        if len(piece) + len(end) > PIECE_SIZE:
            yield piece, None
            piece = b""
        digest.update(end)
        yield piece + end, digest.hexdigest()


class ManifestLines:
    """Reads a manifest line by line, and at its end holds it to its own hash.

    Args:
        pieces: the content of its files in order.

    Attributes:
        hash: BLAKE3 of the whole manifest; None until its end was read.
    """

    def __init__(self, pieces: Iterable[Iterable[bytes]]) -> None:
        self._pieces = pieces
        self.hash: str | None = None

    def __iter__(self) -> Iterator[ManifestLine]:
        """Give the lines.

        Raises:
            DamagedArchiveError: if the manifest is cut short or is not what it was.
        """
        digest = blake3()
        count = 0
        ended = False
        for text in self._texts():
            if ended:
                raise DamagedArchiveError("The archive's manifest goes on behind its end.")
            if text.startswith(b'{"end":'):
                self._check_end(text, count, digest.hexdigest())
                ended = True
                digest.update(text)
                continue
            digest.update(text)
            count += 1
            yield parse_line(text)
        if not ended:
            raise DamagedArchiveError("The archive's manifest is cut short: the end of the archive is missing.")
        self.hash = digest.hexdigest()

    def _texts(self) -> Iterator[bytes]:
        for piece in self._pieces:
            rest = b""
            for block in piece:
                lines = (rest + block).splitlines(keepends=True)
                rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
                yield from lines
                if len(rest) > _LONGEST_LINE:
                    raise DamagedArchiveError("The archive's manifest is damaged: a line of it has no end.")
            if rest:
                raise DamagedArchiveError("The archive's manifest is damaged: a line of it has no end.")

    @staticmethod
    def _check_end(text: bytes, count: int, digest: str) -> None:
        try:
            end = json.loads(text)
        except ValueError:
            end = {}
        if end != {"end": count, "blake3": digest}:
            raise DamagedArchiveError("The archive's manifest is damaged: it does not match its own hash.")


class ManifestCursor:
    """Follows a manifest alongside the entries, and keeps to it where some are missing or too many.

    Args:
        lines: the manifest.

    Attributes:
        missing: paths of lines that no entry came for, as far as it is known.
        directories: lines of directories without an entry, to be taken by the caller.
    """

    def __init__(self, lines: Iterable[ManifestLine]) -> None:
        self._lines = iter(lines)
        self._ahead: deque[ManifestLine] = deque()
        self.missing: list[str] = []
        self.directories: list[ManifestLine] = []

    def take(self, path: str) -> ManifestLine | None:
        """Give the line of an entry, None if the manifest does not know it."""
        self._fill(1)
        if self._ahead and self._ahead[0].path == path:
            return self._ahead.popleft()
        self._fill(_LOOK_AHEAD)
        for index, line in enumerate(self._ahead):
            if line.path == path:
                for _ in range(index):
                    self.missing.append(self._ahead.popleft().path)
                return self._ahead.popleft()
        return None

    def finish(self) -> None:
        """Read the rest: all lines in it are of entries that are missing."""
        self._fill(1)
        while self._ahead:
            self.missing.append(self._ahead.popleft().path)
            self._fill(1)

    def _fill(self, count: int) -> None:
        while len(self._ahead) < count:
            line = next(self._lines, None)
            if line is None:
                return
            if line.implied:
                self.directories.append(line)
            else:
                self._ahead.append(line)
