"""Walking over and removing trees of any depth: neither the length of a path nor the number of open files limits it.

One folder is open at a time. Folders are entered by name from the one above and never through a symbolic link; on the
way back ``..`` must be the folder that was left, or somebody has moved it meanwhile.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder(NamedTuple):
    """A folder that a walk has come to.

    Attributes:
        path: of the folder, with the walk's root as it was given.
        folders: names of the folders in it, in order. Those that are taken out of the list are not entered.
        others: names of everything else in it, in order.
        descriptor: the open folder, until the walk goes on.
    """

    path: str
    folders: list[str]
    others: list[str]
    descriptor: int


class _Level(NamedTuple):
    name: str
    path: str
    identity: tuple[int, int]
    left: list[str]


def walk(root: str | os.PathLike[str]) -> Iterator[Folder]:
    """Walk over a folder and all below it, each before what is in it; what cannot be entered is passed over.

    Raises:
        OSError: if the root cannot be read, or a folder was moved while the walk was in it.
    """
    return _walk(os.fspath(root), remove=False)


def remove_tree(root: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it.

    Raises:
        OSError: if something in it cannot be removed.
    """
    path = os.fspath(root)
    for folder in _walk(path, remove=True):
        for name in folder.others:
            os.unlink(name, dir_fd=folder.descriptor)
    Path(path).rmdir()


def _walk(root: str, *, remove: bool) -> Iterator[Folder]:
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        level = _Level("", root, _identity(current), [])
        found = _listed(root, current)
        yield found
        levels = [level._replace(left=found.folders[::-1])]
        while True:
            level = levels[-1]
            if level.left:
                name = level.left.pop()
                try:
                    below = os.open(name, _FOLDER, dir_fd=current)
                except OSError:
                    if remove:
                        raise
                    continue
                os.close(current)
                current = below
                found = _listed(f"{level.path}/{name}", current)
                yield found
                levels.append(_Level(name, found.path, _identity(current), found.folders[::-1]))
                continue
            levels.pop()
            if not levels:
                return
            above = os.open("..", _FOLDER, dir_fd=current)
            os.close(current)
            current = above
            if _identity(current) != levels[-1].identity:
                raise OSError(errno.ESTALE, "a folder in it was moved meanwhile", root)
            if remove:
                os.rmdir(level.name, dir_fd=current)
    finally:
        os.close(current)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _listed(path: str, descriptor: int) -> Folder:
    folders: list[str] = []
    others: list[str] = []
    with os.scandir(descriptor) as found:
        for entry in found:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
    return Folder(path, sorted(folders), sorted(others), descriptor)
