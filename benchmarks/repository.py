# ruff: noqa: INP001, T201 - a program that prints, in a folder of programs
"""Measures repositories against restic and borg on the same site, in one run, and prints the table of the docs.

    python benchmarks/repository.py [--files 20000] [--megabytes 600] [--rows 1000000] [--days 30] [--folder FOLDER]

The site has files of text, of which a part is as good as random, and a table of a database. Backstay dumps the table
itself (from a SQLite file beside the site); restic and borg find a dump in the site's folder, which costs them nothing
to make. All three encrypt, and pass over files whose times have not changed. Each day one file in a hundred changes and
one row in a thousand. Seconds are those of whole commands, from their start to their end, and those of the processor,
which other programs on the machine change less; sizes are those of all files of a repository.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from backstay.cli.output import size as shown_size

WORDS = [f"word{number}" for number in range(4000)]
PASSPHRASE = "a passphrase of the benchmark"  # noqa: S105 - of folders that are thrown away
DUMP = "dump/site.sql"
LONG_AGO = 1_700_000_000
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


class Site:
    """A folder and a database that change from day to day."""

    def __init__(self, folder: Path, files: int, megabytes: int, rows: int) -> None:
        self.root = folder / "site"
        self.dumped = folder / "dumped"
        self.database = folder / "site.db"
        self.chance = random.Random(7)  # noqa: S311 - the same site every time
        self.rows = [self._row(number) for number in range(rows)]
        mean = megabytes * (1 << 20) / files
        self.paths = [self.root / f"folder-{number % 300}" / f"file-{number}.txt" for number in range(files)]
        for path in self.paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            size = int(self.chance.lognormvariate(0, 1.2) * mean / 2.05)
            path.write_bytes(self._content(size))
            # A file of this very moment would be read again.
            os.utime(path, (LONG_AGO, LONG_AGO))
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER)")
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", self.rows)
        self._write_dump()
        time.sleep(2.5)

    def _content(self, size: int) -> bytes:
        if self.chance.random() < 0.3:
            return self.chance.randbytes(size)
        text = " ".join(self.chance.choices(WORDS, k=size // 9 + 1)).encode()
        return (text * 2)[:size]

    def _row(self, number: int) -> tuple[int, str, int]:
        return number, self.chance.choice(WORDS), self.chance.randrange(1 << 40)

    def _write_dump(self) -> None:
        path = self.dumped / DUMP
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"INSERT INTO `t` VALUES {row};\n" for row in self.rows))  # noqa: S608 - content

    def change(self) -> None:
        """Let a day pass."""
        for path in self.chance.sample(self.paths, max(len(self.paths) // 100, 1)):
            path.write_bytes(self._content(path.stat().st_size))
        # Rows are changed where people work, and new ones come at the end.
        count = len(self.rows) // 1000
        start = self.chance.randrange(max(len(self.rows) - count, 1))
        changed = [self._row(number) for number in range(start, start + count // 2)]
        changed += [self._row(len(self.rows) + number) for number in range(count - count // 2)]
        self.rows[start : start + count // 2] = changed[: count // 2]
        self.rows += changed[count // 2 :]
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", changed)
        self._write_dump()
        # As at night: nothing was written in the last seconds.
        time.sleep(2.5)


class Tool:
    """A program with a repository in a folder."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.environment = {**os.environ, **environment}
        self.processor = 0.0

    def run(self, *command: str, stdin: str = "", cwd: Path | None = None) -> tuple[float, bytes]:
        """Run a command; give its seconds and what it wrote."""
        begun, used = time.perf_counter(), processor()
        done = subprocess.run(
            command, env=self.environment, cwd=cwd, input=stdin.encode(), capture_output=True, check=False
        )
        seconds = time.perf_counter() - begun
        wait_for_all()
        self.processor += processor() - used
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr.decode()}")
        return seconds, done.stdout

    def stored(self) -> int:
        """Count the bytes of the repository."""
        return sum(
            path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and "cache" not in path.parts
        )


class Backstay(Tool):
    """Backstay, which takes the site with its database."""

    def __init__(self, folder: Path, site: Site) -> None:
        super().__init__("backstay", folder, {"BACKSTAY_HOME": str(folder / "home")})
        self.site = site
        self.program = [sys.executable, "-m", "backstay"]
        (self.folder / "place").mkdir()
        self.run(*self.program, "storage", "add", "place", f"folder://{self.folder}/place")
        self.run(*self.program, "repository", "create", "r", "--at", "place", "--encrypt", stdin=f"{PASSPHRASE}\n")

    def backup(self) -> float:
        """Back up the site and its database."""
        url = f"sqlite:///{self.site.database}"
        return self.run(
            *self.program,
            "backup",
            str(self.site.root),
            "--repository",
            "r",
            "--database",
            url,
            "--compression",
            "fast",
        )[0]

    def backups(self) -> list[str]:
        """List the backups, oldest first."""
        before = self.processor
        shown = json.loads(self.run(*self.program, "repository", "show", "r", "--json")[1])
        self.processor = before
        return [backup["id"] for backup in shown["backups"]]

    def restore(self, target: Path) -> float:
        """Bring back all files of the newest backup."""
        name = f"repository:r:{self.backups()[-1]}"
        return self.run(*self.program, "archive", "extract", name, "--to", str(target))[0]

    def one_file(self, path: str) -> float:
        """Bring back one file."""
        name = f"repository:r:{self.backups()[-1]}"
        return self.run(*self.program, "archive", "cat", name, path)[0]

    def prune(self, keep: int) -> float:
        """Delete all backups but the newest, and give back the space."""
        first = self.run(*self.program, "repository", "remove", "r", *self.backups()[:-keep])[0]
        return first + self.run(*self.program, "repository", "prune", "r")[0]

    def check(self) -> float:
        """Read and check everything."""
        return self.run(*self.program, "repository", "check", "r", "--read-data", "100%")[0]

    def hand_out(self, folder: Path) -> tuple[float, int]:
        """Write the newest backup as a JPA; give the seconds and its size."""
        command = ("repository", "export", "r", self.backups()[-1], "--to", str(folder), "--json")
        seconds, out = self.run(*self.program, *command)
        return seconds, json.loads(out)["size"]


