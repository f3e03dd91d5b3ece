"""Putting an archive into a repository: what it shares with the backups there costs nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import Any

from backstay.archives import ArchiveReader, Entry, EntryType, ManifestLine
from backstay.archives import manifest as manifest_format
from backstay.archives.entries import Compression
from backstay.archives.manifest import ManifestCursor
from backstay.archives.names import shown, why_not_storable
from backstay.archives.process import hashed
from backstay.archives.survey import safe_path
from backstay.errors import DamagedArchiveError, UnsafeEntryError
from backstay.repository.layout import Snapshot
from backstay.repository.opened import Repository
from backstay.repository.writing import SnapshotWriter

_MODES = {
    EntryType.FILE: stat.S_IFREG | 0o644,
    EntryType.DIRECTORY: stat.S_IFDIR | 0o755,
    EntryType.SYMLINK: stat.S_IFLNK | 0o777,
}


def import_archive(
    repository: Repository,
    archive: ArchiveReader,
    record: dict[str, Any],
    *,
    compression: Compression = Compression.FAST,
    identity: str | None = None,
    on_step: Callable[[str, int], None] = lambda *_: None,
) -> Snapshot:
    """Put an archive into a repository, all of it or nothing.

    Args:
        repository: where it goes.
        archive: of any format, Backstay's own or another's; its content is held to its manifest, where it has one.
        record: what is known of the backup.
        compression: how hard to compress what is new.
        identity: of the snapshot, of 16 hexadecimal digits that nobody else has; None: one is made.
        on_step: called with the path in hand, and the bytes of content read so far.

    Raises:
        ArchiveError: it is damaged, unsafe, or holds what cannot be read; the repository is as it was.
        BackstayError: the repository cannot be written.
    """
    writer = SnapshotWriter(repository, compression=compression)
    try:
        done = 0
        for entry, line in _entries(archive):
            on_step(line.path, done)
            if entry is None or line.type is not EntryType.FILE:
                writer.add(line)
                continue
            pieces = hashed(archive.read(entry), line if line.blake3 else None)
            writer.add_file(line, _named(pieces, archive, entry))
            done += entry.size
        return writer.finish(record, identity)
    except BaseException:
        writer.abort()
        raise


def _named(pieces: Iterator[bytes], archive: ArchiveReader, entry: Entry) -> Iterator[bytes]:
    """Let an error of content that is not what its hash says name the entry."""
    try:
        yield from pieces
    except DamagedArchiveError as error:
        if shown(entry.path) in str(error):
            raise
        text = str(error).removesuffix(".")
        name = archive.parts[-1].name
        raise DamagedArchiveError(f"The entry {shown(entry.path)} of {name} is damaged: {text}.") from error


def _entries(archive: ArchiveReader) -> Iterator[tuple[Entry | None, ManifestLine]]:
    """Give the entries of an archive with what is known of each, and the folders that its manifest alone lists."""
    cursor = ManifestCursor(archive.manifest()) if archive.has_manifest else None
    for entry in archive:
        if manifest_format.piece_number(entry.path) is not None or entry.path == manifest_format.POINTER:
            continue
        line = cursor.take(entry.path) if cursor else None
        if cursor:
            yield from ((None, folder) for folder in cursor.directories)
            cursor.directories.clear()
        yield entry, line if line is not None and line.type is entry.type else _line_of(entry)
    if cursor:
        cursor.finish()
        yield from ((None, folder) for folder in cursor.directories)
        if cursor.missing:
            what = f"{shown(cursor.missing[0])} of {archive.parts[-1].name}"
            raise DamagedArchiveError(f"The entry {what} is missing: the manifest lists it.")


def _line_of(entry: Entry) -> ManifestLine:
    """Give what is known of an entry that no manifest describes."""
    path = safe_path(entry.path)
    if (reason := why_not_storable(path)) is not None:
        raise UnsafeEntryError(f"The entry {shown(entry.path)} {reason}.")
    mode = _MODES[entry.type] if entry.mode is None else entry.mode
    if not stat.S_IFMT(mode):
        mode |= stat.S_IFMT(_MODES[entry.type])
    size = entry.size if entry.type is not EntryType.DIRECTORY else 0
    return ManifestLine(path, entry.type, size, mode, max(entry.mtime or 0, 0), target=entry.target)
