"""Throws damaged and forged archives at the readers, for ten minutes by default: ``make fuzz ARGS=3600``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the fuzzing test for the time that was asked for; give pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=660.0, help="how long, in seconds")
    seconds = parser.parse_args().seconds
    environment = {**os.environ, "BACKSTAY_TEST_FUZZ_SECONDS": str(seconds)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "--timeout=0", "tests/archives/test_fuzz.py"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
