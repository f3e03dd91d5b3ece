"""Paths longer than the system takes in one call (4,096 bytes on Linux, ``path_resolution(7)``), reached step by step.

The folder above is opened from the root on, as far as one call takes at a time, and what lies in it is named through
that open folder (``/proc/self/fd``, ``proc(5)``): every call that takes a path works on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = TypeVar("P", bound=str | bytes)
R = TypeVar("R")

_LONGEST = 4095
"""Bytes that one call takes."""

_STEP = 4000
_LONGEST_NAME = 255
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", 0)


@contextlib.contextmanager
def reachable(path: P, *, added: int = 0) -> Iterator[P]:
    """Give a path to the same thing that every call takes: the path itself, where it is not too long.

    It is good for this process, and within the block. Links in the path are followed as in any other; whether the last
    name is followed is up to the call.

    Args:
        path: absolute, or relative to the current folder.
        added: bytes that are to be added to it.

    Raises:
        OSError: if a folder on the way is not there, or cannot be entered.
    """
    # A character takes four bytes at most.
    if 4 * len(path) + added <= _LONGEST:
        yield path
        return
    raw = os.fsencode(path)
    if len(raw) + added <= _LONGEST:
        yield path
        return
    above, _, name = raw.rpartition(b"/")
    if added:
        # A folder whose names are asked for: itself is opened.
        above, name = raw, b""
    descriptor = _open_folder(above)
    try:
        short = f"/proc/self/fd/{descriptor}".encode() + (b"/" + name if name else b"")
        yield cast(P, short if isinstance(path, bytes) else os.fsdecode(short))
    finally:
        os.close(descriptor)


def _open_folder(path: bytes) -> int:
    """Open a folder whose path may have any length."""
    end = 0
    descriptor: int | None = None
    try:
        while end < len(path):
            start = end
            end = len(path) if len(path) - start <= _STEP else path.rindex(b"/", start, start + _STEP) + 1
            # What stands behind the first step is relative to it, whatever number of slashes comes first.
            step = path[start:end] if descriptor is None else path[start:end].lstrip(b"/") or b"."
            following = os.open(step, _FOLDER, dir_fd=descriptor)
            if descriptor is not None:
                os.close(descriptor)
            descriptor = following
    except ValueError:
        # There is no slash for thousands of bytes: no system has such names.
        if descriptor is not None:
            os.close(descriptor)
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        raise
    return os.open(".", _FOLDER) if descriptor is None else descriptor


def reaching(call: Callable[[P], R], path: P) -> R:
    """Call something with a path, whatever its length; it costs nothing where the path is not too long.

    Args:
        call: takes the path, or one that leads to the same thing; must do nothing where it raises ENAMETOOLONG.
        path: see `reachable`.

    Raises:
        OSError: what ``call`` raises, or what `reachable` does.
    """
    try:
        return call(path)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or len(os.fsencode(path)) <= _LONGEST:
            raise
    with reachable(path) as short:
        return call(short)


def make_folders(path: str) -> None:
    """Make a folder and those above it, as far as they are not there; `os.makedirs` for paths of any length.

    Their names are on the disk when the call returns: what is moved into a folder whose own name a power cut takes away
    would be gone with it.

    Raises:
        OSError: if one cannot be made.
    """
    missing = []
    while path and not is_folder(path):
        missing.append(path)
        path = path.rpartition("/")[0]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            reaching(os.mkdir, folder)
        with reachable(folder.rpartition("/")[0] or "/") as above:
            _sync_folder(above)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_folder(path: str) -> bool:
    """Say whether there is a folder; `os.path.isdir` for paths of any length."""
    # Path predicates answer no to what is too long, they raise nothing.
    try:
        with reachable(path) as short:
            return Path(short).is_dir()
    except OSError:
        return False


def exists(path: str) -> bool:
    """Say whether something has a path, a link to nothing too; `os.path.lexists` for paths of any length."""
    try:
        reaching(os.lstat, path)
    except (OSError, ValueError):
        return False
    return True


def read_folder(path: P) -> contextlib.AbstractContextManager[P]:
    """Give a path to a folder to which a name may be added; see `reachable`."""
    return reachable(path, added=_LONGEST_NAME + 1)
