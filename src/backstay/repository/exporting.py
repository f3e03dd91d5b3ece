"""Writing a snapshot as an archive into a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from blake3 import blake3

from backstay.archives import EntryType, Source, create_archive
from backstay.archives.codec import WHOLE_LIMIT
from backstay.archives.entries import Compression
from backstay.archives.formats import DEFLATED, Content, Head
from backstay.archives.names import path_bytes, shown
from backstay.archives.parts import disk_errors, numbered_parts, sync_folder
from backstay.archives.prepare import PreparedEntry
from backstay.archives.writer import ArchiveWriter
from backstay.errors import ArchiveError, DamagedRepositoryError, EntryRefusedError
from backstay.repository.archive_bytes import SnapshotArchive
from backstay.repository.layout import Snapshot
from backstay.repository.lines import Line, lines
from backstay.repository.opened import Repository

_PARTIAL = ".backstay-partial"
OnStep = Callable[[int, int], None]
"""Called with the bytes that are written, and those in all."""


def write_archive(archive: SnapshotArchive, folder: Path, *, on_step: OnStep = lambda *_: None) -> list[Path]:
    """Write a handed-out archive; the main file appears last, so that what has the archive's name is whole.

    Args:
        archive: what is written.
        folder: where its parts go; made where it is missing.
        on_step: called after each piece.

    Returns:
        The parts in order.

    Raises:
        ArchiveError: there is an archive of this name.
        DamagedRepositoryError: a chunk of it is damaged or missing; nothing is left of the archive.
        DiskFullError: there is no space left.
    """
    main = folder / archive.parts[-1][0]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if main.exists() or numbered_parts(main):
            raise ArchiveError(f"{main} is there already: choose another folder, or delete it with its parts.")
    written: list[Path] = []
    done = 0
    total = archive.layout.length
    try:
        for number, (name, _size) in enumerate(archive.parts):
            path = folder / name
            partial = path.with_name(f".{name}{_PARTIAL}")
            written.append(partial)
            with disk_errors(path), partial.open("wb") as file:
                for piece in archive.stream_part(number):
                    file.write(piece)
                    done += len(piece)
                    on_step(done, total)
                file.flush()
                os.fsync(file.fileno())
            with disk_errors(path):
                partial.rename(path)
            written[-1] = path
        sync_folder(folder)
    except BaseException:
        for path in reversed(written):
            path.unlink(missing_ok=True)
        raise
    return written


def write_jps(
    repository: Repository,
    snapshot: Snapshot,
    main: Path,
    password: str,
    *,
    part_size: int = 0,
    on_step: OnStep = lambda *_: None,
) -> list[Path]:
    """Write a snapshot as an encrypted JPS archive, which is deflated and encrypted anew.

    Args:
        repository: whose.
        snapshot: what is written.
        main: the archive; its name ends in ``.jps``.
        password: of the archive.
        part_size: bytes of a part, 0 for a single file.
        on_step: called after each file.

    Returns:
        The parts in order.

    Raises:
        ArchiveError: there is an archive of this name.
        EntryRefusedError: a file is larger than JPS can hold.
        DamagedRepositoryError: a chunk of it is damaged or missing; nothing is left of the archive.
        DiskFullError: there is no space left.
    """
    with disk_errors(main.parent):
        main.parent.mkdir(parents=True, exist_ok=True)
    work = main.with_name(f".{main.name}{_PARTIAL}")
    writer = create_archive(
        main,
        format="jps",
        work_directory=work,
        part_size=part_size,
        password=password,
        compression=Compression.FAST,
    )
    try:
        done = 0
        for line in lines(repository, snapshot):
            _add(repository, writer, line)
            done += line.line.size if line.line.type is EntryType.FILE else 0
            on_step(done, snapshot.size)
        return writer.close().parts
    except BaseException:
        writer.abort()
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _add(repository: Repository, writer: ArchiveWriter, line: Line) -> None:
    path = line.line
    source = Source(path.path, path.type, path.mode, path.mtime, path.size, target=path.target, implied=path.implied)
    if path.type is not EntryType.FILE:
        prepared = PreparedEntry(source) if path.implied else writer.preparer.prepare(source)
        prepared.line = line.text
        writer.add(prepared)
        return
    reason = writer.preparer.why_not(source)
    if reason:
        raise EntryRefusedError(f"{shown(path.path)} {reason}.")
    content = _held(repository.contents(line.chunks), line)
    if path.size > WHOLE_LIMIT:
        _add_large(writer, line, content)
        return
    prepared = writer.preparer.data(source, b"".join(content))
    prepared.line = line.text
    writer.add(prepared)


def _add_large(writer: ArchiveWriter, line: Line, content: Iterator[bytes]) -> None:
    preparer = writer.preparer
    size = preparer.format.chunk_size or 1
    head = Head(path_bytes(line.line.path), EntryType.FILE, line.line.mode, line.line.mtime)
    done = Content(DEFLATED, 0, 0, 0)
    writer.begin_entry(line.line.path, [], head, done, line.line.size)
    for piece in _cut(content, size):
        deflated = preparer.codec.whole(piece)
        done = Content(DEFLATED, done.size + len(piece), done.compressed_size + len(deflated), 0)
        writer.add_block(preparer.format.unit(deflated), done)
    writer.end_entry(line.text)


def _held(content: Iterator[bytes], line: Line) -> Iterator[bytes]:
    digest = blake3()
    for piece in content:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != line.line.blake3:
        raise DamagedRepositoryError(f"{shown(line.line.path)} is not what was written to the repository.")


def _cut(content: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Give content in pieces of one size, the last one shorter."""
    rest = b""
    for piece in content:
        rest += piece
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if rest:
        yield rest
