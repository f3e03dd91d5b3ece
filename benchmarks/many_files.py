# ruff: noqa: INP001, T201 - a program that prints, in a folder of programs
"""Measures what a backup of very many files takes in a repository: seconds of the processor and memory, step by step.

    python benchmarks/many_files.py [--files 1000000] [--folder FOLDER]

The files are small and all different, and come from memory: what is measured is the repository. Each step is a process
of its own, and its memory is the most that it ever had.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from backstay.archives import EntryType, ManifestLine
from backstay.repository.archive_bytes import hand_out
from backstay.repository.checking import check
from backstay.repository.entry_formats import Form
from backstay.repository.opened import Repository, create_repository, open_repository
from backstay.repository.pruning import prune
from backstay.repository.store import Store
from backstay.repository.writing import SnapshotWriter
from backstay.storage import open_destination

Step = Callable[[Path, int], None]


def store(folder: Path) -> Store:
    """Give the store of the repository in a folder."""
    (folder / "place").mkdir(parents=True, exist_ok=True)
    return Store(open_destination(f"folder://{folder}/place"), "repositories/r/")


def opened(folder: Path) -> Repository:
    """Open the repository in a folder."""
    return open_repository(store(folder), folder / "state")


def write(repository: Repository, count: int, changed: int = 0) -> None:
    """Write a backup of so many files; the first ``changed`` differ from those of another one."""
    writer = SnapshotWriter(repository)
    for number in range(count):
        path = f"wp-content/uploads/{number // 1000:05}/image-{number:07}.txt"
        version = 1 if number < changed else 0
        line = ManifestLine(path, EntryType.FILE, 0, 0o100644, 1_700_000_000 + version)
        writer.add_file(line, (b"content %d of version %d" % (number, version),))
    writer.finish({})


def first(folder: Path, count: int) -> None:
    """Write a first backup."""
    with create_repository(store(folder), folder / "state") as repository:
        write(repository, count)


def again(folder: Path, count: int) -> None:
    """Write another one, of which one file in a hundred differs."""
    with opened(folder) as repository:
        write(repository, count, count // 100)


def lay_out(folder: Path, _count: int) -> None:
    """Work out where everything lies in a ZIP archive of the newest backup."""
    with opened(folder) as repository:
        hand_out(repository, repository.snapshots()[0][-1], Form("zip", 1 << 30), "site")


def stream(folder: Path, _count: int) -> None:
    """Open that archive again, and read all of it."""
    with opened(folder) as repository:
        archive = hand_out(repository, repository.snapshots()[0][-1], Form("zip", 1 << 30), "site")
        for _ in archive.stream(0, archive.layout.length):
            pass


def check_all(folder: Path, _count: int) -> None:
    """Read and check everything."""
    with opened(folder) as repository:
        report = check(repository, read_data=1.0)
        if not report.ok:
            raise SystemExit(report.damages[0].message)


def prune_first(folder: Path, _count: int) -> None:
    """Let go of the first backup, and give back its space."""
    with opened(folder) as repository:
        repository.remove_snapshot(repository.snapshots()[0][0].id)
        prune(repository)


STEPS: dict[str, Step] = {
    "first backup": first,
    "again, 1 % changed": again,
    "laid out as a ZIP, the first time": lay_out,
    "opened as a ZIP again, and all of it read": stream,
    "everything read and checked": check_all,
    "one of two backups deleted": prune_first,
}


def measured(step: Step, folder: Path, count: int) -> tuple[float, float]:
    """Do a step in a process of its own; give the seconds of the processor it took, and the most MiB it had."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, step, folder, count))
    process.start()
    theirs.close()
    seconds, memory = ours.recv()
    process.join()
    return seconds, memory


def _measure(pipe: Connection, step: Step, folder: Path, count: int) -> None:
    begun = time.process_time()
    step(folder, count)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send((time.process_time() - begun, memory))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstay-bench-", dir=given.folder) as name:
        print(f"| {given.files} files | processor, s | memory, MiB |")
        print("|---|--:|--:|")
        for title, step in STEPS.items():
            seconds, memory = measured(step, Path(name), given.files)
            print(f"| {title} | {seconds:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
