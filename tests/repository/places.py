"""Repositories in folders, trees to put into them, and the plain comparison of what comes out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from backstay.archives import EntryType, ManifestLine
from backstay.repository.layout import Snapshot
from backstay.repository.lines import lines
from backstay.repository.opened import Repository, create_repository, open_repository
from backstay.repository.store import Store
from backstay.repository.writing import SnapshotWriter
from backstay.storage import open_destination

TIME = 1_700_000_000
SMALL_AVERAGE = 4096


def store_in(folder: Path) -> Store:
    """Open the store of a repository in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Store(open_destination(f"folder://{folder}"), "repositories/site/")


def created(folder: Path, *, passphrase: str | None = None, average: int = SMALL_AVERAGE) -> Repository:
    """Make a repository, with small pieces, so that small files are cut."""
    return create_repository(store_in(folder / "place"), folder / "state", passphrase=passphrase, average=average)


def opened(folder: Path, *, passphrase: str | None = None, state: str = "state") -> Repository:
    """Open what `created` made."""
    return open_repository(store_in(folder / "place"), folder / state, passphrase=passphrase)


def files_of(seed: int, count: int = 40, *, large: int = 60_000) -> dict[str, bytes]:
    """Make files: text, noise, empty ones, a large one; those of two seeds have much in common."""
    chance = random.Random(seed)
    common = random.Random(0)
    files = {}
    for number in range(count):
        path = f"folder {number % 5}/file-{number:03}.txt"
        text = f"line {number} of the site\n".encode() * common.randrange(1, 200)
        if number % 7 == 0:
            text = common.randbytes(common.randrange(1, 3000))
        if chance.random() < 0.1:
            text += chance.randbytes(20)
        files[path] = text
    files["empty"] = b""
    files["images/large.bin"] = common.randbytes(large) + chance.randbytes(100) + common.randbytes(large)
    return files


def take(repository: Repository, files: Mapping[str, bytes], record: dict[str, object] | None = None) -> Snapshot:
    """Write a snapshot of files, a folder and a link."""
    writer = SnapshotWriter(repository, workers=2)
    try:
        fill(writer, files)
        return writer.finish(record or {})
    except BaseException:
        writer.abort()
        raise


def fill(writer: SnapshotWriter, files: Mapping[str, bytes]) -> None:
    """Give a writer files, a folder and a link."""
    writer.add(ManifestLine("empty folder", EntryType.DIRECTORY, 0, 0o040750, TIME))
    for path, content in files.items():
        writer.add_file(ManifestLine(path, EntryType.FILE, 0, 0o100644, TIME), iter((content,)))
    writer.add(ManifestLine("latest", EntryType.SYMLINK, 5, 0o120777, TIME, target="empty"))


def content_of(repository: Repository, snapshot: Snapshot) -> dict[str, bytes]:
    """Read all files of a snapshot."""
    return {
        line.line.path: b"".join(repository.contents(line.chunks))
        for line in lines(repository, snapshot)
        if line.line.type is EntryType.FILE
    }


def pack_files(folder: Path) -> list[Path]:
    """List the packs of the repository of a folder."""
    return sorted((folder / "place/repositories/site/packs").iterdir())


def all_files(folder: Path) -> list[Path]:
    """List all files of the repository of a folder."""
    return sorted(path for path in (folder / "place").rglob("*") if path.is_file())
