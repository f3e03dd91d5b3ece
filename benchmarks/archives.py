# ruff: noqa: INP001 - a folder of programs, not a package
"""Measures packing and extraction against tar, zip and pigz, and against a floor, and prints the tables of the docs.

    python benchmarks/archives.py [--site FOLDER] [--files 20000] [--megabytes 570] [--rounds 5] [--only NAME …]

Every program runs once in each round, one after the other, as a process of its own; the tables show the median of the
rounds, the processor seconds of the run and its peak memory: the proportional memory (PSS) of all its processes. The
floor only reads every file, hashes it and deflates it in memory, in a process for each core, with the codec, level and
hash of Backstay.

It works in memory where there is space: ext4 looks over every file that was deleted in the last minutes before it makes
a new one, and what is measured then is the round before.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from blake3 import blake3

from backstay.archives import Compression, EntryType, Source, create_archive, open_archive, pack
from backstay.archives.codec import BLOCK_SIZE, WHOLE_LIMIT, Codec

PASSWORD = "of no use to anyone"  # noqa: S105 - of an archive that is deleted at once
ROOT = Path(__file__).resolve().parent.parent
MAKE_SITE = ROOT / "tests" / "fixtures" / "make_site.py"
FLOOR_BATCH = 64
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made there
SPACE = 6 << 30
SAMPLE_SECONDS = 0.05


@dataclass
class Program:
    """One row of a table.

    Attributes:
        name: what the row is called.
        run: the command, given the folder to read and the folder to write to.
        output: the file it makes, to tell its size; empty for none.
    """

    name: str
    run: Callable[[Path, Path], list[str]]
    output: str = ""
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    size: int = 0
    memory: int = 0


def sources(root: str, base: str = "") -> Iterator[Source]:
    """Walk over a folder in the order of the bytes of its paths."""
    with os.scandir(os.path.join(root, base)) as found:  # noqa: PTH118 - pathlib takes as long as all the rest
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = f"{base}/{entry.name}" if base else entry.name
        status = entry.stat(follow_symlinks=False)
        mtime = status.st_mtime_ns // 1_000_000_000
        if entry.is_symlink():
            yield Source(path, EntryType.SYMLINK, status.st_mode, mtime, target=os.readlink(entry.path))  # noqa: PTH115
        elif entry.is_dir():
            yield Source(path, EntryType.DIRECTORY, status.st_mode, mtime, implied=True)
            yield from sources(root, path)
        else:
            yield Source(path, EntryType.FILE, status.st_mode, mtime, status.st_size, file=entry.path)


def pack_folder(root: str, archive: str, compression: str) -> None:
    """Pack a folder as the engine does, without checkpoints."""
    path = Path(archive)
    password = PASSWORD if path.suffix == ".jps" else None
    writer = create_archive(
        path,
        format=path.suffix[1:],
        work_directory=path.parent,
        compression=Compression(compression),
        password=password,
    )
    for _ in pack(writer, sources(root)):
        pass
    writer.close()


def extract_archive(archive: str, target: str) -> None:
    """Extract an archive."""
    with open_archive(archive, password=PASSWORD) as opened:
        opened.extract(Path(target))


def floor_batch(codec: Codec, paths: list[str]) -> int:
    """Read, hash and deflate some files; give the bytes that would be written."""
    total = 0
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        while data := os.read(descriptor, WHOLE_LIMIT):
            blake3(data).digest()
            if len(data) < WHOLE_LIMIT:
                total += len(codec.whole(data))
            else:
                total += sum(len(codec.block(data[at : at + BLOCK_SIZE])) for at in range(0, len(data), BLOCK_SIZE))
        os.close(descriptor)
    return total


def floor(root: str, compression: str) -> None:
    """Do what cannot be left out, and nothing else, on all cores."""
    paths = [source.file for source in sources(root) if source.file]
    batches = [paths[at : at + FLOOR_BATCH] for at in range(0, len(paths), FLOOR_BATCH)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        print(sum(pool.map(partial(floor_batch, Codec(Compression(compression))), batches)))  # noqa: T201 - its result


def own(*arguments: str) -> Callable[[Path, Path], list[str]]:
    """Give the command that runs a part of this program; SITE and OUT stand for the two folders."""

    def command(site: Path, out: Path) -> list[str]:
        named = {"SITE": str(site), "OUT": str(out)}
        filled = [argument.replace("OUT", str(out)) if argument != "SITE" else named["SITE"] for argument in arguments]
        return [sys.executable, __file__, *filled]

    return command


def shell(text: str) -> Callable[[Path, Path], list[str]]:
    """Give a command of the shell; SITE and OUT stand for the two folders."""
    return lambda site, out: ["sh", "-c", text.replace("SITE", str(site)).replace("OUT", str(out))]


def packing() -> list[Program]:
    """Give the programs that make an archive."""
    rows = []
    for strength in ("fast", "balanced", "small"):
        for extension in ("jpa", "zip", "jps") if strength == "balanced" else ("jpa",):
            run = own("--pack", "SITE", f"OUT/{strength}.{extension}", strength)
            rows.append(Program(f"Backstay {strength}, {extension}", run, f"{strength}.{extension}"))
        rows.append(Program(f"floor {strength}", own("--floor", "SITE", strength)))
    rows += [
        Program("tar czf", shell("tar czf OUT/a.tar.gz -C SITE ."), "a.tar.gz"),
        Program("tar | pigz", shell("tar cf - -C SITE . | pigz > OUT/b.tar.gz"), "b.tar.gz"),
        Program("zip -r -q", shell("cd SITE && zip -r -q OUT/c.zip ."), "c.zip"),
        Program("tar | zstd -T0", shell("tar cf - -C SITE . | zstd -q -T0 > OUT/d.tar.zst"), "d.tar.zst"),
    ]
    return [
        row
        for row in rows
        if all(shutil.which(tool) for tool in ("tar", *row.name.split()) if tool in {"pigz", "zip", "zstd"})
    ]


def extracting() -> list[Program]:
    """Give the programs that extract what `packing` made."""
    return [
        Program("Backstay, jpa", own("--extract", "OUT/balanced.jpa", "OUT/out")),
        Program("Backstay, zip", own("--extract", "OUT/balanced.zip", "OUT/out")),
        Program("Backstay, jps", own("--extract", "OUT/balanced.jps", "OUT/out")),
        Program("unzip -q", shell("mkdir OUT/out && unzip -q OUT/c.zip -d OUT/out")),
        Program("tar xzf", shell("mkdir OUT/out && tar xzf OUT/a.tar.gz -C OUT/out")),
        Program("tar --zstd -xf", shell("mkdir OUT/out && tar --zstd -xf OUT/d.tar.zst -C OUT/out")),
    ]


def memory_of(session: int) -> int:
    """Return the proportional memory, in KiB, of all processes of a session."""
    total = 0
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and os.getsid(int(path.name)) == session:
                match = re.search(r"^Pss:\s+(\d+)", (path / "smaps_rollup").read_text(), re.MULTILINE)
                total += int(match[1]) if match else 0
        except OSError:
            continue
    return total


def measure(program: Program, site: Path, out: Path) -> None:
    """Run a program once."""
    made = out / program.output if program.output else out / "out"
    shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(program.run(site, out), stdout=subprocess.DEVNULL, start_new_session=True)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            program.memory = max(program.memory, memory_of(process.pid) >> 10)

    watching = threading.Thread(target=watch)
    watching.start()
    failed = process.wait()
    program.seconds.append(time.perf_counter() - started)
    ended.set()
    watching.join()
    if failed:
        raise SystemExit(f"{program.name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    program.processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    program.size = made.stat().st_size if program.output else 0
    if made.is_dir():
        shutil.rmtree(made)


def table(title: str, programs: list[Program]) -> None:
    """Print a table."""
    print(f"\n| {title} | wall, s | processor, s | size, MB | peak memory, MiB |\n|---|--:|--:|--:|--:|")  # noqa: T201
    for program in programs:
        if program.seconds:
            wall, processor = (statistics.median(times) for times in (program.seconds, program.processor))
            size = f"{program.size / 1e6:.1f}" if program.size else ""
            print(f"| {program.name} | {wall:.2f} | {processor:.2f} | {size} | {program.memory} |")  # noqa: T201


def compare(arguments: argparse.Namespace) -> None:
    """Run everything and print the tables."""
    folder = IN_MEMORY if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > SPACE else None
    with tempfile.TemporaryDirectory(prefix="backstay-bench-", dir=arguments.folder or folder) as name:
        out = Path(name)
        site = arguments.site
        if site is None:
            site = out / "site"
            options = ["--files", str(arguments.files), "--bytes", str(arguments.megabytes * 10**6), "--skip-db"]
            subprocess.run([sys.executable, MAKE_SITE, "--root", site, *options], check=True, stdout=subprocess.DEVNULL)
        for title, programs in (("Packing", packing()), ("Extracting", extracting())):
            chosen = [
                program
                for program in programs
                if not arguments.only or any(part in program.name for part in arguments.only)
            ]
            for _ in range(arguments.rounds):
                for program in chosen:
                    measure(program, site, out)
            table(title, chosen)


def main() -> None:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, help="a folder to pack; a sample site is made if none is given")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=570)
    parser.add_argument("--folder", type=Path, help="where to work; in memory, if there is space, unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], help="names of rows, or parts of them")
    parser.add_argument("--pack", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--extract", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--floor", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pack:
        pack_folder(*arguments.pack)
    elif arguments.extract:
        extract_archive(*arguments.extract)
    elif arguments.floor:
        floor(*arguments.floor)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
