"""Huge files and very many files, in flat memory. All of it is slow."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archives.trees import begin, fill, password_for
from backstay.archives import EntryType, Source, open_archive
from backstay.archives.registry import FORMATS

HUGE = 6 << 30
MEMORY = 150 << 10

PACK = """
import json, os, resource, sys
from pathlib import Path
from backstay.archives import EntryType, Source, create_archive, open_archive, pack

folder, format_name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
password = "x" if format_name == "jps" else None

def sources():
    for number in range(count):
        path = f"{number // 1000:03d}/{number:06d}.txt"
        if number % 1000 == 0:
            yield Source(f"{number // 1000:03d}", EntryType.DIRECTORY, 0o040755, 1700000000, implied=True)
        data = b"%d " % number * (number % 300)
        yield Source(path, EntryType.FILE, 0o100644, 1700000000, len(data), data=data)

writer = create_archive(folder / f"a.{format_name}", format=format_name, work_directory=folder, password=password)
for _ in pack(writer, sources(), workers=2):
    pass
summary = writer.close()
packing = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_archive(summary.parts[-1], password=password) as archive:
    report = archive.verify(workers=2)
    extracted = archive.extract(folder / "out", workers=2)
reading = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([summary.entries, len(report.problems), extracted.entries, packing, reading]))
"""


def run(folder: Path, format_name: str, count: int) -> list[int]:
    folder.mkdir()
    command = [sys.executable, "-c", PACK, str(folder), format_name, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("format_name", FORMATS)
def test_200000_files_take_no_more_memory_than_2000(tmp_path: Path, format_name: str) -> None:
    few = run(tmp_path / "few", format_name, 2000)
    many = run(tmp_path / "many", format_name, 200_000)
    assert few[:2] == [2000, 0]
    assert many[:2] == [200_000, 0]
    assert many[2] >= 200_000
    assert max(many[3:]) < MEMORY
    assert max(many[3:]) - max(few[3:]) < 40 << 10


def huge_file(path: Path) -> str:
    """Make a file of 6 GiB: noise, text and holes; give its hash."""
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        file.write(os.urandom(3 << 20))
        file.seek((5 << 30) - 12345)
        file.write(b"in the middle of it\n" * 100_000)
        file.seek(HUGE - len(block))
        file.write(block)
    return hash_of(path)


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("store_above", [0, 1 << 40])
@pytest.mark.parametrize("format_name", ["jpa", "zip"])
def test_a_file_of_six_gibibytes_comes_back_equal(tmp_path: Path, format_name: str, store_above: int) -> None:
    huge = tmp_path / "huge.bin"
    digest = huge_file(huge)
    status = huge.stat()
    source = Source("huge.bin", EntryType.FILE, status.st_mode, int(status.st_mtime), HUGE, file=str(huge))
    writer = begin(tmp_path, format_name, store_above=store_above, part_size=0 if store_above else 1 << 30)
    summary = fill(writer, [source])
    huge.unlink()
    if format_name == "zip" and store_above and shutil.which("unzip"):
        assert subprocess.run(["unzip", "-tq", summary.parts[0]], capture_output=True, check=False).returncode == 0
    with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
        entry = archive.entry("huge.bin")
        assert entry.size == HUGE
        assert (entry.compressed_size == HUGE) == (store_above == 0)
        assert archive.verify().problems == []
        archive.extract(tmp_path / "out")
    assert hash_of(tmp_path / "out/huge.bin") == digest
