"""Writing an archive: what was begun can be resumed after a crash, at the last checkpoint."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstay.archives import manifest
from backstay.archives.codec import Codec
from backstay.archives.entries import ArchiveSummary, Compression, EntryType, Source
from backstay.archives.formats import Content, FormatWriter, Head, Totals, Unit
from backstay.archives.manifest import ManifestSpool
from backstay.archives.names import path_bytes
from backstay.archives.parts import PartWriter, Position, sync_folder
from backstay.archives.prepare import PreparedEntry, Preparer
from backstay.archives.registry import make_writer, spool_path
from backstay.errors import ArchiveError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.archives.batch import Batch

STORE_ABOVE = 30 << 20
"""Content of more bytes is stored unless asked for otherwise.

The vendor's PHP extractor holds an entry twice, as it is in the archive and inflated, within the 128 MiB that PHP
allows by default.
"""

_STATE_VERSION = 1
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class OpenEntry:
    """An entry that is being written block by block; its header is patched when it ends.

    Attributes:
        path: its path.
        identity: what must be the same in its source for it to be continued after a crash.
        head: its header apart from sizes.
        largest: no size of it will be above this.
        position: where its header is.
        content: method, and the sizes and CRC-32 so far.
        at: where its header is in the stream of all parts; None where a checkpoint of an earlier version does not say.
    """

    path: str
    identity: list[int]
    head: Head
    largest: int
    position: Position
    content: Content
    at: int | None = None


class ArchiveWriter:
    """Writes one archive; made by `create_archive` and `resume_archive`, fed by `pack`.

    Attributes:
        path: the archive's own path; until `close` all parts have numbered names.
        last_path: the last source that is done, in order; None before the first.
        open_entry: the entry in the middle of which writing stands, if any.
    """

    def __init__(self, settings: dict[str, Any], writer: FormatWriter, parts: PartWriter, spool: ManifestSpool) -> None:
        self.path = parts.main
        self.last_path: str | None = None
        self.open_entry: OpenEntry | None = None
        self.work_directory = spool.path.parent
        self._settings = settings
        self._format = writer
        self._parts = parts
        self._spool = spool
        self._totals = Totals()
        self._finished = 0
        self.preparer = Preparer(writer, Codec(Compression(settings["compression"])), settings["store_above"])

    def __repr__(self) -> str:
        return f"ArchiveWriter({str(self.path)!r}, entries={self._totals.entries})"

    @property
    def entries(self) -> int:
        """Entries that are whole in the archive."""
        return self._totals.entries

    @property
    def bytes_in(self) -> int:
        """Bytes of content taken in."""
        return self._totals.size + (self.open_entry.content.size if self.open_entry else 0)

    @property
    def bytes_out(self) -> int:
        """Bytes of the archive."""
        return self._parts.total

    @property
    def finished_parts(self) -> list[Path]:
        """The parts that will not change any more, whatever happens, as of the last checkpoint, in order.

        The first part is among them only once the archive is closed, for its header is written last.
        """
        return self._parts.paths(2, self._finished)

    def add(self, prepared: PreparedEntry) -> None:
        """Write an entry that is ready, and note its line for the manifest."""
        line = prepared.line
        if prepared.head is not None:
            position, at = self._write_units(prepared.units)
            content = prepared.content
            self._format.written(prepared.head, content, content.size, position)
            self._count(content)
            line = manifest.with_position(line, at)
        if line:
            self._spool.append(line)
        self.last_path = prepared.source.path

    def add_batch(self, sources: Sequence[Source], batch: Batch, buffer: memoryview) -> None:
        """Write a batch that another process has made ready; its buffer may be used anew afterwards."""
        done, lines_done = 0, batch.size
        for source, entry in zip(sources, batch.entries, strict=True):
            line = bytes(buffer[lines_done : lines_done + entry.line])
            lines_done += entry.line
            if entry.units:
                units = []
                for whole, data in zip(entry.units[::2], entry.units[1::2], strict=True):
                    cut = done + whole
                    units.append(Unit(buffer[done:cut], buffer[cut : cut + data]))
                    done = cut + data
                position, at = self._write_units(units)
                head = Head(path_bytes(source.path), source.type, entry.mode, entry.mtime)
                content = Content(*entry.content)
                self._format.written(head, content, content.size, position)
                self._count(content)
                line = manifest.with_position(line, at)
            if line:
                self._spool.append(line)
        self._parts.flush()
        self.last_path = sources[-1].path

    def _write_units(self, units: Sequence[Unit]) -> tuple[Position, int]:
        """Write runs of bytes; give where the first lies, in its part and in the stream of all parts."""
        parts = self._parts
        parts.reserve(len(units[0].whole))
        position, at = parts.position, parts.total
        for whole, data in units:
            if whole:
                parts.reserve(len(whole))
                parts.write(whole)
            if data:
                parts.write(data)
        return position, at

    def _count(self, content: Content) -> None:
        self._totals.entries += 1
        self._totals.size += content.size
        self._totals.compressed_size += content.compressed_size

    def begin_entry(self, path: str, identity: list[int], head: Head, content: Content, largest: int) -> None:
        """Write the header of an entry whose content follows block by block."""
        position, at = self._write_units([Unit(self._format.header(head, content, largest), b"")])
        self.open_entry = OpenEntry(path, identity, head, largest, position, content, at)

    def add_block(self, unit: Unit, content: Content) -> None:
        """Write a block of the open entry.

        Args:
            unit: its bytes.
            content: the entry's sizes and CRC-32 with this block counted in.
        """
        if self.open_entry is None:
            raise ArchiveError("There is no entry to add to.")
        self._write_units([unit])
        self.open_entry.content = content

    def end_entry(self, line: bytes) -> None:
        """Patch the header of the open entry, and note its line for the manifest."""
        entry = self.open_entry
        if entry is None:
            raise ArchiveError("There is no entry to end.")
        self._parts.patch(entry.position, self._format.header(entry.head, entry.content, entry.largest))
        self._format.written(entry.head, entry.content, entry.largest, entry.position)
        self._count(entry.content)
        self._spool.append(line if entry.at is None else manifest.with_position(line, entry.at))
        self.last_path = entry.path
        self.open_entry = None

    def drop_entry(self) -> None:
        """Take back what was written of the open entry, if there is one."""
        if self.open_entry is not None:
            self._parts.rewind(self.open_entry.position)
            self.open_entry = None

    def checkpoint(self) -> dict[str, Any]:
        """Make what was written so far safe for ever.

        Returns:
            What `resume_archive` needs to go on from here, as plain JSON. It holds no password.

        Raises:
            DiskFullError: if there is no space left.
        """
        self._parts.sync()
        self._spool.sync()
        state = {
            **self._settings,
            "version": _STATE_VERSION,
            "position": list(self._parts.position),
            "totals": [self._totals.entries, self._totals.size, self._totals.compressed_size],
            "manifest": self._spool.offset,
            "last_path": self.last_path,
            "writer": self._format.state(),
            "open": _pack_open(self.open_entry),
        }
        sync_folder(self.work_directory)
        self._finished = (self.open_entry.position if self.open_entry else self._parts.position).part - 1
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._parts.reopen(Position(*state["position"]))
        self._totals = Totals(*state["totals"])
        self.last_path = state["last_path"]
        self.open_entry = _parse_open(state["open"])
        self._finished = (self.open_entry.position if self.open_entry else self._parts.position).part - 1

    def begin(self) -> None:
        """Make the first part and write what stands before the entries."""
        self._parts.create()
        self._format.begin(self._parts)

    def close(self) -> ArchiveSummary:
        """End the archive: write the manifest, patch the header, give the last part its name, sync all of it.

        Returns:
            The finished archive.

        Raises:
            DiskFullError: if there is no space left.
        """
        self.drop_entry()
        entries, size = self._totals.entries, self._totals.size
        digest = ""
        pointer = self._pointer()
        self._spool.append(pointer.line)
        for number, (piece, hash_of_all) in enumerate(self._spool.pieces(), start=1):
            self._add_piece(number, piece)
            digest = hash_of_all or digest
        self._add_own(pointer)
        self._format.finish(self._parts, self._totals)
        paths = self._parts.finish()
        self._format.discard()
        self._spool.remove()
        _log.info("archive finished", extra={"archive": str(self.path), "parts": len(paths), "entries": entries})
        return ArchiveSummary(paths, self._parts.total, entries, size, digest)

    def _pointer(self) -> PreparedEntry:
        """Make ready what says where the manifest will lie, which is settled with this."""
        header = self._prepare_own(manifest.piece_name(1), b"").units[0].whole
        self._parts.reserve(len(header))
        return self._prepare_own(manifest.POINTER, manifest.pack_pointer(self._parts.total))

    def _prepare_own(self, path: str, data: bytes) -> PreparedEntry:
        source = Source(path, EntryType.FILE, 0o100644, self._settings["created"], len(data))
        return self.preparer.data(source, data)

    def _add_piece(self, number: int, piece: bytes) -> None:
        self._add_own(self._prepare_own(manifest.piece_name(number), piece))

    def _add_own(self, prepared: PreparedEntry) -> None:
        if prepared.head is None:
            raise ArchiveError("The manifest could not be written.")
        position, _ = self._write_units(prepared.units)
        self._format.written(prepared.head, prepared.content, prepared.content.size, position)
        self._count(prepared.content)

    def abort(self) -> None:
        """Delete every part and all that was kept beside the archive."""
        # Without a part of its own, what has this name is somebody else's.
        if self._parts.part:
            self._parts.remove()
        self._format.discard()
        self._spool.remove()

    def release(self) -> None:
        """Release all files and leave them as they are, to be resumed from the last checkpoint."""
        self._parts.release()
        self._format.release()
        self._spool.close()


def _pack_open(entry: OpenEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "path": entry.path,
        "identity": entry.identity,
        "mode": entry.head.mode,
        "mtime": entry.head.mtime,
        "largest": entry.largest,
        "position": list(entry.position),
        "content": list(entry.content),
        "at": entry.at,
    }


def _parse_open(state: dict[str, Any] | None) -> OpenEntry | None:
    if state is None:
        return None
    head = Head(path_bytes(state["path"]), EntryType.FILE, state["mode"], state["mtime"])
    position, content = Position(*state["position"]), Content(*state["content"])
    return OpenEntry(state["path"], state["identity"], head, state["largest"], position, content, state.get("at"))


def create_archive(
    path: Path | str,
    *,
    format: str,  # noqa: A002 - it is what everyone calls it
    work_directory: Path,
    part_size: int = 0,
    password: str | None = None,
    compression: Compression = Compression.BALANCED,
    comment: str = "",
    store_above: int = STORE_ABOVE,
) -> ArchiveWriter:
    """Begin an archive.

    Args:
        path: where it is to lie; its name ends in the format's extension.
        format: ``jpa``, ``jps`` or ``zip``.
        work_directory: where to keep what is needed beside the archive while it is written.
        part_size: bytes of a part, at least 65,536; 0 for a single file.
        password: the password of a JPS archive.
        compression: how hard to compress.
        comment: the archive's comment, where the format has one.
        store_above: content of more bytes is stored rather than deflated.

    Raises:
        UsageError: if the name, the part size or the password do not fit the format.
        ArchiveError: if an archive of this name is there already.
        DiskFullError: if there is no space.
    """
    main = Path(path).absolute()
    if main.suffix.lower() != f".{format}":
        raise UsageError(f"{main.name} does not end in .{format}: an archive's parts are found by its name.")
    settings = {
        "format": format,
        "path": str(main),
        "part_size": part_size,
        "compression": compression.value,
        "comment": comment,
        "store_above": store_above,
        "created": int(time.time()),
    }
    parts = PartWriter(main, part_size)
    work_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = make_writer(settings, None, password, work_directory)
    archive = ArchiveWriter(settings, writer, parts, ManifestSpool(spool_path(settings, work_directory, "manifest")))
    try:
        archive.begin()
    except BaseException:
        archive.abort()
        raise
    return archive


def resume_archive(state: dict[str, Any], *, work_directory: Path, password: str | None = None) -> ArchiveWriter:
    """Resume an archive at a checkpoint; what was written after it is cut off.

    Args:
        state: what `ArchiveWriter.checkpoint` gave.
        work_directory: the same as at the beginning.
        password: the same as at the beginning.

    Raises:
        ArchiveError: if what was written before the checkpoint is not there any more.
        WrongPasswordError: if the password is another one.
    """
    if state.get("version") != _STATE_VERSION:
        raise ArchiveError("The archive was begun by another version of Backstay and has to be started anew.")
    keys = ("format", "path", "part_size", "compression", "comment", "store_above", "created")
    settings = {key: state[key] for key in keys}
    main = Path(settings["path"])
    parts = PartWriter(main, settings["part_size"])
    writer = make_writer(settings, state["writer"], password, work_directory)
    archive = ArchiveWriter(
        settings, writer, parts, ManifestSpool(spool_path(settings, work_directory, "manifest"), state["manifest"])
    )
    try:
        archive.restore(state)
    except BaseException:
        archive.release()
        raise
    return archive
