# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""What many sites cost: the pages that show them, the minute's look at what is due, a worker's memory.

The catalogue is filled by SQL: nine of ten sites are good, the others failing, silent, late, paused or never backed up;
each has a schedule of its own minute. Then the pages are asked for over HTTP from a server in a process of its own,
first while nothing changes, then while the catalogue is changed ten times a second, as running backups do. The memory
is that of `backstay worker` after it has looked some times at what is due, and of the server after all pages. With
`--catalogue` it is a database in PostgreSQL, which must be empty.

    python benchmarks/sites.py [--sites 5000] [--nights 20] [--visits 30] [--catalogue postgresql://…/empty]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Connection, Engine, bindparam, case, delete, insert, literal, select, text, update

from backstay.catalogue import Profile
from backstay.catalogue.schema import backups, groups, profiles, runs, schedules, sites
from backstay.fleet.overview import find_sites, read_sites
from backstay.jobs.alarms import check
from backstay.jobs.installation import Installation, open_installation
from backstay.jobs.overview import read_overview
from backstay.jobs.schedules import look_up, timing_of
from backstay.jobs.users import Role, create_user
from backstay.schedules import latest_due
from backstay.web.security import SESSION_COOKIE

GOAL_PAGE, GOAL_LOOK, GOAL_WORKER = 150, 100, 250
PAGES = (
    "/",
    "/sites",
    "/sites?page=40",
    "/sites?state=failing",
    "/sites?q=number+77",
    "/sites?group=clients-3",
    "/sites/7",
)
_WORKER_SECONDS = 45
_DUE_AT_ONCE = 20


def fill(installation: Installation, count: int, nights: int) -> None:
    """Make sites in ten groups, and a backup of each night of each."""
    stored = installation.catalogue.profiles.create(Profile(0, "The first"))
    now = datetime.now(UTC)
    with _writer(installation).begin() as connection:
        _make_sites(connection, installation, stored.id, count, now)
        for night in range(nights):
            _make_backups(connection, now - timedelta(days=nights - 1 - night, hours=9), is_last=night == nights - 1)
        connection.execute(text("ANALYZE"))


def _make_sites(connection: Connection, installation: Installation, first: int, count: int, now: datetime) -> None:
    row = connection.execute(select(profiles).where(profiles.c.id == first)).one()
    same = {"configuration": row.configuration, "filters": row.filters, "quickicon": True}
    made = [{"description": f"The site of customer number {number}", **same} for number in range(1, count)]
    connection.execute(insert(profiles), made)
    numbers = connection.execute(select(profiles.c.id).where(profiles.c.id >= first).order_by(profiles.c.id)).scalars()
    connection.execute(
        insert(groups),
        [{"name": f"clients-{n}", "per_host": 2, "priority": 0, "notes": "", "created": now} for n in range(1, 11)],
    )
    sealed = installation.catalogue.vault.encrypt('{"secret": "a word", "endpoint": {}}')
    rows = [
        {
            "name": f"The site of customer number {number}", "kind": "remote", "profile_id": number,
            "group_id": number % 10 + 1, "address": f"https://{number}.example", "host": f"203.0.113.{number % 200}",
            "tags": ["joomla"] if number % 3 else ["wordpress", "shop"], "notes": "", "connection": sealed,
            "found": {"product": "Joomla"}, "paused": number % 100 == 1, "failures": 0, "problem": "",
            "heard": now - timedelta(hours=9 if number % 50 else 99), "created": now - timedelta(days=90),
        }
        for number in numbers
    ]  # fmt: skip
    connection.execute(insert(sites), rows)
    made = [
        {
            "profile_id": one["profile_id"], "what": "backup", "at": "17 3 * * *", "time_zone": "Europe/Berlin",
            "spread": 3600, "catch_up": True, "paused": False, "options": {}, "created": now - timedelta(days=90),
            "handled": now - timedelta(days=1),
        }
        for one in rows
    ]  # fmt: skip
    connection.execute(insert(schedules), made)


def _make_backups(connection: Connection, begun: datetime, *, is_last: bool) -> None:
    """Make a backup of every site; in the last night some fail, some are missing."""
    query = select(
        literal("Nightly"), literal(""), literal(begun, backups.c.backupstart.type),
        literal(begun + timedelta(minutes=5), backups.c.backupend.type),
        case((sites.c.profile_id % (50 if is_last else 1_000_000) < 2, "fail"), else_="complete"),
        literal("backend"), literal("full"), sites.c.profile_id, literal(b"site.jpa"), literal(b"/a/site.jpa"),
        literal(1), literal("cron"), literal(True), literal(1_000_000) + sites.c.id, literal(False), literal(False),
        literal("The disk of the site is full." if is_last else ""), literal(0), literal({}, backups.c.proof.type),
        literal(""),
    ).where(sites.c.profile_id % 500 != 0)  # fmt: skip
    if is_last:
        query = query.where(sites.c.profile_id % 50 != 2)
    names = (
        "description", "comment", "backupstart", "backupend", "status", "origin", "type", "profile_id", "archivename",
        "absolute_path", "multipart", "tag", "filesexist", "total_size", "frozen", "instep", "error", "warning_count",
        "proof", "machine",
    )  # fmt: skip
    connection.execute(insert(backups).from_select(names, query))


def handle(installation: Installation) -> None:
    """Let every schedule be as if its last due moment was handled."""
    now = datetime.now(UTC)
    handled = [
        {"number": one.id, "moment": latest_due(timing_of(one), one.handled - timedelta(days=2), now)}
        for one in installation.catalogue.schedules.times()
    ]
    query = update(schedules).where(schedules.c.id == bindparam("number")).values(handled=bindparam("moment"))
    with _writer(installation).begin() as connection:
        connection.execute(query, handled)


def _writer(installation: Installation) -> Engine:
    return installation.catalogue.backups._engine.execution_options(writes=True)  # noqa: SLF001 - by SQL, not one by one


def timed(action: Callable[[], Any], times: int = 3) -> str:
    """Return the milliseconds of an action: the first time, and the median of the others; and those of a processor."""
    found = []
    for _ in range(times + 1):
        begun, busy = time.perf_counter(), time.process_time()
        action()
        found.append(((time.perf_counter() - begun) * 1000, (time.process_time() - busy) * 1000))
    median, busy = (statistics.median(one[place] for one in found[1:]) for place in (0, 1))
    return f"{found[0][0]:6.0f} {median:6.0f} ({busy:.0f})"


def look_with_due(installation: Installation) -> str:
    """Return the milliseconds of looks that find some sites due, and those of a processor."""
    found = []
    for turn in range(5):
        numbers = [turn * _DUE_AT_ONCE + place + 1 for place in range(_DUE_AT_ONCE)]
        earlier = update(schedules).where(schedules.c.id.in_(numbers))
        with _writer(installation).begin() as connection:
            connection.execute(earlier.values(handled=datetime.now(UTC) - timedelta(days=2), next_due=None))
        begun, busy = time.perf_counter(), time.process_time()
        made = len(look_up(installation, datetime.now(UTC)))
        found.append(((time.perf_counter() - begun) * 1000, (time.process_time() - busy) * 1000))
        if made != _DUE_AT_ONCE:
            sys.exit(f"{made} runs were made, not {_DUE_AT_ONCE}.")
    # Nobody is to take backups of sites that are made up.
    with _writer(installation).begin() as connection:
        connection.execute(delete(runs))
    median, busy = (statistics.median(one[place] for one in found[1:]) for place in (0, 1))
    return f"{found[0][0]:6.0f} {median:6.0f} ({busy:.0f})"


def memory(process: int) -> int:
    """Return the most memory that a process had, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) // 1024


def processor(process: int) -> float:
    """Return the seconds of a processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """Run Backstay's server with its worker; give its address and the number of its process."""
    command = [sys.executable, "-m", "backstay", "serve", "--quiet", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            match = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline() if process.stdout else "")
            if match is None:
                sys.exit("The server did not start.")
            yield match[0], process.pid
        finally:
            process.terminate()


@contextmanager
def changing(home: Path) -> Iterator[None]:
    """Change the catalogue ten times a second."""
    until = threading.Event()

    def change() -> None:
        with open_installation(home) as installation:
            while not until.wait(0.1):
                installation.catalogue.backups.update(1, comment=str(time.time()))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        until.set()
        thread.join()


def visit(client: httpx2.Client, server: int, visits: int) -> None:
    """Print how long each page takes, and how much of a processor the server spends on it."""
    for path in PAGES:
        times, size, status, busy = [], 0, 0, 0.0
        for turn in range(visits + 1):
            if turn == 1:
                busy = processor(server)
            begun = time.perf_counter()
            answer = client.get(path)
            times.append((time.perf_counter() - begun) * 1000)
            size, status = len(answer.content), answer.status_code
        spent = (processor(server) - busy) * 1000 / visits
        later = sorted(times[1:])
        shown = path if status == 200 else f"{path} ({status})"
        p95 = later[max(0, int(len(later) * 0.95) - 1)]
        figures = f"{times[0]:6.0f} {statistics.median(later):6.0f} {p95:6.0f} ({spent:.0f})"
        print(f"  {shown:30} {figures} ms {size:8} bytes", flush=True)


def worker_memory(home: Path) -> int:
    """Return the most memory of a worker that has looked some times, in MiB."""
    command = [sys.executable, "-m", "backstay", "worker", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(_WORKER_SECONDS)
        found = memory(process.pid)
        process.terminate()
    return found


def measure(home: Path, word: str, visits: int) -> None:
    """Print everything."""
    with open_installation(home) as installation:
        now = datetime.now(UTC)
        print("                                  first median (processor)")
        print(f"  look, nothing is due            {timed(lambda: look_up(installation, now))} ms   goal {GOAL_LOOK}")
        print(f"  look, {_DUE_AT_ONCE} are due               {look_with_due(installation)} ms   goal {GOAL_LOOK}")
        print(f"  all profiles read               {timed(lambda: read_overview(installation))} ms")
        print(f"  all sites read                  {timed(lambda: read_sites(installation, now))} ms")
        installation.catalogue.observations.begin_round(now, timedelta(0))
        overview = read_sites(installation, now)
        print(f"  all sites ordered               {timed(lambda: find_sites(overview))} ms")
        print(f"  check for alarms                {timed(lambda: check(installation, now), 1)} ms")
    with serving(home) as (url, server):
        headers = {"Cookie": f"{SESSION_COOKIE}={word}", "Accept-Encoding": "gzip"}
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
            print(f"pages, while nothing changes      first median    p95 (processor)   goal {GOAL_PAGE}")
            visit(client, server, visits)
            print("pages, with ten changes a second")
            with changing(home):
                visit(client, server, visits)
        print(f"most memory of the server with its worker: {memory(server)} MiB")
    print(f"most memory of a worker: {worker_memory(home)} MiB   goal {GOAL_WORKER}")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=5000)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--visits", type=int, default=30)
    parser.add_argument("--catalogue", default="")
    options = parser.parse_args()
    if options.catalogue:
        os.environ["BACKSTAY_CATALOGUE"] = options.catalogue
    with tempfile.TemporaryDirectory() as folder, ExitStack():
        home = Path(folder) / "home"
        with open_installation(home) as installation:
            fill(installation, options.sites, options.nights)
            handle(installation)
            user = create_user(installation, "anna", Role.ADMINISTRATOR, "a long enough password")
            word = installation.catalogue.sessions.create(user.id, datetime.now(UTC), timedelta(days=1), "", "")
            number = installation.catalogue.backups.count()
        kind = "PostgreSQL" if options.catalogue else "SQLite"
        print(f"{options.sites:,} sites, {number:,} records, {kind}", flush=True)
        measure(home, word, options.visits)


if __name__ == "__main__":
    main()
