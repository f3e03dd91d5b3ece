"""Every byte of an archive changed, every length of it: the right content or a typed error, never anything else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from archives.trees import REFERENCE, TIME, Found, contents, file_source, password_for, write
from backstay.archives import EntryType, Source, open_archive
from backstay.archives.registry import FORMATS
from backstay.errors import BackstayError, DamagedArchiveError

NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(8))


def sources() -> list[Source]:
    return [
        file_source("a.txt", b"Hello, world!\n" * 20),
        Source("folder", EntryType.DIRECTORY, 0o040755, TIME + 5, implied=True),
        file_source("folder/stored.bin", NOISE, mode=0o100600),
        Source("folder/link", EntryType.SYMLINK, 0o120777, TIME + 6, target="../a.txt"),
        file_source("empty", b""),
        Source("void", EntryType.DIRECTORY, 0o040700, TIME + 7),
    ]


def judge(main: Path, format_name: str, target: Path, wanted: dict[str, Found]) -> bool:
    """Say whether damage is noticed; fail if what is given back is wrong without a word."""
    shutil.rmtree(target, ignore_errors=True)
    password = password_for(format_name)
    noticed = False
    try:
        with open_archive(main, password=password) as archive:
            verified = archive.verify(workers=1)
            report = archive.extract(target, workers=1)
    except BackstayError:
        return True
    if not report.used_manifest or report.refused:
        # Without its manifest an archive says so: `verify` tells what it has proved.
        return not verified.ok or not verified.used_manifest
    noticed = not verified.ok
    assert contents(target) == wanted, "extraction gave back something else without a word"
    return noticed


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    folder = tmp_path_factory.mktemp("wanted")
    summary = write(folder, "jpa", sources())
    with open_archive(summary.parts[0]) as archive:
        archive.extract(folder / "out")
    return contents(folder / "out")


@pytest.mark.parametrize("change", [0x01, 0x20, pytest.param(0xFF, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format_name", FORMATS)
def test_every_byte_changed(tmp_path: Path, wanted: dict[str, Found], format_name: str, change: int) -> None:
    summary = write(tmp_path, format_name, sources(), part_size=65536 if change == 1 else 0)
    main = summary.parts[-1]
    data = main.read_bytes()
    noticed = total = 0
    # One of the two runs that are always made takes the even bytes, the other the odd ones.
    every, first = (1, 0) if change == 0xFF else (2, change & 1)
    for index in range(first, len(data), every):
        main.write_bytes(data[:index] + bytes([data[index] ^ change]) + data[index + 1 :])
        total += 1
        noticed += judge(main, format_name, tmp_path / "out", wanted)
    # What is not noticed changes nothing that is given back: versions, low halves of sizes, times of day, padding.
    assert noticed > total * 0.75


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_truncation(tmp_path: Path, wanted: dict[str, Found], format_name: str) -> None:
    summary = write(tmp_path, format_name, sources())
    main = summary.parts[-1]
    data = main.read_bytes()
    for length in range(len(data)):
        main.write_bytes(data[:length])
        assert judge(main, format_name, tmp_path / "out", wanted), f"an archive cut to {length} bytes is not noticed"


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_truncation_of_a_part(tmp_path: Path, format_name: str) -> None:
    data = b"".join(hashlib.sha256(number.to_bytes(2, "big")).digest() for number in range(5000))
    given = [file_source("a.bin", data[:100_000]), file_source("b.bin", data[100_000:])]
    summary = write(tmp_path, format_name, given, part_size=65536)
    for part in summary.parts:
        content = part.read_bytes()
        for length in [0, 1, 18, 40, 99, 5000, len(content) // 2, len(content) - 1]:
            if length < len(content):
                part.write_bytes(content[:length])
                try:
                    with open_archive(summary.parts[-1], password=password_for(format_name)) as archive:
                        assert not archive.verify().ok
                except BackstayError:
                    pass
        part.write_bytes(content)


@pytest.mark.parametrize("name", ["tiny.jpa", "tiny.zip"])
def test_what_is_wrong_with_one_entry_is_reported_and_all_others_are_given_back(tmp_path: Path, name: str) -> None:
    data = bytearray((REFERENCE / name).read_bytes())
    with open_archive(REFERENCE / name) as archive:
        location = next(entry.location for entry in archive if entry.path.endswith(".png"))
    assert location is not None
    # A kind of block that deflate does not know.
    data[location.start] = 0x07
    path = tmp_path / name
    path.write_bytes(data)
    with open_archive(path) as archive:
        problems = archive.verify().problems
        assert [problem.path is not None for problem in problems] == [True]
        with pytest.raises(DamagedArchiveError, match="All else was extracted"):
            archive.extract(tmp_path / "out")
        files = sum(entry.type is EntryType.FILE for entry in archive)
    assert sum(found.is_file() and not found.is_symlink() for found in (tmp_path / "out").rglob("*")) == files - 1
    assert not (tmp_path / "out" / (problems[0].path or "")).exists()
