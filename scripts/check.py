"""Run every check of the project, one after the other, and end with one summary: ``make test``.

Each check runs to its end whatever the others said, so that one run shows everything that is wrong. The summary
names the groups of tests that were skipped, and why: a server that is missing is not a test that passed.
Options this program does not know are passed on to pytest.
"""

from __future__ import annotations

import argparse
import os
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
        report: where pytest writes its JUnit file.
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
    """Give the command that runs the tests, a file at a time on as many processes as there are cores."""
    workers = os.environ.get("BACKSTAY_TEST_WORKERS") or str(min(os.cpu_count() or 1, MOST_WORKERS))
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile", f"--junitxml={report}"]
    return [*command, *(["--slow"] if slow else []), *options]


def run(check: Check) -> Outcome:
    """Run one check with its output shown as it comes."""
    print(f"\n== {check.name}", flush=True)
    started = time.monotonic()
    code = subprocess.run(check.command, cwd=ROOT, check=False).returncode
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
    with tempfile.TemporaryDirectory(prefix="backstay-check-") as folder:
        report = Path(folder) / "tests.xml"
        wanted = checks(slow=options.slow, report=report, pytest_options=pytest_options)
        if unknown := set(options.only or ()) - {check.name for check in wanted}:
            parser.error(f"there is no check named {', '.join(sorted(unknown))}")
        outcomes = [run(check) for check in wanted if not options.only or check.name in options.only]
        print_summary(outcomes, skipped_groups(report))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
