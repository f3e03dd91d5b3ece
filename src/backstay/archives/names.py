"""Paths in archives: from text to bytes, and which of them are safe to write beneath a folder."""

from __future__ import annotations

import re
import unicodedata

LONGEST_PATH = 65000
"""Bytes of the longest path that is stored: every format's header then fits into 16 bits and into one part."""

_DRIVE = re.compile(r"[A-Za-z]:")


def path_bytes(path: str) -> bytes:
    """Give the bytes of a path.

    Raises:
        UnicodeEncodeError: if it is text that never was bytes (a lone surrogate).
    """
    return path.encode("utf-8", "surrogateescape")


def shown(path: str) -> str:
    """Make a path fit for a message: what is not text, or would move the cursor, becomes an escape."""
    text = (
        path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if _encodable(path) else ascii(path)
    )
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _encodable(path: str) -> bool:
    try:
        path_bytes(path)
    except UnicodeEncodeError:
        return False
    return True


def why_not_storable(path: str) -> str | None:
    """Say why a path cannot be stored in any archive, as the end of a sentence; None if it can."""
    try:
        size = len(path_bytes(path))
    except UnicodeEncodeError:
        return "has a name that is no text and no bytes"
    if size > LONGEST_PATH:
        return f"has a path of more than {LONGEST_PATH} bytes"
    return why_unsafe(path)


def why_unsafe(path: str) -> str | None:
    """Say why a path must not be written beneath a folder, as the end of a sentence; None if it may."""
    if not path:
        return "has no name"
    if "\0" in path:
        return "has a name with a NUL byte in it"
    if path.startswith("/"):
        return "has an absolute path"
    if "./" in path or "//" in path or path[-1] in "./":
        segments = path.split("/")
        if ".." in segments:
            return "has a path that leads out of its folder"
        if "." in segments or "" in segments:
            return "has a path with an empty step in it"
    return None


def why_odd(path: str) -> str | None:
    """Say why a path would be dangerous on another system, as the end of a sentence; None if it would not.

    On this system such a path is an ordinary name.
    """
    if _DRIVE.match(path):
        return "looks like a path on a Windows drive"
    if "\\" in path and (path.startswith("\\") or ".." in path.replace("\\", "/").split("/")):
        return "looks like a Windows path that leads out of its folder"
    return None


def folded(path: str) -> str:
    """Give the name under which a file system that ignores case and Unicode form would know a path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
