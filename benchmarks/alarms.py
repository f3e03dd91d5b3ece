# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""How long a check for alarms takes over a catalogue with many made-up profiles and records.

The catalogue is filled by SQL. Every profile has an interval, a schedule and a storage; one backup in nineteen failed.
The first check, of a process that has just begun, is told apart; it opens the alarms.

    python benchmarks/alarms.py [--profiles 5000] [--records 100000] [--checks 5]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backstay.catalogue import Profile
from backstay.jobs.alarms import check
from backstay.jobs.installation import Installation, open_installation

GOAL_MILLISECONDS = 300
_NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def fill(installation: Installation, profiles: int, records: int) -> None:
    """Make profiles, and as many nightly backups of each as there are records for."""
    values = {"backstay.alarms.expected_every": "24", "backstay.storage.destinations": "nas"}
    stored = installation.catalogue.profiles.create(Profile(0, "The site of customer number 2", values))
    proof = json.dumps({"level": "content", "ok": True, "parts": [{"name": "a" * 80, "size": 1, "blake3": "0" * 64}]})
    usual = json.dumps({"backups": 5, "entries": 1000, "bytes": 5_000_000, "rows": 10_000, "warnings": 1})
    nights = records // profiles
    backups, counts = [], []
    for night in range(nights):
        for profile in range(1, profiles + 1):
            number = night * profiles + profile
            begun = (_NOW - timedelta(days=nights - 1 - night, hours=9, seconds=-profile)).replace(tzinfo=None)
            is_bad = number % 19 == 0
            backups.append((number, str(begun), str(begun + timedelta(minutes=5)), "fail" if is_bad else "complete",
                            profile, f"id-{number}", proof))  # fmt: skip
            if not is_bad:
                counts.append((number, profile, usual))
    with closing(sqlite3.connect(installation.home.catalogue)) as connection, connection:
        connection.executemany(
            "INSERT INTO profiles (description, configuration, filters, quickicon) "
            "SELECT ?, configuration, filters, 1 FROM profiles WHERE id = ?",
            [(f"The site of customer number {number}", stored.id) for number in range(3, profiles + 1)],
        )
        connection.executemany(
            "INSERT INTO backups (id, description, comment, backupstart, backupend, status, origin, type, profile_id, "
            "archivename, absolute_path, multipart, tag, backupid, filesexist, total_size, frozen, instep, error, "
            "warning_count, proof) VALUES (?, 'Nightly', '', ? || '.000000', ? || '.000000', ?, 'backend', 'full', ?, "
            "CAST('site.jpa' AS BLOB), CAST('/a/site.jpa' AS BLOB), 1, 'cron', ?, 0, 1000000, 0, 0, '', 1, ?)",
            backups,
        )
        connection.executemany(
            "INSERT INTO counts VALUES (?, ?, 'full', 1000, 5000000, 20, 10000, '', 0, '[]', ?, '{}')", counts
        )
        connection.execute(
            "INSERT INTO destinations VALUES (1, 'nas', 'folder:///nowhere', ?, '2026-01-01', '{}')",
            (installation.catalogue.vault.encrypt("{}"),),
        )
        connection.execute(
            "INSERT INTO copies (backup_id, destination_id, folder, state, created, sent_at, proven_at, proven_how, "
            "error) SELECT id, 1, x'', 'stored', backupend, backupend, backupend, '', '' FROM backups"
        )
        connection.execute(
            "INSERT INTO schedules SELECT id, id, 'backup', '17 3 * * *', 'Europe/Berlin', 3600, 1, 0, '{}', "
            "'2026-01-01', '2026-11-26 02:17:00' FROM profiles"
        )


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=5000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--checks", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_installation(Path(folder) / "home") as installation:
        fill(installation, options.profiles, options.records)
        # What lies outside the catalogue is not measured.
        installation.catalogue.observations.begin_round(_NOW, timedelta(0))
        times, busy = [], []
        for _ in range(options.checks + 1):
            begun, cpu = time.perf_counter(), time.process_time()
            check(installation, _NOW)
            times.append((time.perf_counter() - begun) * 1000)
            busy.append((time.process_time() - cpu) * 1000)
        alarms = len(installation.catalogue.alarms.of())
    print(f"first check    {times[0]:6.0f} ms ({busy[0]:.0f} ms of a processor), which opens {alarms} alarms")
    print(
        f"further checks {statistics.median(times[1:]):6.0f} ms ({statistics.median(busy[1:]):.0f} ms of a processor)"
    )
    print(f"the fastest    {min(times[1:]):6.0f} ms   goal {GOAL_MILLISECONDS}")


if __name__ == "__main__":
    main()
