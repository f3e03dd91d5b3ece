"""Replacement in the text files of a site, and in the SQLite databases that lie among them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from backstay.archives.deep_trees import walk
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
        on_warning: called with one sentence for files that are too large to be searched.

    Returns:
        Path below the root → 1 for a text file, rows changed for a SQLite database; only of those that changed.
    """
    changed: dict[str, int] = {}
    for folder in walk(root):
        for name in folder.others:
            # A path may be longer than the system takes: it goes through the open folder.
            place = Path(f"/proc/self/fd/{folder.descriptor}/{name}")
            path = f"{folder.path}/{name}"[len(os.fspath(root)) + 1 :]
            if stat.S_ISREG(place.lstat().st_mode) and (count := _replace_in(place, path, replacer, on_warning)):
                changed[path] = count
    return changed


def _replace_in(path: Path, name: str, replacer: Replacer, on_warning: Callable[[str], None]) -> int:
    size = path.lstat().st_size
    if not size:
        return 0
    if is_sqlite_file(path):
        return sum(replace_in_sqlite(path, replacer, on_warning=on_warning).values())
    if _is_binary(path):
        return 0
    if size > _LARGEST:
        on_warning(f"{name} is {size >> 20} MiB large: nothing was replaced in it.")
        return 0
    content = path.read_bytes()
    new = replacer.apply(content)
    if new is content:
        return 0
    write_in_place(path, new)
    return 1


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" in file.read(_LOOK)
