# ruff: noqa: INP001, T201 - a program that prints, in a folder of programs
"""Measures how fast a backup of a repository is handed out as an archive, in MB for each second of the processor.

    python benchmarks/handing_out.py [--files 20000] [--bytes 6000] [--folder FOLDER]

The files are random bytes, which deflate leaves as they are. The first row is the least that there is to do: the packs
are read in order, pieces of that size are hashed, and joined with a hundred bytes before each. Each is done six times;
the fastest counts.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3
from many_files import opened, store

from backstay.archives import EntryType, ManifestLine
from backstay.repository.archive_bytes import hand_out
from backstay.repository.entry_formats import Form
from backstay.repository.opened import Repository, create_repository
from backstay.repository.writing import SnapshotWriter

ROUNDS = 6
READ_AT_ONCE = 512 << 10


def write(repository: Repository, count: int, size: int) -> None:
    """Write a backup of so many files."""
    chance = random.Random(1)  # noqa: S311 - the same every time
    writer = SnapshotWriter(repository)
    for number in range(count):
        path = f"folder-{number % 300:03}/some/file-{number:07}.txt"
        writer.add_file(ManifestLine(path, EntryType.FILE, 0, 0o100644, 1_700_000_000), (chance.randbytes(size),))
    writer.finish({})


def least(folder: Path, size: int) -> int:
    """Read, hash and join; give the bytes that came of it."""
    done = 0
    for path in (folder / "place").rglob("packs/*"):
        with path.open("rb") as file:
            while data := memoryview(file.read(READ_AT_ONCE)):
                pieces: list[bytes | memoryview] = []
                for start in range(0, len(data), size):
                    blake3(data[start : start + size]).digest(length=8)
                    pieces += (bytes(100), data[start : start + size])
                done += len(b"".join(pieces))
    return done


def handed_out(folder: Path, form: Form) -> int:
    """Open a backup as an archive, and read all of it; give its bytes."""
    with opened(folder) as repository:
        archive = hand_out(repository, repository.snapshots()[0][0], form, "site")
        return sum(map(len, archive.stream(0, archive.layout.length)))


def opening(folder: Path) -> float:
    """Give the milliseconds of the processor in which a backup is opened as an archive once that was done before."""
    with opened(folder) as repository:
        snapshot = repository.snapshots()[0][0]
        begun = time.process_time()
        hand_out(repository, snapshot, Form("jpa"), "site")
        return (time.process_time() - begun) * 1000


def row(title: str, call: Callable[[], int]) -> None:
    """Do something six times, and print how fast the fastest was."""
    best = 0.0
    for _ in range(ROUNDS):
        begun = time.process_time()
        done = call()
        best = max(best, done / (time.process_time() - begun) / 1e6)
    print(f"| {title} | {best:.0f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=6000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstay-bench-", dir=given.folder) as name:
        folder = Path(name)
        with create_repository(store(folder), folder / "state") as repository:
            write(repository, given.files, given.bytes)
        print(f"| {given.files} files of {given.bytes} bytes | MB for each second of the processor |")
        print("|---|--:|")
        row("read, hashed and joined, no more", lambda: least(folder, given.bytes))
        for form in (Form("jpa"), Form("zip")):
            handed_out(folder, form)
            row(form.format.upper(), lambda form=form: handed_out(folder, form))
        print(f"\nOpened again in {min(opening(folder) for _ in range(ROUNDS)):.1f} ms.")


if __name__ == "__main__":
    main()
