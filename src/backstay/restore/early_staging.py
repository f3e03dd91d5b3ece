"""Files that are staged while their archive is still on its way, before anything is known of its end.

Only what is plain is staged so: regular files with ordinary names, each of them once. They are held to the manifest
when that has arrived. Wherever anything is out of the ordinary, all that was staged early is thrown away, and the
extraction of the whole archive, which knows all of its structure, does the work and reports what is to be reported.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from backstay.archives import ArchiveReader, Entry, EntryType, ManifestLine
from backstay.archives.attributes import ids_here
from backstay.errors import BackstayError, DiskFullError
from backstay.restore.arriving import Arrival, open_arriving
from backstay.restore.background import Reporter
from backstay.restore.plan import SERVER_FILES, RestorePlan

_DIGEST_SIZE = 32
_DEEPEST = 100
# Characters; longer paths may need more than one call to be reached.
_LONGEST = 500
# As the extraction gives them where nothing is known.
_FILE_MODE = 0o644
_FOLDER_MODE = 0o755
# The backup's own entries lie there, and which they are is known only at the end.
_NOT_AHEAD = ("installation/", "sql/")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EarlyStaging:
    """What was staged early: the plain files whose data begins before a place in the archive.

    Attributes:
        end: that place, in bytes from the archive's beginning; 0: nothing was staged.
        files: how many files.
        bytes: bytes of their content.
    """

    end: int = 0
    files: int = 0
    bytes: int = 0

    def holds(self, entry: Entry) -> bool:
        """Return whether an entry was staged."""
        return entry.location is not None and entry.location.start < self.end and _is_plain(entry)


def _is_plain(entry: Entry) -> bool:
    mode = entry.mode or 0
    return (
        entry.type is EntryType.FILE
        and entry.location is not None
        and entry.path not in SERVER_FILES
        and not entry.path.startswith(_NOT_AHEAD)
        and "\\" not in entry.path
        and "\0" not in entry.path
        and ":" not in entry.path
        and entry.path.count("/") < _DEEPEST
        and len(entry.path) < _LONGEST
        and all(step not in ("", ".", "..") for step in entry.path.split("/"))
        and stat.S_IFMT(mode) in (0, stat.S_IFREG)
        and not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX)
    )


def digests_of(folder: Path) -> Path:
    """Return the file that holds the hashes of what is staged early in a folder, in order."""
    return folder.with_name(f"{folder.name}.digests")


def stage_early(plan: RestorePlan, archive: Path, folder: Path, arrival: Arrival, reporter: Reporter) -> EarlyStaging:
    """Stage plain files as their bytes arrive, until all has arrived.

    Args:
        plan: of a restore from a server.
        archive: where its main file will be.
        folder: for the files; whatever is there is removed first.
        arrival: says what is there.
        reporter: receives the progress.

    Raises:
        StoppedError: the download was stopped.
        DiskFullError: there is no space.
    """
    if plan.remote is None:
        return EarlyStaging()
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    staging = _Staging(folder)
    try:
        with (
            open_arriving(archive.parent, plan.remote.parts, arrival, plan.password) as reader,
            digests_of(folder).open("wb") as digests,
        ):
            # A ZIP archive has its directory at its end: nothing can be read of it before.
            end = 0
            for entry in reader if reader.format != "zip" else ():
                if arrival.is_over:
                    break
                if entry.location is not None and _is_plain(entry):
                    digests.write(staging.write(reader, entry))
                    reporter.progress(entry.path, staging.bytes)
                    end = entry.location.start + 1
    except (BackstayError, OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"There is no space left for {plan.target}: free some space there.") from error
        if arrival.is_over and arrival.count < plan.remote.size:
            raise
        _log.info("Nothing is staged early: %s", error)
        shutil.rmtree(folder)
        return EarlyStaging()
    return EarlyStaging(end, staging.files, staging.bytes)


class _Staging:
    """Writes into a folder that nobody else knows, and that holds no links."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = {folder}
        self.files = 0
        self.bytes = 0

    def write(self, reader: ArchiveReader, entry: Entry) -> bytes:
        """Write a file that is not there yet; return its BLAKE3."""
        path = self._folder / entry.path
        self._make(path.parent)
        digest = blake3()
        with path.open("xb", buffering=0) as file:
            for piece in reader.read(entry):
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
                self.bytes += len(piece)
        _give(path, entry.mode, entry.mtime)
        self.files += 1
        return digest.digest()

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            self._make(folder.parent)
            folder.mkdir()
            folder.chmod(_FOLDER_MODE)
            self._made.add(folder)


def _give(path: Path, mode: int | None, mtime: int | None) -> None:
    path.chmod(_FILE_MODE if mode is None else mode & 0o777)
    if mtime is not None:
        os.utime(path, (mtime, mtime))


def _give_line(path: Path, line: ManifestLine, *, owners: bool) -> None:
    if owners and line.attributes.owner:
        os.chown(path, *ids_here(line.attributes.owner), follow_symlinks=False)
    path.chmod(line.mode & 0o777)
    os.utime(path, ns=(line.mtime_ns, line.mtime_ns))


def settle(early: EarlyStaging, archive: ArchiveReader, folder: Path, *, owners: bool = False) -> EarlyStaging:
    """Hold what was staged early to the whole archive; throw it away where it is not what it should be.

    Args:
        early: what was staged.
        archive: open, all of it there.
        folder: where it was staged.
        owners: give files the owners that the manifest names.

    Returns:
        What is left of it: all or nothing.
    """
    if early.files and _fits(early, archive, folder, owners=owners and os.geteuid() == 0):
        return early
    if folder.exists():
        shutil.rmtree(folder)
    return EarlyStaging()


def _fits(early: EarlyStaging, archive: ArchiveReader, folder: Path, *, owners: bool) -> bool:
    lines = (line for line in archive.manifest() if line.type is EntryType.FILE)
    has_manifest = archive.has_manifest
    with suppress(StopIteration, OSError, BackstayError), digests_of(folder).open("rb") as digests:
        for entry in archive:
            path = folder / entry.path
            if not early.holds(entry):
                if _collides(entry, path):
                    return False
                continue
            digest = digests.read(_DIGEST_SIZE)
            if len(digest) < _DIGEST_SIZE:
                return False
            if not has_manifest:
                continue
            line = next(line for line in lines if line.path == entry.path)
            if line.blake3 != digest.hex() or line.size != entry.size:
                return False
            if line.mode & 0o7000 or line.attributes.inode or line.attributes.xattrs:
                return False
            _give_line(path, line, owners=owners)
        return not digests.read(1)
    return False


def _collides(entry: Entry, path: Path) -> bool:
    """Return whether an entry that comes behind takes the place of something that was staged."""
    if not os.path.lexists(path):
        return False
    return entry.type is not EntryType.DIRECTORY or not path.is_dir()
