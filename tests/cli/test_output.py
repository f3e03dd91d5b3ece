"""Where commands print to: closed, full, or with fewer letters than a name has."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.disks import small_disk

BACKSTAY = [sys.executable, "-m", "backstay"]


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which ``backstay`` is the command line."""
    script = f'backstay() {{ "{sys.executable}" -m backstay "$@"; }}\n{line}'
    return subprocess.run(
        ["sh", "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("line", ["backstay list >&-", "backstay list >&- 2>&-", "backstay profile list --json >&-"])
def test_a_closed_output_stops_no_command(line: str) -> None:
    done = shell(line)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("home")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", ["list", "list --json", "profile show 1"])
def test_an_output_that_is_full_is_reported_in_a_sentence(command: str) -> None:
    done = shell(f"backstay {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "Error: The system refused: No space left on device.\n"


@pytest.mark.usefixtures("home")
def test_a_terminal_without_the_letters_of_a_name_shows_escapes() -> None:
    assert shell("backstay profile create --name Käse☃").returncode == 0
    done = shell("backstay profile list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "K\\xe4se\\u2603" in done.stdout


@pytest.mark.usefixtures("home")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = shell("backstay profile show 1 | head -n 1")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_not_reported_as_a_broken_catalogue(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        assert shell(f"backstay list --home {disk}/home").returncode == 0
        descriptor = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(descriptor, b"x" * 4096):
                pass
        os.close(descriptor)
        done = shell(f"backstay profile create --name {'x' * 60_000} --home {disk}/home")
        assert done.returncode == 31, done.stderr
        assert "There is no space left" in done.stderr
        assert "good copy" not in done.stderr
