"""Run every check of the project, one after the other, and end with one summary: ``make test``.

Each check runs to its end whatever the others said, so that one run shows everything that is wrong. The summary
names the groups of tests that were skipped, and why: a server that is missing is not a test that passed.
Options this program does not know are passed on to pytest.

The tests write to memory where there is plenty of it: they sync thousands of small files, which takes a disk minutes.
With ``--slow`` they write to the disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
MOST_WORKERS = 8  # each may start database servers of its own
SHARED_MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 6 << 30  # bytes: what lies there at a time, and the servers of the tests


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to run.

    Attributes:
        name: what the summary and ``--only`` call it.
        command: the program with its arguments.
        remedy: what to do when it fails.
    """

    name: str
    command: list[str]
    remedy: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended, and the seconds it took."""

    check: Check
    passed: bool
    seconds: float


def checks(*, slow: bool, report: Path, pytest_options: list[str]) -> list[Check]:
    """All checks in the order they run, the quick ones first.

    Args:
        slow: whether tests marked slow run too.
        report: where pytest writes its JUnit file; the folders of the tests lie beside it.
        pytest_options: passed on to pytest.
    """
    return [
        Check("linter", [str(TOOLS / "ruff"), "check", "."], "make format mends most of it"),
        Check("formatter", [str(TOOLS / "ruff"), "format", "--check", "."], "make format"),
        Check("layers", [str(TOOLS / "lint-imports")], "see docs/architecture.md for who may import whom"),
        Check("types", [str(TOOLS / "mypy")], "mypy names the lines"),
        Check("tests", pytest_command(slow=slow, report=report, options=pytest_options), "pytest names them above"),
    ]


def pytest_command(*, slow: bool, report: Path, options: list[str]) -> list[str]:
    """Give the command that runs the tests, a file at a time, on one process more than there are cores: many wait."""
    workers = os.environ.get("BACKSTAY_TEST_WORKERS") or str(min((os.cpu_count() or 1) + 1, MOST_WORKERS))
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile", f"--junitxml={report}"]
    # In the order of the tests themselves, whose longest files come first, so that no process is left alone with one.
    command.append("--no-loadscope-reorder")
    # Paths of sockets, which lie in the folders of tests, have 107 bytes at most: pytest's own names are long.
    command.append(f"--basetemp={report.parent / 't'}")
    return [*command, *(["--slow"] if slow else []), *options]


def memory_folder() -> Path | None:
    """Return the folder whose files are in memory, if programs may run there and a run of the tests fits in well."""
    try:
        flags = os.statvfs(SHARED_MEMORY).f_flag
        facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        free = min(shutil.disk_usage(SHARED_MEMORY).free, int(facts["MemAvailable"].split()[0]) << 10)
    except (OSError, KeyError):
        return None
    writable = os.access(SHARED_MEMORY, os.W_OK | os.X_OK)
    return SHARED_MEMORY if free >= ENOUGH_MEMORY and writable and not flags & os.ST_NOEXEC else None


def run(check: Check, temporary: Path) -> Outcome:
    """Run one check with its output shown as it comes.

    Args:
        check: to run.
        temporary: folder for its temporary files.
    """
    print(f"\n== {check.name}", flush=True)
    started = time.monotonic()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    code = subprocess.run(check.command, cwd=ROOT, env=environment, check=False).returncode
    return Outcome(check, code == 0, time.monotonic() - started)


def skipped_groups(report: Path) -> Counter[str]:
    """Count the skipped tests of a JUnit file by the reason they were skipped for."""
    if not report.exists():
        return Counter()
    root = ET.parse(report).getroot()
    return Counter(skip.get("message", "no reason given") for skip in root.iter("skipped"))


def print_summary(outcomes: list[Outcome], skipped: Counter[str]) -> None:
    """Print one line for each check and one for each group of skipped tests."""
    print("\n== summary")
    for outcome in outcomes:
        verdict = "ok" if outcome.passed else f"FAILED ({outcome.check.remedy})"
        print(f"  {outcome.check.name:<10} {outcome.seconds:6.1f} s  {verdict}")
    for reason, count in sorted(skipped.items()):
        print(f"  skipped: {count} {'test' if count == 1 else 'tests'}: {reason}")


def main() -> int:
    """Run what was asked for; gives 0 only if every check passed."""
    parser = argparse.ArgumentParser(
        description="Run the project's checks; other options go to pytest.", allow_abbrev=False
    )
    parser.add_argument("--slow", action="store_true", help="run the tests marked slow too")
    parser.add_argument("--only", action="append", metavar="CHECK", help="linter, formatter, layers, types or tests")
    options, pytest_options = parser.parse_known_args()
    # What lies in memory must not stay there when this program is asked to end.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    place = None if options.slow else memory_folder()
    with tempfile.TemporaryDirectory(prefix="bs-", dir=place, ignore_cleanup_errors=True) as folder:
        report = Path(folder) / "tests.xml"
        # The database server that the tests start runs under another account where they run as root.
        Path(folder).chmod(0o711)
        wanted = checks(slow=options.slow, report=report, pytest_options=pytest_options)
        if unknown := set(options.only or ()) - {check.name for check in wanted}:
            parser.error(f"there is no check named {', '.join(sorted(unknown))}")
        outcomes = [run(check, Path(folder)) for check in wanted if not options.only or check.name in options.only]
        print_summary(outcomes, skipped_groups(report))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
