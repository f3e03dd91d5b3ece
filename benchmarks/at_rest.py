# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""What ``backstay serve`` costs while nothing happens: processor time and memory of its process.

The server does what is scheduled, too, with a number of schedules of which none is due while it is measured. Its memory
is its proportional share (PSS); the processor time is that of a span after it has come to rest. Linux only.

    python benchmarks/at_rest.py [--seconds 60] [--settle 20] [--schedules 1000] [--command serve]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy

from backstay.catalogue import Profile
from backstay.catalogue.schema import metadata
from backstay.jobs.installation import open_installation

GOAL_PERCENT = 1.0
GOAL_MEBIBYTES = 150


def fill(home: Path, schedules: int) -> None:
    """Make a home with as many profiles and schedules, which are due in half a year."""
    with open_installation(home) as installation:
        stored = installation.catalogue.profiles.create(Profile(0, "A site"))
        path, now = installation.home.catalogue, datetime.now(UTC)
    month = (now.month + 5) % 12 + 1
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    profiles, table = metadata.tables["profiles"], metadata.tables["schedules"]
    with engine.begin() as connection:
        like = connection.execute(sqlalchemy.select(profiles).where(profiles.c.id == stored.id)).one()._asdict()
        del like["id"]
        numbers = [
            connection.execute(sqlalchemy.insert(profiles).values(like).returning(profiles.c.id)).scalar_one()
            for _ in range(schedules)
        ]
        row = {"what": "backup", "at": f"17 3 1 {month} *", "time_zone": "Europe/Berlin", "spread": 0, "catch_up": True}
        row |= {"paused": False, "options": {}, "created": now, "handled": now}
        if numbers:
            connection.execute(sqlalchemy.insert(table), [{**row, "profile_id": number} for number in numbers])
    engine.dispose()


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mebibytes(process: int) -> float:
    """Return the proportional share of memory of a process."""
    match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=20.0)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--command", choices=("serve", "worker"), default="serve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        fill(home, options.schedules)
        command = [sys.executable, "-m", "backstay", options.command, "--quiet", "--home", str(home)]
        command += ["--port", "0"] if options.command == "serve" else []
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                time.sleep(options.settle)
                used, begun = processor_seconds(process.pid), time.perf_counter()
                time.sleep(options.seconds)
                used, passed = processor_seconds(process.pid) - used, time.perf_counter() - begun
                memory, threads = mebibytes(process.pid), len(list(Path(f"/proc/{process.pid}/task").iterdir()))
            finally:
                process.terminate()
    print(f"backstay {options.command} at rest, {options.schedules} schedules, {passed:.0f} s")
    print(f"processor  {100 * used / passed:6.2f} % of a core   goal {GOAL_PERCENT}")
    print(f"memory     {memory:6.1f} MiB         goal {GOAL_MEBIBYTES}")
    print(f"threads    {threads:6d}")


if __name__ == "__main__":
    main()
