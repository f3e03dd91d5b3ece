"""One file of an archive: text as text, a picture as a picture, anything else as its bytes; nothing as a page."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from backstay.archives import EntryType
from backstay.errors import NotFoundError, UsageError
from backstay.jobs.archive_index import Item
from backstay.jobs.browsing import Inside
from backstay.jobs.users import Role
from backstay.web.pages.files.listing import crumbs, mode
from backstay.web.pages.files.opening import looking
from backstay.web.rendering import unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

SANDBOX: Final = "sandbox; default-src 'none'"
"""The policy of what came out of an archive: it may do nothing, wherever it is opened."""
LARGEST_PICTURE: Final = 16 << 20
_TEXT: Final = 96 << 10
_LINES: Final = 3000
_HEX: Final = 4096
_WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown of a file.

    Attributes:
        kind: ``text``, ``picture``, ``bytes`` or ``empty``.
        text: the lines, or the bytes in hexadecimal digits.
        encoding: of a text.
        numbers: what stands beside each line.
        is_whole: whether that is all of it.
    """

    kind: str
    text: str = ""
    encoding: str = ""
    numbers: str = ""
    is_whole: bool = True


def preview(beginning: bytes, size: int) -> Preview:
    """Return what is shown of a file with these first bytes.

    Args:
        beginning: its first 96 KiB, or all where it is shorter.
        size: of the whole file, in bytes.
    """
    if not beginning:
        return Preview("empty")
    if picture_type(beginning) and size <= LARGEST_PICTURE:
        return Preview("picture")
    decoded = _decoded(beginning, is_whole=len(beginning) >= size)
    if decoded is None:
        shown = beginning[:_HEX]
        rows = range(0, len(shown), _WIDTH)
        text = "\n".join(_hex_line(shown[row : row + _WIDTH]) for row in rows)
        return Preview("bytes", text, "", "\n".join(f"{row:08x}" for row in rows), len(shown) == size)
    text, encoding = decoded
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_whole = len(beginning) >= size and len(lines) <= _LINES
    lines = lines[:_LINES]
    return Preview("text", "\n".join(lines), encoding, "\n".join(map(str, range(1, len(lines) + 1))), is_whole)


def picture_type(beginning: bytes) -> str:
    """Return the media type of a picture that holds no script, by its first bytes; empty where it is none."""
    if beginning.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if beginning.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if beginning.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return ""


def _decoded(data: bytes, *, is_whole: bool) -> tuple[str, str] | None:
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name.upper()
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in data):
        return None
    try:
        # What is cut off may end in the middle of a letter.
        return codecs.getincrementaldecoder("utf-8")().decode(data, is_whole), "UTF-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "Windows-1252, as far as can be guessed"


def _hex_line(data: bytes) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)
    return f"{data.hex(' ').ljust(3 * _WIDTH)} {letters}"


def _first(pieces: Iterator[bytes], size: int) -> bytes:
    """Return the first bytes, and read no further: what a small file unpacks to is not to be trusted."""
    found = bytearray()
    for piece in pieces:
        found += piece[: size - len(found)]
        if len(found) >= size:
            break
    return bytes(found)


def asked_file(visit: Visit, inside: Inside) -> Item:
    """Return the file, or link, that a query names.

    Raises:
        NotFoundError: there is none.
    """
    item = inside.index.find(unquoted(visit.asked("path")))
    if item.is_folder:
        raise NotFoundError("That is a folder, and no file: choose a file in it.")
    return item


def _one(visit: Visit, inside: Inside) -> Response:
    item = asked_file(visit, inside)
    shown = Preview("empty")
    if item.type is EntryType.FILE and not item.unsupported:
        with closing(inside.read(item)) as pieces:  # type: ignore[type-var]  # it is a generator
            shown = preview(_first(pieces, _TEXT), item.size)
    return visit.page(
        "files/file.html",
        backup=inside.backup,
        storage=inside.storage,
        item=item,
        crumbs=crumbs(item.path)[:-1],
        preview=shown,
        mode=mode,
    )


def _picture(visit: Visit, inside: Inside) -> Response:
    item = asked_file(visit, inside)
    with closing(inside.read(item)) as pieces:  # type: ignore[type-var]  # it is a generator
        data = _first(pieces, LARGEST_PICTURE + 1)
    kind = picture_type(data)
    if not kind or len(data) > LARGEST_PICTURE:
        raise UsageError("That is no picture that is shown here: download it.")
    return Response(
        data, media_type=kind, headers={"Content-Security-Policy": SANDBOX, "Content-Disposition": "inline"}
    )


ROUTES = (
    # What a file holds may be a password: to see it is the same as to download it.
    PageRoute("GET", "/backups/{number:int}/files/file", Role.OPERATOR, looking(_one), bound="backup"),
    PageRoute("GET", "/backups/{number:int}/files/picture", Role.OPERATOR, looking(_picture), bound="backup"),
)
