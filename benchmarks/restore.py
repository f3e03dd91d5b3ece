# ruff: noqa: INP001, T201 - a program that prints, not a module of a package
"""How long a restore of files and a MariaDB database takes, beside ``unzip`` and ``mariadb <``.

The peers write straight to their places, check nothing, and keep nothing; Backstay extracts beside the target, compares
every content with its hash, loads beside the live tables, and swaps both. All end with the data on the disk. In each
round every program runs once, one after the other; the table shows the median of the rounds.

With ``--link`` the archive lies on a server behind a line of so many bytes a second: a download followed by a restore,
beside a restore that makes files ready while the archive arrives.

    python benchmarks/restore.py [--rounds 3] [--files 20000 --rows 500000 --bytes 400000000] [--link 50000000]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

# After the path of the tests.
from support.mysql import MySQLServer, find_program, start_private_server  # noqa: E402
from support.serving import ServerProcess  # noqa: E402
from support.slow_link import slow_link  # noqa: E402

MAKE_SITE = ROOT / "tests" / "fixtures" / "make_site.py"
BACKSTAY = [sys.executable, "-m", "backstay"]


@dataclass
class Row:
    """One row of the table: what was restored how, and the seconds of each round."""

    name: str
    run: Callable[[], None]
    seconds: list[float] = field(default_factory=list)


class Bench:
    """A site, its archives of both kinds, and an empty place to restore to."""

    def __init__(self, base: Path, server: MySQLServer, arguments: argparse.Namespace) -> None:
        self._base = base
        self._server = server
        self._site, self._target = base / "site", base / "target"
        self._environment = {**os.environ, "BACKSTAY_HOME": str(base / "home")}
        self._url = ""
        self._client = find_program("mariadb", "mysql") or "mariadb"
        self._make(arguments)

    def _make(self, arguments: argparse.Namespace) -> None:
        counts = ["--files", str(arguments.files), "--rows", str(arguments.rows), "--bytes", str(arguments.bytes)]
        where = ["--root", str(self._site), "--db", "benchmark", "--socket", self._server.socket]
        subprocess.run([sys.executable, MAKE_SITE, *where, *counts], check=True, stdout=subprocess.DEVNULL)
        url = self._server.url("benchmark") + "&prefix=tst_"
        command = [*BACKSTAY, "backup", str(self._site), "--database", url, "--output", str(self._base / "archives")]
        subprocess.run(command, check=True, env=self._environment, capture_output=True)
        (self.archive,) = (self._base / "archives").iterdir()
        self.zip, self.sql = self._base / "site.zip", self._base / "site.sql"
        subprocess.run(["zip", "-qry", str(self.zip), "."], cwd=self._site, check=True)
        dump = find_program("mariadb-dump", "mysqldump") or "mariadb-dump"
        with self.sql.open("wb") as file:
            options = ["--single-transaction", "--routines", "--triggers", "--skip-lock-tables", "benchmark"]
            subprocess.run([dump, *self._server.client_arguments(), *options], stdout=file, check=True)

    def join(self, url: str) -> None:
        """Reach the server that has the archive at an address."""
        command = [*BACKSTAY, "secret", "show"]
        told = subprocess.run(command, check=True, env=self._environment, capture_output=True, text=True)
        self._environment |= {"BACKSTAY_SECRET": told.stdout.strip()}
        self._url = url

    def download_and_restore(self) -> None:
        """Download the archive, and restore it then."""
        folder = self._base / "downloaded"
        command = [*BACKSTAY, "remote", "download", "1", "--url", self._url, "--to", str(folder), "--connections", "1"]
        subprocess.run(command, check=True, env=self._environment, capture_output=True)
        self.backstay(source=str(folder / self.archive.name))
        shutil.rmtree(folder)

    def straight(self) -> None:
        """Restore from the server."""
        self.backstay(source=self._url)

    def clear(self) -> None:
        """Empty the places to restore to; what the disk still owes is written before the clock starts."""
        shutil.rmtree(self._target, ignore_errors=True)
        self._server.create("restored")
        os.sync()

    def unzip(self) -> None:
        """Extract the ZIP archive."""
        subprocess.run(["unzip", "-q", str(self.zip), "-d", str(self._target)], check=True)
        os.sync()

    def pipe(self) -> None:
        """Load the plain dump."""
        with self.sql.open("rb") as file:
            command = [self._client, *self._server.client_arguments(), "restored"]
            subprocess.run(command, stdin=file, check=True)
        os.sync()

    def peers(self) -> None:
        """Do both, one after the other."""
        self.unzip()
        self.pipe()

    def backstay(self, *, files: bool = True, database: bool = True, source: str = "") -> None:
        """Restore with Backstay."""
        command = [*BACKSTAY, "restore", source or str(self.archive), "--to", str(self._target), "--json"]
        command += [] if files else ["--no-files"]
        command += ["--database", self._server.url("restored") + "&prefix=tst_"] if database else []
        subprocess.run(command, check=True, env=self._environment, capture_output=True)
        os.sync()


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--bytes", type=int, default=400_000_000)
    parser.add_argument("--link", type=float, default=0, metavar="BYTES", help="bytes a second from a server")
    arguments = parser.parse_args()
    missing = [name for name in ("unzip", "zip") if shutil.which(name) is None]
    if missing or find_program("mariadb-dump", "mysqldump") is None:
        print(f"skipped: it needs {', '.join([*missing, 'mariadb-dump'])} to compare with")
        return
    with tempfile.TemporaryDirectory(prefix="backstay-bench-") as folder:
        base = Path(folder)
        (base / "data").mkdir()
        server = start_private_server(base / "data", arguments=["--max-allowed-packet=64M"])
        if server is None:
            print("skipped: MariaDB is not installed")
            return
        try:
            server.create("benchmark")
            bench = Bench(base, server, arguments)
            if arguments.link:
                with ServerProcess(base / "home") as there, slow_link(there.url, arguments.link) as link:
                    bench.join(link.url)
                    measure(bench, arguments.rounds, over_the_link(bench))
            else:
                measure(bench, arguments.rounds, on_this_machine(bench))
        finally:
            server.close()
            shutil.rmtree(Path(server.socket).parent, ignore_errors=True)


def on_this_machine(bench: Bench) -> list[tuple[Row, Row]]:
    """Return the pairs of the peers and Backstay."""
    return [
        (Row("unzip", bench.unzip), Row("backstay, files", lambda: bench.backstay(database=False))),
        (Row("mariadb <", bench.pipe), Row("backstay, database", lambda: bench.backstay(files=False))),
        (Row("unzip, then mariadb <", bench.peers), Row("backstay, both", bench.backstay)),
    ]


def over_the_link(bench: Bench) -> list[tuple[Row, Row]]:
    """Return the pair of the two ways to restore from a server."""
    return [(Row("download, then restore", bench.download_and_restore), Row("from the server", bench.straight))]


def measure(bench: Bench, rounds: int, pairs: list[tuple[Row, Row]]) -> None:
    """Run every row in each round, and print medians and ratios."""
    for _ in range(rounds):
        for pair in pairs:
            for row in pair:
                bench.clear()
                started = time.perf_counter()
                row.run()
                row.seconds.append(time.perf_counter() - started)
    print(f"{'':24}{'seconds':>9}{'ratio':>8}")
    for peer, ours in pairs:
        ratio = statistics.median(a / b for a, b in zip(ours.seconds, peer.seconds, strict=True))
        print(f"{peer.name:24}{statistics.median(peer.seconds):9.2f}{1:8.2f}")
        print(f"{ours.name:24}{statistics.median(ours.seconds):9.2f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
