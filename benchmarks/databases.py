# ruff: noqa: INP001, T201 - a folder of programs, which print
"""Dumps and loads beside the servers' own tools, on a database of a million rows.

Usage: python benchmarks/databases.py [--rows 1000000] [--runs 5] [--only mysql|postgresql]

Each run is a process of its own, Backstay's and the native tool's in turn; the table gives medians of the wall time and
of the client's processor time, and the most memory it took. The servers are private ones, started as the tests start
them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from backstay.databases import DatabaseAddress, dump, load  # noqa: E402

CHILD = ["python", str(Path(__file__).resolve()), "--child"]
Result = TypeVar("Result")
Run = tuple[float, float, float]
Row = tuple[str, float, float, float]

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


def measured(command: list[str], *, stdin: Path | None = None, stdout: Path | None = None) -> Run:
    """Run a command; return its wall time and its processor time in seconds, and its largest size in MiB."""
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
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(runs: int, *pair: tuple[str, Callable[[], Run]]) -> list[Row]:
    """Run several programs in turn; return for each the medians of its times and the most memory of any run."""
    results: dict[str, list[Run]] = {name: [] for name, _ in pair}
    for _ in range(runs):
        for name, run in pair:
            results[name].append(run())
    return [
        (
            name,
            statistics.median(run[0] for run in found),
            statistics.median(run[1] for run in found),
            max(run[2] for run in found),
        )
        for name, found in results.items()
    ]


class OneFile:
    """Takes the parts of a dump one after the other into one file, as the native tools write one.

    To make and remove hundreds of files measures the file system, which looks twice at names that were just removed.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb", buffering=0)
        self.parts: list[tuple[str, int, int]] = []

    def open(self, name: str) -> BinaryIO:
        """Begin a part."""
        return cast("BinaryIO", Part(self, name))


class Part:
    """A part while it is written."""

    def __init__(self, sink: OneFile, name: str) -> None:
        self._sink = sink
        self._name = name
        self._start = sink.file.tell()
        self.write = sink.file.write

    def close(self) -> None:
        """Note where the part ends."""
        self._sink.parts.append((self._name, self._start, self._sink.file.tell()))


def read_part(file: BinaryIO, start: int, end: int) -> BinaryIO:
    """Open a part for reading."""
    file.seek(start)
    return io.BytesIO(file.read(end - start))


def last(work: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def child(action: str, url: str, folder: str) -> None:
    """Dump a database into a folder, or load it from there: what the parent measures."""
    address, path = DatabaseAddress.parse(url), Path(folder)
    notes = path / "notes"
    if action == "dump":
        path.mkdir(exist_ok=True)
        sink = OneFile(path / "parts")
        summary = last(dump(address, sink, on_warning=lambda _: None))
        sink.file.close()
        notes.write_text(json.dumps([sink.parts, summary.metadata]))
    else:
        parts, metadata = json.loads(notes.read_text())
        with (path / "parts").open("rb") as file:
            openers = [(name, partial(read_part, file, start, end)) for name, start, end in parts]
            last(load(address, openers, metadata=metadata, on_warning=lambda _: None))


def backstay(action: str, url: str, folder: Path) -> Run:
    """Measure a dump or a load of Backstay's."""
    if action == "dump":
        shutil.rmtree(folder, ignore_errors=True)
    return measured([sys.executable, *CHILD[1:], action, url, str(folder)])


def bench_mysql(folder: Path, rows: int, runs: int) -> list[Row]:
    """Measure MariaDB: ``mariadb-dump`` and ``mariadb`` beside Backstay."""
    from support import mysql  # not with the module: the program that is measured is this one too

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

        def load_native() -> Run:
            fresh()
            return measured([client, *arguments, "copy"], stdin=native)

        def load_own() -> Run:
            fresh()
            return backstay("load", server.url("copy"), own)

        return [
            *medians(
                runs,
                ("mariadb-dump", lambda: measured(dumping, stdout=native)),
                ("backstay dump (MariaDB)", lambda: backstay("dump", url, own)),
            ),
            *medians(runs, ("mariadb <", load_native), ("backstay load (MariaDB)", load_own)),
        ]
    finally:
        server.close()


def bench_postgresql(folder: Path, rows: int, runs: int) -> list[Row]:
    """Measure PostgreSQL: ``pg_dump`` and ``psql`` beside Backstay."""
    from support import postgresql

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

        def load_native() -> Run:
            server.create("copy")
            return measured(
                [server.program("psql"), "-q", *arguments, "-f", str(native), "copy"], stdout=Path(os.devnull)
            )

        def load_own() -> Run:
            server.create("copy")
            return backstay("load", server.url("copy"), own)

        dumping = [server.program("pg_dump"), *arguments, "bench"]
        return [
            *medians(
                runs,
                ("pg_dump", lambda: measured(dumping, stdout=native)),
                ("backstay dump (PostgreSQL)", lambda: backstay("dump", server.url("bench"), own)),
            ),
            *medians(runs, ("psql <", load_native), ("backstay load (PostgreSQL)", load_own)),
        ]
    finally:
        server.close()


def show(rows: list[Row]) -> None:
    """Print a table; each of Backstay's lines is set against the line above it."""
    print("| what | seconds (median) | of the native tool | client's processor seconds | client memory |")
    print("|---|---:|---:|---:|---:|")
    before = 0.0
    for name, seconds, processor, memory in rows:
        own = name.startswith("backstay")
        # Of other programs the system counts in what this one had in memory when it started them.
        ratio, used = (f"{seconds / before:.2f}×", f"{memory:.0f} MiB") if own else ("", "")
        print(f"| {name} | {seconds:.2f} | {ratio} | {processor:.2f} | {used} |")
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
