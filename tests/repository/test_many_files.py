"""Memory does not grow with the number of files, whatever is done with their backup."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks/many_files.py"
MOST = 250


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_files_take_no_more_than_250_mib_at_any_step(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--files", "1000000", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    taken = {
        title: int(memory)
        for title, memory in re.findall(r"^\| (.+?) \| [\d.]+ \| (\d+) \|$", done.stdout, re.MULTILINE)
    }
    assert len(taken) == 6
    assert {title: memory for title, memory in taken.items() if memory > MOST} == {}
