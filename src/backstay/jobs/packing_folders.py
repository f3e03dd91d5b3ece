"""A folder of a backup's archive as a ZIP archive that is made while it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from backstay.archives import EntryType
from backstay.archives.formats import Head
from backstay.archives.names import shown
from backstay.archives.zip.streaming import ZipStream
from backstay.jobs.archive_index import Item, as_bytes
from backstay.jobs.browsing import Inside

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_LONGEST: Final = 65_000
_LONGEST_LIST: Final = 1 << 20
LEFT_OUT: Final = "left-out.txt"
"""The file that names what is not in the archive, and why; only there where something is not."""


def folder_as_zip(inside: Inside, path: str) -> Iterator[bytes]:
    """Yield the bytes of a ZIP archive of all that is beneath a folder, with names that are safe anywhere.

    Links that lead out of the folder, and what cannot be read because it is encrypted, are named in a file at its end.

    Args:
        inside: the archive, open until all is taken.
        path: of the folder, or of one file.

    Raises:
        NotFoundError: there is nothing at the path.
        ArchiveError: content is not what it should be: what was yielded before is no whole archive.
    """
    zipped, left_out, last = ZipStream(), list[str](), b""
    above = len(path) + 1 if path else 0
    with inside.open() as archive:
        for item in inside.index.beneath(path):
            name = safe_name(item.path[above:] or item.name)
            reason = _why_left_out(item, name, above)
            if name == last:
                reason = "the archive holds another of this name"
            if reason:
                if sum(map(len, left_out)) < _LONGEST_LIST:
                    left_out.append(f"{shown(item.path)}: {reason}\n")
                continue
            last = name
            head = Head(name, item.type, _mode(item), item.mtime or 0)
            if item.is_folder:
                yield from zipped.entry(head, ())
            elif item.type is EntryType.SYMLINK:
                yield from zipped.entry(head, (as_bytes(item.target),))
            else:
                yield from zipped.entry(head, archive.checked(*item.in_archive()))
    if left_out:
        text = "".join(left_out).encode("utf-8", "backslashreplace")
        yield from zipped.entry(Head(LEFT_OUT.encode(), EntryType.FILE, 0o644, 0), (text,))
    yield from zipped.finish()


def safe_name(path: str) -> bytes:
    """Return a path that no program writes outside of its folder, or takes for anything but a name."""
    steps = [_UNSAFE.sub("_", step) for step in path.split("/")]
    return as_bytes("/".join("_" if step in ("", ".", "..") else step for step in steps))


def _why_left_out(item: Item, name: bytes, above: int) -> str:
    if len(name) > _LONGEST:
        return "its name is too long"
    if item.type is EntryType.SYMLINK and _leads_out(item.path[above:], item.target):
        return f"it is a link that leads out of the folder, to {shown(item.target)}"
    if not item.is_folder and item.unsupported:
        return f"it {item.unsupported}"
    return ""


def _leads_out(path: str, target: str) -> bool:
    if target.startswith("/") or "\\" in target or ":" in target or not target:
        return True
    depth = path.count("/")
    for step in target.split("/"):
        depth += -1 if step == ".." else step not in ("", ".")
        if depth < 0:
            return True
    return False


def _mode(item: Item) -> int:
    """Return permissions without those that give rights to programs."""
    default = 0o755 if item.is_folder else 0o644
    kinds = {EntryType.DIRECTORY: 0o040000, EntryType.FILE: 0o100000, EntryType.SYMLINK: 0o120000}
    return kinds[item.type] | ((default if item.mode is None else item.mode) & 0o777)
