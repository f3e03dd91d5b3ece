"""Readers meet damaged and forged archives: a typed error or content, in bounded time and memory, within the target.

Some seconds of it run with all tests. ``BACKSTAY_TEST_FUZZ_SECONDS`` says how many; ``make fuzz`` runs eleven minutes.
"""

from __future__ import annotations

import os
import resource
import shutil
import struct
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from archives import examples
from archives.trees import (
    REFERENCE,
    REFERENCE_PASSWORD,
    TIME,
    Found,
    contents,
    file_source,
    password_for,
    write,
)
from backstay.archives import EntryType, Limits, Source, open_archive
from backstay.archives.registry import FORMATS
from backstay.errors import BackstayError

SECONDS = float(os.environ.get("BACKSTAY_TEST_FUZZ_SECONDS", "6"))
LONGEST_CASE = 20.0
# Of the process, in KiB, as the system counts its peak.
MOST_MEMORY = 400 << 10
MOST_GROWTH = 200 << 10
LIMITS = Limits(total_size=64 << 20, entries=5000)
NUMBERS = [0, 1, 2, 20, 255, 0xFFFF, 1 << 16, 1 << 31, 0xFFFFFFFF, 1 << 32, 1 << 40, 1 << 63, (1 << 64) - 1]
MARKS = [b"JPA", b"JPF", b"JPS", b"JPE", b"JPIV", b"JPST", b"JP\x01\x01", b"JP\x01\x02", b"PK\x01\x02", b"PK\x03\x04"]
MARKS += [b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08", b"../", b"/", b"\0", b"\xff\xff", b"C:\\"]

Change = tuple[str, float, float, bytes]
CHANGES = st.tuples(
    st.sampled_from(["flip", "number", "mark", "cut", "remove", "double", "insert", "swap"]),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=12),
)


def apply(data: bytes, change: Change) -> bytes:
    """Make one change to the bytes of an archive."""
    kind, where, how, noise = change
    at = int(where * len(data))
    length = 1 + int(how * min(60, len(data)))
    number = NUMBERS[int(how * len(NUMBERS))]
    width = noise[0] % 4
    packed = struct.pack("<Q", number)[: 1 << width]
    return {
        "flip": data[:at] + bytes(byte ^ 1 << noise[0] % 8 for byte in data[at : at + 1]) + data[at + 1 :],
        "number": data[:at] + packed + data[at + len(packed) :],
        "mark": data[:at] + MARKS[int(how * len(MARKS))] + data[at + len(MARKS[int(how * len(MARKS))]) :],
        "cut": data[:at],
        "remove": data[:at] + data[at + length :],
        "double": data[: at + length] + data[at:],
        "insert": data[:at] + noise + data[at:],
        "swap": data[at:] + data[:at],
    }[kind]


class Seed:
    """An archive to begin with: its bytes, and what it gives back if it has a manifest."""

    def __init__(self, name: str, data: bytes, password: str | None, wanted: dict[str, Found] | None) -> None:
        self.name = name
        self.data = data
        self.password = password
        self.wanted = wanted


def own_sources() -> list[Source]:
    return [
        file_source("a.txt", b"Hello, world!\n" * 9),
        Source("folder", EntryType.DIRECTORY, 0o040755, TIME, implied=True),
        file_source("folder/b.bin", bytes(range(256))),
        Source("folder/link", EntryType.SYMLINK, 0o120777, TIME, target="../a.txt"),
        Source("void", EntryType.DIRECTORY, 0o040700, TIME),
    ]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    found = [
        Seed(f"example-{name}", getattr(examples, name), "password", None)
        for name in dir(examples)
        if isinstance(getattr(examples, name), bytes)
    ]
    folder = tmp_path_factory.mktemp("seeds")
    for format_name in FORMATS:
        for part_size in (0, 65536):
            summary = write(folder / f"{format_name}{part_size}", format_name, own_sources(), part_size=part_size)
            with open_archive(summary.parts[0], password=password_for(format_name)) as archive:
                archive.extract(folder / f"out-{format_name}{part_size}")
            wanted = contents(folder / f"out-{format_name}{part_size}")
            found.append(Seed(f"own.{format_name}", summary.parts[0].read_bytes(), password_for(format_name), wanted))
    for name in ("tiny.jpa", "tiny.zip"):
        found.append(
            Seed(
                name,
                (REFERENCE / name).read_bytes()[-60_000:]
                if name.endswith("zip")
                else (REFERENCE / name).read_bytes()[:60_000],
                None,
                None,
            )
        )
    found.append(Seed("tiny.jps", (REFERENCE / "tiny.jps").read_bytes()[:60_000], REFERENCE_PASSWORD, None))
    return found


def attempt(seed: Seed, data: bytes, box: Path) -> None:
    """Open, list, read, verify and extract; fail unless it ends as it should."""
    target = box / "target"
    path = box / "a.bin"
    path.write_bytes(data)
    started = time.monotonic()
    reported = "all is well"
    try:
        with open_archive(path, password=seed.password, limits=LIMITS) as archive:
            verified = archive.verify(workers=1)
            for number, entry in enumerate(archive):
                if number < 3 and entry.type is EntryType.FILE:
                    size = 0
                    for piece in archive.read(entry):
                        size += len(piece)
                        assert size <= entry.size
                        if size > LIMITS.total_size:  # type: ignore[operator]  # it is set above
                            break
            report = archive.extract(target, workers=1)
        if seed.wanted is not None and report.used_manifest and not report.refused:
            assert contents(target) == seed.wanted
        assert all(problem.message.isprintable() for problem in verified.problems)
    except BackstayError as error:
        reported = str(error)
    finally:
        assert sorted(found.name for found in box.iterdir()) in (["a.bin"], ["a.bin", "target"])
        for folder, names, _ in os.walk(target):
            for name in names:
                # So that what was made can be removed again.
                if not (Path(folder) / name).is_symlink():
                    (Path(folder) / name).chmod(0o700)
        shutil.rmtree(target, ignore_errors=True)
    assert reported.isprintable()
    assert time.monotonic() - started < LONGEST_CASE


def peak_memory() -> int:
    """Peak of this process so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_no_archive_does_harm(seeds: list[Seed]) -> None:
    began = time.monotonic()
    cases = 0
    before = peak_memory()
    with tempfile.TemporaryDirectory() as name:
        box = Path(name)

        @settings(
            max_examples=200,
            phases=[Phase.generate, Phase.shrink],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(seed=st.sampled_from(seeds), changes=st.lists(CHANGES, min_size=1, max_size=6))
        def one(seed: Seed, changes: list[Change]) -> None:
            nonlocal cases
            if time.monotonic() - began > SECONDS:
                return
            cases += 1
            data = seed.data
            for change in changes:
                data = apply(data, change)
            attempt(seed, data, box)

        while time.monotonic() - began < SECONDS:
            one()
    print(f"{cases} archives")
    assert cases > SECONDS
    # Other tests may have run in this process before: what counts is what these archives add to their peak.
    assert peak_memory() < max(MOST_MEMORY, before + MOST_GROWTH)


@settings(max_examples=200)
@given(
    data=st.binary(max_size=400),
    start=st.sampled_from([b"", b"JPA", b"JPS", b"PK\x03\x04", b"PK\x05\x06", b"JPS\x02\x00\x00\x4c\x00JH"]),
)
def test_bytes_of_no_kind_do_no_harm(data: bytes, start: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        attempt(Seed("noise", b"", "x", None), start + data, Path(name))
