# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""How long the server takes for each page, and how large it is, over a catalogue with many made-up profiles.

The catalogue is filled by SQL (`benchmarks/alarms.py`), then every page that is read is asked for over HTTP from a
server in a process of its own, by an administrator; the first answer of each page, for which the server still loads
things, is told apart. The first visit of a browser takes the style sheet, the scripts and the icon too. With `--writes`
the catalogue is changed ten times a second meanwhile, as running backups do.

    python benchmarks/pages.py [--profiles 5000] [--records 100000] [--visits 40] [--writes]
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from alarms import fill
from metrics import serving

from backstay.jobs.alarms import check
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.users import Role, create_user
from backstay.web.pages import ROUTES
from backstay.web.security import SESSION_COOKIE

GOAL_MILLISECONDS = 100
GOAL_BYTES = 60_000
_NOT_PAGES = ("/static", "/events", "/welcome", "/sign-in")
_MORE = (
    "/overview?page=50",
    "/overview?state=failed",
    "/overview?q=number+77",
    "/overview?sort=last",
    "/overview?sort=next",
)


def prepare(home: Path, profiles: int, records: int) -> tuple[str, int]:
    """Fill a home; return the word of an administrator's session, and the number of a backup."""
    with open_installation(home) as installation:
        fill(installation, profiles, records)
        now = datetime.now(UTC)
        installation.catalogue.observations.begin_round(now, timedelta(0))
        check(installation, now)
        user = create_user(installation, "anna", Role.ADMINISTRATOR, "a long enough password")
        word = installation.catalogue.sessions.create(user.id, now, timedelta(days=1), "", "")
        return word, installation.catalogue.backups.newest(limit=1)[0].id


def paths(backup: int) -> list[str]:
    """Return the addresses of all pages that are read."""
    found = []
    for route in ROUTES:
        if route.verb == "GET" and not route.path.startswith(_NOT_PAGES) and "{part" not in route.path:
            number = 7 if route.path.startswith("/profiles") else backup
            found.append(re.sub(r"\{\w+(:int)?\}", str(number), route.path))
    return [*dict.fromkeys(found), *_MORE]


def disturb(installation: Installation, until: threading.Event) -> None:
    """Change the catalogue ten times a second."""
    while not until.wait(0.1):
        installation.catalogue.backups.update(1, comment=str(time.time()))


def measure(client: httpx2.Client, path: str, visits: int) -> tuple[int, list[float], int]:
    """Return the status, the milliseconds of each visit, the first one first, and the bytes over the wire."""
    times, count, status = [], 0, 0
    for _ in range(visits + 1):
        begun = time.perf_counter()
        with client.stream("GET", path) as answer:
            count = sum(len(piece) for piece in answer.iter_raw())
        times.append((time.perf_counter() - begun) * 1000)
        status = answer.status_code
    return status, times, count


def first_visit(client: httpx2.Client) -> int:
    """Return the bytes of the overview with all that it loads."""
    text = client.get("/").text
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))
    return len(text.encode()) + sum(measure(client, file, 0)[2] for file in files)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profiles", type=int, default=5000)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--visits", type=int, default=40)
    parser.add_argument("--writes", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        word, backup = prepare(home, options.profiles, options.records)
        url = stack.enter_context(serving(home))
        headers = {"Cookie": f"{SESSION_COOKIE}={word}", "Accept-Encoding": "gzip"}
        client = stack.enter_context(httpx2.Client(base_url=url, headers=headers, timeout=60))
        if options.writes:
            until = threading.Event()
            installation = stack.enter_context(open_installation(home))
            thread = threading.Thread(target=disturb, args=(installation, until))
            thread.start()
            stack.callback(thread.join)
            stack.callback(until.set)
        print(f"{'page':44} {'first':>6} {'median':>6} {'p95':>6} ms {'bytes':>8}")
        for path in paths(backup):
            status, times, count = measure(client, path, options.visits)
            later = sorted(times[1:])
            p95 = later[int(len(later) * 0.95) - 1]
            shown = path if status == 200 else f"{path} ({status})"
            print(f"{shown:44} {times[0]:6.0f} {statistics.median(later):6.0f} {p95:6.0f}    {count:8}", flush=True)
        print(f"first visit of the overview with all that it loads: {first_visit(client)} bytes")
    print(f"goals: p95 at most {GOAL_MILLISECONDS} ms, a first visit at most {GOAL_BYTES} bytes")


if __name__ == "__main__":
    main()
