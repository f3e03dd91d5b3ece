"""Downloading the parts of a backup: which files, in which way, how far."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from backstay.api.replies import BackupInfo
from backstay.api.replies import PartFile as PartEntry
from backstay.client.calls.backups import get_backup_info
from backstay.client.fetch import DirectRefusedError, PartSource, fetch_direct, fetch_segments
from backstay.client.messages import Call
from backstay.client.part_file import Blake3OfFile, PartFile, storage_errors
from backstay.errors import NotFoundError, ProtocolError, StoppedError, UsageError

R = TypeVar("R")


class DownloadMethod(StrEnum):
    """How a part is fetched.

    DIRECT asks for the file as it is, in ranges where the server has them; SEGMENTS asks for it piece by piece;
    AUTO takes the first and falls back to the second.
    """

    AUTO = "auto"
    DIRECT = "direct"
    SEGMENTS = "segments"


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        name: base name of the part being fetched.
        part: its number.
        done: bytes of all parts that are there.
        total: bytes of all parts.
    """

    name: str
    part: int
    done: int
    total: int


class Caller(PartSource, Protocol):
    """What a download needs of a client."""

    def run(self, call: Call[R]) -> R:
        """Makes a call."""
        ...


@dataclass
class _Plan:
    """The parts to fetch and the counting of bytes over all of them."""

    entries: list[PartEntry]
    on_progress: Callable[[DownloadProgress], None] | None
    stop: Callable[[], bool] | None
    done: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.total = sum(entry.size for entry in self.entries)

    def count(self, entry: PartEntry, arrived: int) -> None:
        """Counts bytes, reports them, and raises if the download is to stop."""
        with self._lock:
            self.done += arrived
            if self.on_progress is not None:
                self.on_progress(DownloadProgress(entry.name, entry.part, self.done, self.total))
        if self.stop is not None and self.stop():
            raise StoppedError("The download was stopped: ask for it again to go on where it was.")


def download_archive(
    caller: Caller,
    backup_id: int,
    folder: Path,
    parts: tuple[int, ...],
    way: DownloadMethod,
    connections: int,
    chunk_size: int,
    on_progress: Callable[[DownloadProgress], None] | None,
    stop: Callable[[], bool] | None,
) -> list[Path]:
    """Downloads parts of a backup; arguments and errors as for ``Client.download``."""
    if connections < 1 or chunk_size < 1:
        raise UsageError("The number of connections and the size of a segment must be 1 or more.")
    info = caller.run(get_backup_info(backup_id))
    plan = _Plan(_wanted(info, parts), on_progress, stop)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [
        _download_part(caller, backup_id, folder, plan, entry, way, connections, chunk_size) for entry in plan.entries
    ]


def _wanted(info: BackupInfo, parts: tuple[int, ...]) -> list[PartEntry]:
    if not info.filenames:
        raise NotFoundError(f"The files of backup {info.id} are not on the server: look at its record.")
    known = {entry.part: entry for entry in info.filenames}
    if unknown := [part for part in parts if part not in known]:
        raise NotFoundError(f"Backup {info.id} has no part {unknown[0]}: it has {len(known)}.")
    names = [entry.name for entry in info.filenames]
    if len(set(names)) != len(names) or len(known) != len(names) or not all(map(_is_plain_name, names)):
        raise ProtocolError(f"The server names the files of backup {info.id} in a way that cannot be trusted.")
    return [known[part] for part in parts] if parts else list(info.filenames)


def _is_plain_name(name: str) -> bool:
    """Whether a name from a server is the name of one file, and of no hidden one."""
    return (
        bool(name)
        and not name.startswith(".")
        and not any(character in name for character in "/\\\0")
        and name.isprintable()
        and len(name.encode("utf-8", "surrogateescape")) <= 200
    )


def download_part(
    caller: Caller,
    backup_id: int,
    folder: Path,
    entry: PartEntry,
    *,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> str:
    """Downloads one part over one connection, from where an earlier try was cut.

    Args:
        caller: a client.
        backup_id: number of the record.
        folder: where the part goes.
        entry: the part; its name is that of the file.
        on_progress: called with what has arrived, often.
        stop: asked often; answering True breaks the download off, to be resumed later.

    Returns:
        BLAKE3 of the file, taken as it arrived.

    Raises:
        NotFoundError, VerificationError, ConnectionFailedError: as for ``Client.download``.
    """
    digest = Blake3OfFile()
    plan = _Plan([entry], on_progress, stop)
    path = _download_part(caller, backup_id, folder, plan, entry, DownloadMethod.AUTO, 1, 1, digest)
    return digest.of(path)


def _download_part(
    caller: Caller,
    backup_id: int,
    folder: Path,
    plan: _Plan,
    entry: PartEntry,
    way: DownloadMethod,
    connections: int,
    chunk_size: int,
    digest: Blake3OfFile | None = None,
) -> Path:
    target = folder / entry.name
    with storage_errors(target):
        if target.exists():
            if not target.is_file() or target.stat().st_size != entry.size:
                raise UsageError(f"{target} exists and is something else: move it away, or take another folder.")
            plan.count(entry, entry.size)
            return target
    identity = {"backup": backup_id, "part": entry.part, "name": entry.name, "size": entry.size}
    with PartFile(target, entry.size, identity, lambda arrived: plan.count(entry, arrived), digest=digest) as file:
        plan.count(entry, file.done)
        if way is DownloadMethod.SEGMENTS or (way is DownloadMethod.AUTO and file.segments):
            _by_segments(caller, backup_id, file, plan, entry, chunk_size)
        else:
            try:
                fetch_direct(caller, backup_id, entry.part, file, connections)
            except DirectRefusedError as refusal:
                if way is DownloadMethod.DIRECT:
                    raise refusal.meaning from None
                _by_segments(caller, backup_id, file, plan, entry, chunk_size)
        return file.finish()


def _by_segments(
    caller: Caller, backup_id: int, file: PartFile, plan: _Plan, entry: PartEntry, chunk_size: int
) -> None:
    if file.done and not file.segments:
        plan.count(entry, -file.done)
        file.restart()
    fetch_segments(caller, backup_id, entry.part, file, chunk_size)
