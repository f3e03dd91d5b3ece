"""The demonstration as a person runs it: a process of its own, with its table, its exit code and its cleaning up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.demo.compare import walk
from backstay.demo.live_database import in_use, make_database
from backstay.errors import NotFoundError, VerificationError

STAGES = ["Make a sample site", "Start the server", "Back up over the API", "Download", "Verify", "Restore", "Compare"]


def start(temporary: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the demonstration with a folder of its own for all that it makes."""
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "backstay.demo", *arguments],
        env={**os.environ, "TMPDIR": str(temporary), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the demonstration; gives its exit code and what it printed."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def processes_of(temporary: Path) -> list[str]:
    """Give the command lines of the processes that still work in a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(temporary) in environment:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def traces(root: Path) -> list[tuple[str, int, int, int, int]]:
    """Give what would tell that somebody wrote to a tree: sizes, modes, times of content and of attributes."""
    entries = ((path, (root / path).lstat()) for path in ["", *(path for path, _ in walk(root))])
    return [(path, entry.st_size, entry.st_mode, entry.st_mtime_ns, entry.st_ctime_ns) for path, entry in entries]


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for all that a demonstration makes; at the end nothing may be left in it, nor work in it."""
    folder = tmp_path / "temporary"
    yield folder
    assert list(folder.iterdir()) == []
    deadline = time.monotonic() + 5
    while left := processes_of(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_sample_site_comes_back_identical(temporary: Path) -> None:
    code, output, errors = finish(start(temporary))
    assert code == 0, output + errors
    positions = [output.find(f"\n{stage}  ") for stage in STAGES]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert "identical" in output


def test_a_site_of_the_users_is_only_read(temporary: Path, tmp_path: Path) -> None:
    site = tmp_path / "a site"
    (site / "images").mkdir(parents=True)
    (site / "index.php").write_text("<?php")
    (site / "images" / "photo.jpg").write_bytes(os.urandom(200_000))
    make_database(site / "shop.db", rows=20)
    with in_use(site / "shop.db"):
        before = traces(site)
        code, output, errors = finish(start(temporary, "--site", site))
        assert traces(site) == before
    assert code == 0, output + errors
    assert "Make a sample site" not in output
    assert "3 files, 1 folder," in output


def test_a_site_that_changed_meanwhile_is_not_called_identical(temporary: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "page.html").write_text("before")
    process = start(temporary, "--site", site)
    while process.poll() is None and not list(temporary.glob("*/downloads/*")):
        time.sleep(0.005)
    (site / "page.html").write_text("after!")
    code, output, errors = finish(process)
    assert code == VerificationError.exit_code, output + errors
    assert "page.html: has other bytes between 0 and 6" in output


def test_a_site_that_is_not_there_is_one_sentence(temporary: Path, tmp_path: Path) -> None:
    code, output, errors = finish(start(temporary, "--site", tmp_path / "nowhere"))
    assert code == NotFoundError.exit_code
    assert output == ""
    assert errors.replace("\n", " ").startswith(f"There is no folder {tmp_path}/nowhere: name the folder of a site.")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("*/site", signal.SIGINT),
        ("*/server.log", signal.SIGTERM),
        ("*/home/jobs/*", signal.SIGINT),
        ("*/downloads/*", signal.SIGTERM),
    ],
)
def test_stopped_at_any_moment_it_leaves_nothing_behind(temporary: Path, moment: str, number: signal.Signals) -> None:
    process = start(temporary)
    while process.poll() is None and not list(temporary.glob(moment)):
        time.sleep(0.005)
    process.send_signal(number)
    code, output, errors = finish(process)
    assert code == 128 + number, output + errors


def test_what_was_made_is_kept_where_that_was_asked_for(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "page.html").write_text("words")
    code, output, errors = finish(start(tmp_path / "temporary", "--site", site, "--keep"))
    assert code == 0, output + errors
    (kept,) = (tmp_path / "temporary").iterdir()
    assert f"Kept in {kept}" in output
    assert (kept / "restored" / "page.html").read_text() == "words"