class Restic(Tool):
    """restic, with compression."""

    def __init__(self, folder: Path, site: Site) -> None:
        cache = str(folder / "restic-cache")
        super().__init__("restic", folder, {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_CACHE_DIR": cache})
        self.site = site
        self.program = ["restic", "-q", "-r", str(self.folder)]
        self.run(*self.program, "init", "--repository-version", "2")

    def backup(self) -> float:
        """Back up the site."""
        return self.run(*self.program, "backup", str(self.site.root), str(self.site.dumped))[0]

    def restore(self, target: Path) -> float:
        """Bring back all files of the newest backup."""
        return self.run(*self.program, "restore", "latest", "--target", str(target))[0]

    def one_file(self, path: str) -> float:
        """Bring back one file."""
        return self.run(*self.program, "dump", "latest", f"{self.site.root}/{path}")[0]

    def prune(self, keep: int) -> float:
        """Delete all backups but the newest, and give back the space."""
        return self.run(*self.program, "forget", "--keep-last", str(keep), "--prune")[0]

    def check(self) -> float:
        """Read and check everything."""
        return self.run(*self.program, "check", "--read-data")[0]


class Borg(Tool):
    """borg, with its usual compression."""

    def __init__(self, folder: Path, site: Site) -> None:
        given = {"BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(folder / "borg-base")}
        super().__init__("borg", folder, given)
        self.site = site
        self.count = 0
        self.run("borg", "init", "-e", "repokey-blake2", str(self.folder))

    @property
    def newest(self) -> str:
        """Name of the newest archive."""
        return f"{self.folder}::{self.count:03}"

    def backup(self) -> float:
        """Back up the site."""
        self.count += 1
        return self.run("borg", "create", self.newest, str(self.site.root), str(self.site.dumped))[0]

    def restore(self, target: Path) -> float:
        """Bring back all files of the newest backup."""
        target.mkdir()
        return self.run("borg", "extract", self.newest, cwd=target)[0]

    def one_file(self, path: str) -> float:
        """Bring back one file."""
        return self.run("borg", "extract", "--stdout", self.newest, f"{self.site.root}/{path}".lstrip("/"))[0]

    def prune(self, keep: int) -> float:
        """Delete all backups but the newest, and give back the space."""
        first = self.run("borg", "prune", "--keep-last", str(keep), str(self.folder))[0]
        return first + self.run("borg", "compact", str(self.folder))[0]

    def check(self) -> float:
        """Read and check everything."""
        return self.run("borg", "check", "--verify-data", str(self.folder))[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    adopt()
    with tempfile.TemporaryDirectory(prefix="backstay-bench-", dir=given.folder) as name:
        folder = Path(name)
        site = Site(folder, given.files, given.megabytes, given.rows)
        tools: list[Backstay | Restic | Borg] = [Backstay(folder, site)]
        tools += [Restic(folder, site)] if shutil.which("restic") else []
        tools += [Borg(folder, site)] if shutil.which("borg") else []
        measure(folder, site, tools, given.days)


def adopt() -> None:
    """Become the parent of processes whose own parent ends, so that what they take is counted, too (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def wait_for_all() -> None:
    """Wait for processes that a command has left: that of a backup ends a moment after the command."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def processor() -> float:
    """Give the seconds of the processor that all programs have taken that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, site: Site, tools: list[Backstay | Restic | Borg], days: int) -> None:
    """Go through the days, and print a row for each step."""
    print(f"|  | {' | '.join(tool.name for tool in tools)} |")
    print(f"|---|{'---|' * len(tools)}")

    def row(title: str, seconds: Callable[[Backstay | Restic | Borg], float], *, sizes: bool = True) -> None:
        cells = []
        for tool in tools:
            before = tool.stored()
            tool.processor = 0.0
            taken = seconds(tool)
            grown = f", {shown_size(tool.stored() - before)}" if sizes else ""
            cells.append(f"{taken:.1f} s ({tool.processor:.1f} s){grown}")
        print(f"| {title} | {' | '.join(cells)} |", flush=True)

    row("first", lambda tool: tool.backup())
    row("again, nothing changed", lambda tool: tool.backup())
    site.change()
    row("1 % of files and 0.1 % of rows changed", lambda tool: tool.backup())
    for _ in range(days - 1):
        site.change()
        for tool in tools:
            tool.backup()
    print(f"| size after {days} such days | {' | '.join(shown_size(tool.stored()) for tool in tools)} |")
    row("everything brought back", lambda tool: tool.restore(folder / f"back-{tool.name}"), sizes=False)
    one = str(site.paths[0].relative_to(site.root))
    row("one file brought back", lambda tool: tool.one_file(one), sizes=False)
    row("everything read and checked", lambda tool: tool.check(), sizes=False)
    row("all but one backup deleted", lambda tool: tool.prune(1))
    backstay = tools[0]
    if isinstance(backstay, Backstay):
        seconds, size = backstay.hand_out(folder / "out")
        print(f"\nHanded out as a JPA of {shown_size(size)} in {seconds:.2f} s: {size / seconds / 1e6:.0f} MB/s with "
              "the command's start.")  # fmt: skip


if __name__ == "__main__":
    main()
