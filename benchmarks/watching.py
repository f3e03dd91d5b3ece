# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""What it costs the server that a backup is watched live, and how old what is shown gets.

A backup of a site is taken while viewers read its events as browsers do. Printed are the processor time of the server's
process while the backup ran, and the longest time between two events that a viewer got before the end. Linux only.

    python benchmarks/watching.py [--files 20000] [--bytes 600000000] [--viewers 1]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parent))

from at_rest import processor_seconds

from backstay.jobs.backup import start_backup
from backstay.jobs.installation import open_installation
from backstay.jobs.profiles import profile_of_site
from backstay.jobs.users import Role, create_user
from backstay.web.security import SESSION_COOKIE

GOAL_PERCENT = 2.0
GOAL_SECONDS = 1.0
MAKE_SITE = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "make_site.py"


async def watch(url: str, word: str, backup_id: int) -> list[float]:
    """Read the events of a backup to its end; return when each came."""
    moments = []
    headers = {"Cookie": f"{SESSION_COOKIE}={word}"}
    async with (
        httpx2.AsyncClient(base_url=url, timeout=60) as client,
        client.stream("GET", f"/events?backup={backup_id}", headers=headers) as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                moments.append(time.perf_counter())
                if re.search(r'"over": ?true', line):
                    break
    return moments


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--bytes", type=int, default=600_000_000)
    parser.add_argument("--viewers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, site = Path(folder) / "home", Path(folder) / "site"
        make = [
            sys.executable,
            str(MAKE_SITE),
            "--skip-db",
            "--root",
            str(site),
            "--files",
            str(options.files),
            "--bytes",
            str(options.bytes),
        ]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        with open_installation(home) as installation:
            user = create_user(installation, "viewer", Role.VIEWER, "a long enough password")
            day = timedelta(days=1)
            words = [
                installation.catalogue.sessions.create(user.id, datetime.now(UTC), day, "127.0.0.1", "a benchmark")
                for _number in range(options.viewers)
            ]
            profile = profile_of_site(installation, site, "none")
            command = [sys.executable, "-m", "backstay", "serve", "--no-worker", "--quiet", "--port", "0"]
            with subprocess.Popen([*command, "--home", str(home)], stdout=subprocess.PIPE, text=True) as process:
                try:
                    url = re.search(r"http://[\d.:]+", process.stdout.readline() if process.stdout else "")
                    assert url, "the server did not start"  # noqa: S101 - a program that measures
                    time.sleep(5)
                    used, begun = processor_seconds(process.pid), time.perf_counter()
                    backup = start_backup(installation, profile_id=profile.id)

                    async def all_viewers(url: str = url[0]) -> list[list[float]]:
                        return await asyncio.gather(*(watch(url, word, backup.backup_id) for word in words))

                    seen = asyncio.run(all_viewers())
                    used, passed = processor_seconds(process.pid) - used, time.perf_counter() - begun
                finally:
                    process.terminate()
    gaps = [later - earlier for one in seen for earlier, later in itertools.pairwise(one)]
    print(f"a backup of {options.bytes} bytes watched by {options.viewers} for {passed:.1f} s")
    print(f"processor     {100 * used / passed:6.2f} % of a core   goal {GOAL_PERCENT}")
    print(f"longest pause {max(gaps, default=0.0):6.2f} s              goal {GOAL_SECONDS}")
    print(f"events        {len(seen[0]):6d}")


if __name__ == "__main__":
    main()
