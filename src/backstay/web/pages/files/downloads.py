"""Downloads of one file of an archive, or of a folder as ZIP, sent while they are read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from backstay.errors import UsageError
from backstay.jobs.packing_folders import folder_as_zip, safe_name
from backstay.jobs.users import Role
from backstay.web.pages.files.one_file import SANDBOX, asked_file
from backstay.web.pages.files.opening import asking, opened
from backstay.web.rendering import unquoted
from backstay.web.routes import PageRoute
from backstay.web.visit import Visit

_AT_ONCE: Final = 6
_room = threading.BoundedSemaphore(_AT_ONCE)
"""A download of a copy at a storage keeps up to 80 MiB in memory."""


def disposition(name: str) -> str:
    """Return the header that lets a browser keep an answer under a name, whatever is in it (RFC 6266)."""
    safe = safe_name(name.replace("/", "_"))[-200:].decode("utf-8", "replace") or "file"
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\%' else "_" for one in safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _file(visit: Visit) -> Response:
    def answer() -> Response:
        with ExitStack() as stack:
            inside = stack.enter_context(opened(visit, visit.asked("storage")))
            item = asked_file(visit, inside)
            headers = _headers(item.name, "application/octet-stream")
            headers["Content-Length"] = str(item.size)
            return _streamed(inside.read(item), stack, headers)

    return asking(visit, answer)


def _folder(visit: Visit) -> Response:
    def answer() -> Response:
        with ExitStack() as stack:
            inside = stack.enter_context(opened(visit, visit.asked("storage")))
            item = inside.index.find(unquoted(visit.asked("path")))
            name = f"{item.name or f'backup-{inside.backup.id}'}.zip"
            return _streamed(folder_as_zip(inside, item.path), stack, _headers(name, "application/zip"))

    return asking(visit, answer)


def _streamed(pieces: Iterator[bytes], stack: ExitStack, headers: dict[str, str]) -> Response:
    """Return an answer that is made while it is sent; what it needs is released when it ends, however it does.

    Raises:
        UsageError: there are too many at once.
        BackstayError: there is nothing to be sent: the first piece cannot be read.
    """
    if not _room.acquire(blocking=False):
        raise UsageError(f"There are {_AT_ONCE} downloads out of archives already: try again when one has ended.")
    stack.callback(_room.release)
    stack.callback(getattr(pieces, "close", lambda: None))
    first = next(pieces, b"")
    kept = stack.pop_all()

    def sending() -> Iterator[bytes]:
        with kept:
            yield b""
            yield first
            yield from pieces

    sent = sending()
    # Begun at once: a generator that never began would release nothing when the browser has gone.
    next(sent)
    return StreamingResponse(sent, headers=headers)


def _headers(name: str, kind: str) -> dict[str, str]:
    return {"Content-Type": kind, "Content-Disposition": disposition(name), "Content-Security-Policy": SANDBOX}


ROUTES = (
    PageRoute("GET", "/backups/{number:int}/files/download", Role.OPERATOR, _file, bound="backup"),
    PageRoute("GET", "/backups/{number:int}/files/package", Role.OPERATOR, _folder, bound="backup"),
)
