"""Finished parts in a folder of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from backstay.errors import StorageError

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part as it was read back from the disk.

    Attributes:
        name: base name.
        size: in bytes.
        blake3: BLAKE3 of its content, 64 hexadecimal digits.
    """

    name: str
    size: int
    blake3: str


def free_space(folder: Path) -> int:
    """Return the bytes that can still be written to the file system of a folder."""
    return shutil.disk_usage(folder).free


def read_back(paths: Iterable[Path]) -> Generator[int, None, list[StoredPart]]:
    """Read parts from the disk.

    Yields:
        The bytes read so far, of all parts together.

    Returns:
        What was found, in the order of the paths.

    Raises:
        StorageError: a part cannot be read.
    """
    found = []
    done = 0
    for path in paths:
        digest = blake3()
        size = 0
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    yield done + size
        except OSError as error:
            raise StorageError(f"{path} can't be read back ({error.strerror}): check the disk.") from error
        done += size
        found.append(StoredPart(path.name, size, digest.hexdigest()))
    return found


def remove(paths: Iterable[Path]) -> None:
    """Remove files, those that are gone already left out, so that they stay removed after a power cut.

    Raises:
        StorageError: a file cannot be removed.
    """
    folders = set()
    try:
        for path in paths:
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        sync(folders)
    except OSError as error:
        raise StorageError(f"{error.filename} can't be removed ({error.strerror}): remove it by hand.") from error


def sync(paths: Iterable[Path]) -> None:
    """Make files and the names in folders survive a power cut.

    Raises:
        StorageError: the disk refuses.
    """
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageError(f"{path} can't be made safe on the disk ({error.strerror}): check the disk.") from error
