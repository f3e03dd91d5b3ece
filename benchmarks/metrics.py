# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""How long ``/metrics`` takes over a catalogue with many made-up profiles and records.

The catalogue is filled by SQL, then read over HTTP from a server in a process of its own; the first scrape, for which
the server still loads the library, is told apart.

    python benchmarks/metrics.py [--profiles 1000] [--records 100000] [--scrapes 10]
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from backstay.catalogue import Profile
from backstay.jobs.installation import open_installation

GOAL_MILLISECONDS = 200
_DESTINATIONS = 3


def fill(home: Path, profiles: int, records: int) -> str:
    """Make a home with profiles, records, copies, runs and alarms; return a token for its metrics."""
    with open_installation(home) as installation:
        catalogue = installation.catalogue
        stored = catalogue.profiles.create(Profile(0, "The site of customer number 2"))
        token = catalogue.tokens.create("prometheus", ["metrics"], datetime.now(UTC))
        path = installation.home.catalogue
    proof = json.dumps({"level": "full", "ok": True, "parts": [{"name": "a" * 80, "size": 1, "blake3": "0" * 64}] * 3})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO profiles (description, configuration, filters, quickicon) "
            "SELECT ?, configuration, filters, 1 FROM profiles WHERE id = ?",
            [(f"The site of customer number {number}", stored.id) for number in range(3, profiles + 1)],
        )
        connection.executemany(
            "INSERT INTO backups VALUES (?, 'Nightly', '', datetime('2026-01-01', ? || ' minutes'), "
            "datetime('2026-01-01', ? || ' minutes'), ?, 'backend', 'full', ?, 'site.jpa', '/a/site.jpa', 1, 'cron', "
            "?, 1, NULL, 1000000, 0, 0, '', 0, ?)",
            [
                (number, number, number + 5, "fail" if number % 20 == 0 else "complete", number % profiles + 1,
                 f"id-{number}", proof)
                for number in range(1, records + 1)
            ],
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO destinations VALUES (?, ?, 'file:/x', x'', '2026-01-01', '{}')",
            [(number, f"storage {number}") for number in range(1, _DESTINATIONS + 1)],
        )
        connection.execute(
            "INSERT INTO copies (backup_id, destination_id, folder, state, created, sent_at, proven_how, error) "
            "SELECT id, id % ? + 1, x'', 'stored', backupstart, backupend, '', '' FROM backups",
            (_DESTINATIONS,),
        )
        connection.execute(
            "INSERT INTO schedules SELECT id, id, 'backup', '@daily', 'UTC', 0, 1, 0, '{}', '2026-01-01', '2026-01-01' "
            "FROM profiles"
        )
        connection.execute(
            "INSERT INTO runs (schedule_id, due, state, backup_id, created, message) "
            "SELECT profile_id, backupstart, 'done', id, backupstart, '' FROM backups"
        )
        connection.execute(
            "INSERT INTO alarms (kind, subject, profile_id, since, opened, closed, message, advice, details, untold) "
            "SELECT 'failed', id, profile_id, backupstart, backupstart, CASE WHEN id % 7 THEN backupend END, '', '', "
            "'{}', '' FROM backups WHERE status = 'fail'"
        )
    return token


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Run Backstay's server; give its address."""
    command = [sys.executable, "-m", "backstay", "serve", "--quiet", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            match = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline() if process.stdout else "")
            if match is None:
                sys.exit("The server did not start.")
            yield match[0]
        finally:
            process.terminate()


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=1000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--scrapes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        token = fill(Path(folder) / "home", options.profiles, options.records)
        times, size = [], 0
        with serving(Path(folder) / "home") as url, httpx2.Client(timeout=60) as http:
            for _ in range(options.scrapes + 1):
                begun = time.perf_counter()
                answer = http.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
                times.append((time.perf_counter() - begun) * 1000)
                size = len(answer.content)
    further = times[1:]
    print(f"first scrape    {times[0]:6.0f} ms")
    print(f"further scrapes {statistics.median(further):6.0f} ms   goal {GOAL_MILLISECONDS}")
    print(f"the fastest     {min(further):6.0f} ms")
    print(f"size of a page  {size / 1000:6.0f} kB")


if __name__ == "__main__":
    main()
