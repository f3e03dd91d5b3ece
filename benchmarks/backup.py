# ruff: noqa: INP001, T201, S608 - a program that prints, not a module of a package; its SQL has no text from outside
"""How long a backup of files and a MariaDB database takes, beside what people use, and beside the floor.

In each round every program runs once, one after the other; the table shows the median of the rounds, and the median of
the ratios to the first reference within a round, which does not feel what else the machine does. While one more backup
runs, a server over the same home is asked for lists and steps.

    python benchmarks/backup.py [--rounds 3] [--site FOLDER --sql FILE] [--files 20000 --rows 1000000 --bytes 570000000]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from backstay.jobs.backup import start_backup  # noqa: E402 - after the path of the tests
from backstay.jobs.installation import api_secret, open_installation  # noqa: E402 - after the path of the tests
from backstay.jobs.profiles import profile_of_site  # noqa: E402 - after the path of the tests
from support.mysql import MySQLServer, start_private_server  # noqa: E402 - likewise

MAKE_SITE = ROOT / "tests" / "fixtures" / "make_site.py"
DATABASE = "benchmark"
RECORDS = 100_000
_SAMPLE_SECONDS = 0.05


@dataclass
class Program:
    """One row of the table: its name, its command in a shell, and what was measured."""

    name: str
    command: Callable[[Path], str]
    seconds: list[float] = field(default_factory=list)
    verification: list[float] = field(default_factory=list)
    size: int = 0
    memory: int = 0


@contextmanager
def memory_watched(seen: list[int]) -> Iterator[None]:
    """Note the largest PSS, in KiB, of all processes of Backstay meanwhile."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_SECONDS):
            seen.append(sum(map(pss, own_processes())))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def own_processes() -> Iterator[str]:
    """Yield the numbers of the processes of Backstay that this program started, and those that they started."""
    parents, commands = {}, {}
    for number in (path.name for path in Path("/proc").iterdir()):
        if number.isdigit():
            try:
                parents[number] = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1]
                commands[number] = Path(f"/proc/{number}/cmdline").read_bytes()
            except OSError:
                continue
    for number, command in commands.items():
        above = parents.get(number)
        while above in parents and above != str(os.getpid()):
            above = parents[above]
        if above == str(os.getpid()) and b"python" in command.partition(b"\0")[0]:
            yield number


def pss(number: str) -> int:
    """Return the proportional memory of a process in KiB; 0 where it is gone."""
    try:
        match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{number}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def programs(site: Path, server: MySQLServer, home: Path) -> list[Program]:
    """Return the rows of the table."""
    dump = f"mariadb-dump --no-defaults --socket={server.socket} -u root --single-transaction --quick {DATABASE}"
    where = shlex.quote(str(site))
    url = shlex.quote(server.url(DATABASE) + "&prefix=tst_" if "?" in server.url(DATABASE) else server.url(DATABASE))

    def backstay(compression: str) -> Callable[[Path], str]:
        return lambda out: (
            f"{sys.executable} -m backstay backup {where} --database {url} --compression {compression} "
            f"--home {home} --output {out} --json"
        )

    return [
        Program("`mariadb-dump`, then `tar \\| zstd -T0`", lambda out: (
            f"{dump} > {out}/dump.sql && tar -C {where} -cf - . -C {out} dump.sql | zstd -q -T0 > {out}/site.tar.zst"
            f" && rm {out}/dump.sql")),
        Program("Backstay, fast", backstay("fast")),
        Program("Backstay, balanced", backstay("balanced")),
        Program("`mariadb-dump \\| gzip`, then `tar czf`", lambda out: (
            f"{dump} | gzip > {out}/dump.sql.gz && tar -C {where} -czf {out}/site.tar.gz .")),
        Program("floor: everything read, nothing kept", lambda _out: (
            f"{dump} > /dev/null & tar -C {where} -cf - . | cat > /dev/null; wait")),
    ]  # fmt: skip


