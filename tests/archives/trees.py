"""Trees of files to put into archives, and what is in a folder, to compare the two."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from backstay.archives import (
    ArchiveSummary,
    ArchiveWriter,
    Compression,
    EntryType,
    PackWarning,
    Source,
    create_archive,
    pack,
)

REFERENCE = Path(__file__).resolve().parent.parent / "fixtures" / "reference-archives"
REFERENCE_PASSWORD = "correct horse battery staple"
TIME = 1_700_000_000


class Found(NamedTuple):
    """What lies at a path: kind, permissions, whole seconds, and the hash of a file or the target of a link."""

    kind: str
    mode: int
    mtime: int
    content: str


def scan(root: Path, base: str = "") -> Iterator[Source]:
    """Give the sources of a folder, in the order of the bytes of their names."""
    with os.scandir(root / base) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = f"{base}/{entry.name}" if base else entry.name
        status = entry.stat(follow_symlinks=False)
        mtime = status.st_mtime_ns // 1_000_000_000
        if entry.is_symlink():
            yield Source(path, EntryType.SYMLINK, status.st_mode, mtime, target=str(Path(entry.path).readlink()))
        elif entry.is_dir():
            yield Source(path, EntryType.DIRECTORY, status.st_mode, mtime, implied=any(Path(entry.path).iterdir()))
            yield from scan(root, path)
        else:
            yield Source(path, EntryType.FILE, status.st_mode, mtime, status.st_size, file=entry.path)


def contents(root: Path) -> dict[str, Found]:
    """Give everything that lies in a folder, the manifest's own folder left out."""
    found = {}
    for source in scan(root):
        if source.path.split("/")[0] == "installation":
            continue
        content = source.target or ""
        if source.file is not None:
            content = hashlib.sha256(Path(source.file).read_bytes()).hexdigest()
        found[source.path] = Found(source.type.value, stat.S_IMODE(source.mode), source.mtime, content)
    return found


def file_source(path: str, data: bytes, *, mode: int = 0o100644, mtime: int = TIME) -> Source:
    """Give a source of content in memory."""
    return Source(path, EntryType.FILE, mode, mtime, len(data), data=data)


def password_for(format_name: str) -> str | None:
    """Give a password where the format needs one."""
    return "pässwörd" if format_name == "jps" else None


def begin(folder: Path, format_name: str, **options: object) -> ArchiveWriter:
    """Begin an archive ``a`` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return create_archive(
        folder / f"a.{format_name}",
        format=format_name,
        work_directory=folder / "work",
        password=password_for(format_name),
        **options,  # type: ignore[arg-type]  # passed on as the test gives them
    )


def fill(
    writer: ArchiveWriter, sources: Iterable[Source], on_warning: Callable[[PackWarning], None] | None = None
) -> ArchiveSummary:
    """Pack sources and close the archive; a warning fails the test unless it is asked for."""
    warnings: list[PackWarning] = []
    for _ in pack(writer, sources, on_warning=on_warning or warnings.append):
        pass
    assert warnings == []
    return writer.close()


def write(folder: Path, format_name: str, sources: Iterable[Source], **options: object) -> ArchiveSummary:
    """Write an archive ``a`` in a folder."""
    return fill(begin(folder, format_name, **options), sources)


def plant(root: Path) -> None:
    """Make a tree with one of everything that archives know."""
    random = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(9000))
    files = {
        "index.php": b"<?php echo 'hello'; ?>\n" * 40,
        "empty.txt": b"",
        "images/photo.jpg": random[:200_000],
        "images/deep/er/still/a.txt": b"a",
        "tëxt/日本語 🎉.txt": "naïve".encode() * 1000,
        "spaces and\nnewlines.txt": b"x",
        "back\\slash.txt": b"y",
        "large.sql": b"".join(b"INSERT INTO t VALUES (%d, 'row %d');\n" % (n, n * n) for n in range(130_000)),
        "large.bin": random + random[::-1] * 18,
        "run.sh": b"#!/bin/sh\n",
        "private/secret.txt": b"s" * 5000,
    }
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.txt")).write_bytes(b"latin")
    (root / "empty folder").mkdir()
    (root / "link to file").symlink_to("index.php")
    (root / "link to folder").symlink_to("images", target_is_directory=True)
    (root / "dangling").symlink_to("/nowhere/at all")
    (root / "run.sh").chmod(0o755)
    (root / "private").chmod(0o700)
    (root / "private/secret.txt").chmod(0o600)
    (root / "empty folder").chmod(0o750)
    for number, source in enumerate(reversed(list(scan(root)))):
        os.utime(root / source.path, (TIME + number, TIME + number), follow_symlinks=False)


def small_compression() -> dict[str, object]:
    """Give options that make writing quick."""
    return {"compression": Compression.FAST}
