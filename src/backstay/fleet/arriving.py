"""The parts of a remote backup on their way here: which there are, under which names they are kept, and fetching them.

What a server says of names and sizes is not trusted: the names here are made here, sizes are held against the free
space before the first byte, and a part that is longer or shorter than was said is no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from backstay.api.replies import BackupInfo, PartFile
from backstay.archives.parts import part_path
from backstay.client import Client, DownloadProgress
from backstay.client.download import download_part
from backstay.engine import Progress
from backstay.errors import DiskFullError, NotFoundError, ProtocolError
from backstay.fleet.detection import plain_text
from backstay.fleet.held_run import HeldRun
from backstay.fleet.part_sending import PartSending
from backstay.storage import free_space

MOST_PARTS: Final = 10_000
KINDS: Final = (".jpa", ".jps", ".zip", ".sql")
_BEGUN: Final = 0.5
_SHARE: Final = 0.3
_SPARE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class ArrivingPart:
    """One part of the archive.

    Attributes:
        part: its number on the server.
        name: of its file here.
        size: bytes that the server says it has.
        blake3: of its content; empty until it is here.
    """

    part: int
    name: str
    size: int
    blake3: str = ""


def parts_of(info: BackupInfo, archive: Path) -> list[ArrivingPart]:
    """Return the parts of an archive in their order, with the names they get here.

    Args:
        info: the server's record.
        archive: where the main part goes; what it ends in is taken from the server's.

    Raises:
        NotFoundError: the server does not have the files.
        ProtocolError: what it says of them makes no archive.
    """
    files = sorted(info.filenames, key=lambda file: file.part)
    if not files:
        raise NotFoundError(_gone(info))
    kind = PurePosixPath(files[-1].name).suffix.lower()
    if kind not in KINDS:
        raise ProtocolError(
            f"The archive on the server is named {plain_text(files[-1].name)!r}: Backstay reads JPA, JPS, ZIP and SQL, "
            "so let the server's profile make one of these."
        )
    numbers = [file.part for file in files]
    if len(set(numbers)) < len(numbers) or len(files) > MOST_PARTS or any(file.size < 0 for file in files):
        raise ProtocolError(f"What the server says of the {len(files)} parts of its archive makes no archive.")
    if kind == ".sql" and len(files) > 1:
        raise ProtocolError("The server has a database backup in several files, which is no archive that can be read.")
    main = archive.with_suffix(kind)
    names = [part_path(main, number).name for number in range(1, len(files))] + [main.name]
    return [ArrivingPart(file.part, name, file.size) for file, name in zip(files, names, strict=True)]


def _gone(info: BackupInfo) -> str:
    if info.remote_filename:
        return (
            f"The server has sent backup {info.id} to a storage of its own and kept no files of it: let its profile "
            "keep them, or take them from that storage with 'backstay storage import'."
        )
    return f"The files of backup {info.id} are not on the server: look at its record there."


def stored_parts(checkpoint: Sequence[dict[str, Any]]) -> list[ArrivingPart]:
    """Return the parts as a checkpoint has them."""
    return [ArrivingPart(**part) for part in checkpoint]


def require_space(parts: Sequence[ArrivingPart], folder: Path) -> None:
    """Refuse an archive for which there is no room.

    Raises:
        DiskFullError: there is less than it needs.
    """
    here = sum(path.stat().st_size for part in parts if (path := folder / part.name).is_file())
    needed, free = sum(part.size for part in parts) - here, free_space(folder)
    if needed + _SPARE_BYTES > free:
        raise DiskFullError(
            f"The archive has {needed} bytes more than {folder} holds, where {free} are free: make room there, or let "
            "the archives go to another folder (akeeba.basic.output_directory)."
        )


def fetch_part(
    held: HeldRun, client: Client, record: int, folder: Path, parts: Sequence[ArrivingPart], index: int
) -> str:
    """Fetch one part, from where an earlier worker of this machine was cut; return its BLAKE3.

    Raises:
        VerificationError: it has another size than the server says.
        BackstayError: it cannot be fetched.
    """
    part = parts[index]
    before, total = sum(one.size for one in parts[:index]), sum(one.size for one in parts)
    entry = PartFile(part=part.part, name=part.name, size=part.size)

    def show(arrived: DownloadProgress) -> None:
        done = (before + arrived.done) / total if total else 1.0
        step = f"Fetching part {index + 1} of {len(parts)}"
        held.show(
            Progress(
                "Packing",
                step,
                f"{done:.0%}",
                fraction=_BEGUN + _SHARE * done,
                bytes_written=before + arrived.done,
            )
        )

    return held.patiently(lambda: download_part(client, record, folder, entry, on_progress=show, stop=held.check))


def fetch_all(
    held: HeldRun, client: Client, record: int, folder: Path, parts: list[ArrivingPart], sending: PartSending
) -> list[ArrivingPart]:
    """Fetch all parts that are not here, and hand each to the storages while the next comes.

    Returns:
        The parts with their hashes.
    """
    for index, path in enumerate([folder / part.name for part in parts]):
        part = parts[index]
        if not (part.blake3 and path.is_file() and path.stat().st_size == part.size):
            digest = fetch_part(held, client, record, folder, parts, index)
            if part.blake3 and digest != part.blake3:
                raise ProtocolError(f"Part {index + 1} on the server is not what it was: take a new backup.")
            part = parts[index] = replace(part, blake3=digest)
            held.save(parts=[as_stored(one) for one in parts])
        if index + 1 < len(parts):
            sending.offer(path, part.blake3)
    return parts


def as_stored(part: ArrivingPart) -> dict[str, Any]:
    """Return a part as a checkpoint keeps it."""
    return {"part": part.part, "name": part.name, "size": part.size, "blake3": part.blake3}