def run_once(program: Program, folder: Path) -> None:
    """Run a program into an empty folder and note what it took."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    seen: list[int] = [0]
    os.sync()
    begun = time.perf_counter()
    with memory_watched(seen):
        done = subprocess.run(program.command(out), shell=True, check=True, stdout=subprocess.PIPE)  # noqa: S602 - pipes
    program.seconds.append(time.perf_counter() - begun)
    program.size = sum(path.stat().st_size for path in out.iterdir())
    program.memory = max(program.memory, *seen)
    if done.stdout:
        reported = json.loads(done.stdout)
        program.verification.append(reported["proof"].get("seconds", 0.0))


def fill_catalogue(home: Path) -> None:
    """Give the home a hundred thousand records of backups long past."""
    with open_installation(home):
        pass
    values = {
        "description": "'Backup'", "comment": "''", "backupstart": "'2020-01-01 00:00:00.000000'",
        "status": "'complete'",
        "origin": "'json'", "type": "'full'", "profile_id": "1", "archivename": "CAST('x.jpa' AS BLOB)",
        "absolute_path": "CAST('/nowhere/' || value || '.jpa' AS BLOB)", "multipart": "0", "filesexist": "0",
        "total_size": "1", "frozen": "0", "instep": "0", "error": "''", "warning_count": "0", "proof": "'{}'",
    }  # fmt: skip
    with closing(sqlite3.connect(home / "catalogue.sqlite")) as connection:
        connection.execute(
            f"WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {RECORDS}) "
            f"INSERT INTO backups ({', '.join(values)}) SELECT {', '.join(values.values())} FROM n"
        )
        connection.commit()


def answers_while_a_backup_runs(site: Path, url: str, home: Path) -> dict[str, list[float]]:
    """Return how long a server took for lists and for steps with news, in seconds, while a backup runs."""
    with open_installation(home) as installation:
        secret = api_secret(installation)
    server = [sys.executable, "-m", "backstay", "serve", "--quiet", "--port", "0", "--home", str(home)]
    took: dict[str, list[float]] = {"listBackups": [], "stepBackup": []}
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            port = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            base = f"http://127.0.0.1:{port[1] if port else 0}/index.php?option=com_akeebabackup&view=Api&format=raw"
            head = {"X-Akeeba-Auth": secret}

            def ask(method: str, **values: object) -> tuple[float, Any]:
                query = "".join(f"&{key}={value}" for key, value in values.items())
                request = urllib.request.Request(f"{base}&method={method}{query}", headers=head)  # noqa: S310 - loopback
                begun = time.perf_counter()
                with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
                    content = reply.read()
                return time.perf_counter() - begun, json.loads(content)

            with open_installation(home) as installation:
                profile = profile_of_site(installation, site, url)
                reported = start_backup(installation, profile_id=profile.id).domain
            status = "run"
            while status == "run":
                seconds, reply = ask("listBackups", **{"from": 0, "limit": 50})
                took["listBackups"].append(seconds)
                newest = reply["data"][0]
                status = newest["status"]
                # News waits where the job has reported another domain than the last step did.
                if status == "run" and (domain := domain_reported(home, newest["id"])) not in {"", reported}:
                    seconds, step = ask("stepBackup", backupid=newest["backupid"])
                    took["stepBackup"].append(seconds)
                    reported = step["data"]["Domain"] or domain
        finally:
            process.terminate()
    return took


def domain_reported(home: Path, backup_id: int) -> str:
    """Return the domain that a running job last reported; empty before the first."""
    try:
        return str(json.loads((home / "jobs" / str(backup_id) / "progress.json").read_text())["domain"])
    except (FileNotFoundError, ValueError):
        return ""


def table(rows: list[Program]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| | Time | of which verification | Ratio | Size | Peak memory |"
    yield "|---|---:|---:|---:|---:|---:|"
    reference = rows[0]
    for row in rows:
        ratio = statistics.median(own / other for own, other in zip(row.seconds, reference.seconds, strict=True))
        checked = f"{statistics.median(row.verification):.1f} s" if row.verification else ""
        memory = f"{row.memory / 1024:.0f} MiB" if row.memory else ""
        size = f"{row.size / 1e6:.0f} MB" if row.size else ""
        yield f"| {row.name} | {statistics.median(row.seconds):.1f} s | {checked} | {ratio:.2f} | {size} | {memory} |"


def main() -> None:
    """Make the site, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=570_000_000)
    parser.add_argument("--site", type=Path, help="a site that is there already")
    parser.add_argument("--sql", type=Path, help="its database as SQL")
    parser.add_argument("--folder", type=Path, help="where to work", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="backstay-benchmark-") as name:
        folder = Path(name)
        server = start_private_server(folder / "mariadb", arguments=["--innodb-buffer-pool-size=1G"])
        if server is None:
            sys.exit("MariaDB is not installed: there is nothing to measure.")
        try:
            measure(given, folder, server)
        finally:
            server.close()


def measure(given: argparse.Namespace, folder: Path, server: MySQLServer) -> None:
    """Measure everything and print it."""
    site, sql = given.site or folder / "site", given.sql or folder / "site.sql"
    if given.site is None:
        size = ["--files", str(given.files), "--rows", str(given.rows), "--bytes", str(given.bytes)]
        make = [sys.executable, str(MAKE_SITE), "--root", str(site), "--db", DATABASE, "--sql-out", str(sql), *size]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    server.create(DATABASE)
    with sql.open("rb") as file:
        subprocess.run(["mariadb", *server.client_arguments(), DATABASE], stdin=file, check=True)
    rows = programs(site, server, folder / "home")
    for _round in range(given.rounds):
        for program in rows:
            run_once(program, folder)
    print("\n".join(table(rows)))
    fill_catalogue(folder / "busy")
    for method, took in answers_while_a_backup_runs(site, server.url(DATABASE), folder / "busy").items():
        ordered = sorted(took) or [0.0]
        last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        middle = statistics.median(ordered)
        print(f"{method}: {len(took)} answers, median {middle * 1000:.0f} ms, p99 {last * 1000:.0f} ms")


if __name__ == "__main__":
    main()
