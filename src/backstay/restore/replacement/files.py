"""Replacement in the text files of a site, and in the SQLite databases that lie among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from backstay.databases import is_sqlite_file
from backstay.restore.replacement.sqlite import replace_in_sqlite
from backstay.restore.replacement.text import Replacer
from backstay.restore.rewriting import write_in_place

# A file of text that is larger is a log or a dump; what is read whole must fit into memory beside everything else.
_LARGEST = 32 << 20
_LOOK = 8192


def replace_in_files(root: Path, replacer: Replacer, *, on_warning: Callable[[str], None]) -> dict[str, int]:
    """Replace in every text file below a folder that nobody uses yet; modes stay, modification times do not.

    Args:
        root: the folder.
        replacer: what is replaced.
        on_warning: told of files that are too large to be searched.

    Returns:
        Path below the root → 1 for a text file, rows changed for a SQLite database; only of those that changed.
    """
    changed: dict[str, int] = {}
    for path in _files(os.fspath(root)):
        name = os.path.relpath(path, root)
        size = Path(path).lstat().st_size
        if not size:
            continue
        if is_sqlite_file(Path(path)):
            if rows := sum(replace_in_sqlite(Path(path), replacer, on_warning=on_warning).values()):
                changed[name] = rows
            continue
        if _is_binary(path):
            continue
        if size > _LARGEST:
            on_warning(f"{name} is {size >> 20} MiB large: nothing was replaced in it.")
            continue
        content = Path(path).read_bytes()
        new = replacer.apply(content)
        if new is not content:
            write_in_place(Path(path), new)
            changed[name] = 1
    return changed


def _files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry.path


def _is_binary(path: str) -> bool:
    with Path(path).open("rb") as file:
        return b"\0" in file.read(_LOOK)
