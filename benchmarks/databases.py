# ruff: noqa: INP001, T201 - a folder of programs, which print
"""Dumps and loads beside the servers' own tools, on a database of a million rows.

Usage: python benchmarks/databases.py [--rows 1000000] [--runs 5] [--only mysql|postgresql]

Each run is a process of its own; the table gives the median of the wall time and the most memory the client took. The
servers are private ones, started as the tests start them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from backstay.databases import DatabaseAddress  # noqa: E402
from support import mysql, postgresql  # noqa: E402 - the tests' servers, found by the line above
from support.sinks import FolderSink, dump_to, load_from  # noqa: E402

CHILD = ["python", str(Path(__file__).resolve()), "--child"]
Row = tuple[str, float, float]

POSTGRESQL_SITE = """
CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE, block boolean, at timestamp,
  params jsonb);
CREATE TABLE content (id serial PRIMARY KEY, who integer REFERENCES users (id), title text, intro text, body text,
  hits bigint, created timestamptz);
CREATE INDEX ON content (who);
CREATE TABLE numbers (id bigserial PRIMARY KEY, i integer, b bigint, d double precision, n numeric(20, 6), raw bytea);
INSERT INTO users SELECT n, 'user ' || n, 'user' || n || '@example.com', n % 2 = 0, now(), '{"editor": "x"}'
  FROM generate_series(1, {rows} / 5) n;
INSERT INTO content SELECT n, 1 + n % ({rows} / 5), 'title ' || n, repeat(md5(n::text) || ' it''s text' || chr(10), 5),
  repeat(md5(n::text), 8), n, now() FROM generate_series(1, {rows} * 2 / 5) n;
INSERT INTO numbers SELECT n, n, n::bigint * 1000003, random() * 1e15, n / 7.0, decode(repeat(md5(n::text), 3), 'hex')
  FROM generate_series(1, {rows} * 2 / 5) n;
"""


def measured(command: list[str], *, stdin: Path | None = None, stdout: Path | None = None) -> tuple[float, float]:
    """Run a command; return its wall time in seconds and its largest size in MiB."""
    source = stdin.open("rb") if stdin else None
    target = stdout.open("wb") if stdout else None
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=source or subprocess.DEVNULL, stdout=target)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    for file in (source, target):
        if file is not None:
            file.close()
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def median(runs: int, name: str, run: Callable[[], tuple[float, float]]) -> Row:
    """Return the median time of several runs and the most memory of any."""
    results = [run() for _ in range(runs)]
    return name, statistics.median(seconds for seconds, _ in results), max(memory for _, memory in results)


def child(action: str, url: str, folder: str) -> None:
    """Dump a database into a folder, or load it from there: what the parent measures."""
    address, path = DatabaseAddress.parse(url), Path(folder)
    if action == "dump":
        sink, summary = dump_to(path, address)
        (path / "summary").write_text(json.dumps([sink.names, summary.metadata]))
    else:
        sink = FolderSink(path)
        sink.names, metadata = json.loads((path / "summary").read_text())
        load_from(sink, address, metadata=metadata)


def backstay(action: str, url: str, folder: Path) -> tuple[float, float]:
    """Measure a dump or a load of Backstay's."""
    if action == "dump":
        shutil.rmtree(folder, ignore_errors=True)
    return measured([sys.executable, *CHILD[1:], action, url, str(folder)])


def bench_mysql(folder: Path, rows: int, runs: int) -> list[Row]:
    """Measure MariaDB: ``mariadb-dump`` and ``mariadb`` beside Backstay."""
    server = mysql.given_server() or mysql.start_private_server(
        Path(tempfile.mkdtemp(dir=folder)), arguments=["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M"]
    )
    client, dumper = mysql.find_program("mariadb", "mysql"), mysql.find_program("mariadb-dump", "mysqldump")
    if server is None or client is None or dumper is None:
        print("MariaDB: left out, for its server or its client programs are not installed.")
        return []
    try:
        arguments = server.client_arguments()
        site = [
            sys.executable,
            str(ROOT / "tests/fixtures/make_site.py"),
            "--root",
            str(folder / "none"),
            "--skip-files",
        ]
        measured([*site, "--db", "bench", "--rows", str(rows), "--sql-out", str(folder / "site.sql")])
        measured([client, *arguments], stdin=folder / "site.sql")
        (folder / "site.sql").unlink()
        native, own = folder / "native.sql", folder / "own"
        url = server.url("bench") + "&prefix=tst_"
        dumping = [dumper, *arguments, "--single-transaction", "--hex-blob", "--routines", "bench"]

        def fresh() -> None:
            server.create("copy")

        def load_native() -> tuple[float, float]:
            fresh()
            return measured([client, *arguments, "copy"], stdin=native)

        def load_own() -> tuple[float, float]:
            fresh()
            return backstay("load", server.url("copy"), own)

        return [
            median(runs, "mariadb-dump", lambda: measured(dumping, stdout=native)),
            median(runs, "backstay dump (MariaDB)", lambda: backstay("dump", url, own)),
            median(runs, "mariadb <", load_native),
            median(runs, "backstay load (MariaDB)", load_own),
        ]
    finally:
        server.close()


def bench_postgresql(folder: Path, rows: int, runs: int) -> list[Row]:
    """Measure PostgreSQL: ``pg_dump`` and ``psql`` beside Backstay."""
    server = postgresql.given_server() or postgresql.start_private_server()
    if server is None:
        print("PostgreSQL: left out, for no server is installed.")
        return []
    try:
        os.environ["PATH"] = (
            f"{server.binaries}{os.pathsep}{os.environ['PATH']}" if server.binaries else os.environ["PATH"]
        )
        server.create("bench")
        server.execute(POSTGRESQL_SITE.replace("{rows}", str(rows)), "bench")
        where = server.address("bench")
        arguments = ["-h", where.socket or where.host, "-U", where.user]
        native, own = folder / "native-pg.sql", folder / "own-pg"

        def load_native() -> tuple[float, float]:
            server.create("copy")
            return measured(
                [server.program("psql"), "-q", *arguments, "-f", str(native), "copy"], stdout=Path(os.devnull)
            )

        def load_own() -> tuple[float, float]:
            server.create("copy")
            return backstay("load", server.url("copy"), own)

        return [
            median(runs, "pg_dump", lambda: measured([server.program("pg_dump"), *arguments, "bench"], stdout=native)),
            median(runs, "backstay dump (PostgreSQL)", lambda: backstay("dump", server.url("bench"), own)),
            median(runs, "psql <", load_native),
            median(runs, "backstay load (PostgreSQL)", load_own),
        ]
    finally:
        server.close()


def show(rows: list[Row]) -> None:
    """Print a table; each of Backstay's lines is set against the line above it."""
    print("| what | seconds (median) | of the native tool | client memory |")
    print("|---|---:|---:|---:|")
    before = 0.0
    for name, seconds, memory in rows:
        ratio = f"{seconds / before:.2f}×" if name.startswith("backstay") else ""
        print(f"| {name} | {seconds:.2f} | {ratio} | {memory:.0f} MiB |")
        before = seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["mysql", "postgresql"])
    parser.add_argument("--child", nargs=3, metavar=("ACTION", "URL", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    with tempfile.TemporaryDirectory(prefix="backstay-bench-") as name:
        folder = Path(name)
        if arguments.only != "postgresql":
            show(bench_mysql(folder, arguments.rows, arguments.runs))
        if arguments.only != "mysql":
            show(bench_postgresql(folder, arguments.rows, arguments.runs))


if __name__ == "__main__":
    main()
