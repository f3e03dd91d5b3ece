# ruff: noqa: INP001, T201, S101, S105, S311 - a program that prints and makes noise, not a module of a package
"""One small file out of a stored backup of 1 GB: seconds, and bytes that move, from a folder and from an S3 server.

The archive holds 20,000 files of 50 kB that do not shrink, in each format, in one part. Each round opens the
destination anew. Bytes are those that are asked of the destination.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backstay.archives import ArchiveReader, EntryType, Source, create_archive, open_parts, pack
from backstay.jobs.stored_backups import StoredParts
from support.destinations import Place, send
from support.s3 import S3Server, find_weed

_FILES = 20_000
_SIZE = 50_000
_SMALL = 10_000
_WANTED = "folder/10000.bin"
_ROUNDS = 5
_PASSWORD = "a password"


class Counted(StoredParts):
    """Parts of which every read is counted."""

    bytes = 0
    reads = 0

    def read(self, part: int, offset: int, size: int) -> bytes:
        """Read, and count."""
        self.bytes += size
        self.reads += 1
        return super().read(part, offset, size)


def sources() -> Iterator[Source]:
    """Give 1 GB of noise, with one file of 10 kB in the middle."""
    noise = random.Random(1)
    for number in range(_FILES):
        path = f"folder/{number:05}.bin"
        size = _SMALL if path == _WANTED else _SIZE
        yield Source(path, EntryType.FILE, 0o100644, 1_700_000_000, size, data=noise.randbytes(size))


def make(folder: Path, form: str) -> Path:
    """Make the archive."""
    password = _PASSWORD if form == "jps" else None
    writer = create_archive(folder / f"a.{form}", format=form, work_directory=folder / "work", password=password)
    for _ in pack(writer, sources()):
        pass
    return writer.close().parts[-1]


def opened(place: Place, archive: Path) -> tuple[Counted, ArchiveReader]:
    """Open the archive at a place."""
    source = Counted(place.open(), "nas", [(archive.name, archive.stat().st_size)])
    return source, open_parts(source, password=_PASSWORD if archive.suffix == ".jps" else None)


def measure(place: Place, archive: Path) -> str:
    """Take the file out several times; return a row of the table."""
    seconds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        source, reader = opened(place, archive)
        with reader:
            assert len(b"".join(reader.read_path(_WANTED))) == _SMALL
        seconds.append(time.perf_counter() - begun)
    share = source.bytes / archive.stat().st_size
    return f"{statistics.median(seconds):.2f} | {source.bytes / 1e6:.1f} | {share:.2%} | {source.reads}"


def main() -> None:
    """Print the table."""
    print("| Storage | format | wall, s | moved, MB | of the archive | requests |\n|---|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as base:
        program = find_weed()
        (Path(base) / "s3").mkdir()
        server = S3Server(program, Path(base) / "s3") if program else None
        try:
            for form in ("jpa", "jps", "zip"):
                folder = Path(base) / form
                folder.mkdir()
                archive = make(folder, form)
                print(f"| folder | {form} | {measure(Place(f'folder://{folder}'), archive)} |", flush=True)
                if server is not None:
                    place = server.place(prefix=form)
                    with place.open() as destination:
                        send(destination, archive.name, archive)
                    print(f"| S3 | {form} | {measure(place, archive)} |", flush=True)
                    with place.open() as destination:
                        destination.delete(archive.name)
                archive.unlink()
        finally:
            if server is not None:
                server.close()


if __name__ == "__main__":
    main()
