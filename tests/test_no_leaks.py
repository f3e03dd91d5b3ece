"""The project speaks only of itself: no file of it names a place on somebody's machine, or is too large for source."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LARGEST_FILE = 1024 * 1024

# The brackets keep this file from finding itself.
MACHINE_PATH = re.compile(
    rb"(?<![\w.*}])/(?:[w]ork/(?:main|shared)|[r]oot/[\w.]|[h]ome/(?!user/|www|example)[a-z]\w*/|[U]sers/\w+/)"
)


def tracked_files() -> list[Path]:
    """Give the files git knows of, those that are there."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files belong to the project is not known")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name for name in listing.decode().split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def test_no_file_names_a_place_on_a_machine() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match.group().decode()}"
        for file in tracked_files()
        for match in MACHINE_PATH.finditer(file.read_bytes())
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["{}work/main/src", "in {}root/x", "{}root/.profile", "{}home/joe/site", "file://{}Users/joe/site"]
)
def test_a_place_on_a_machine_is_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text.format("/").encode()) is not None


def test_no_file_is_larger_than_a_mebibyte() -> None:
    files = tracked_files()
    assert files
    assert [str(file.relative_to(ROOT)) for file in files if file.stat().st_size > LARGEST_FILE] == []
