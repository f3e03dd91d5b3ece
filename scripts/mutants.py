"""Break a file line by line and see whether the tests notice: ``make mutants FILE=src/backstay/jobs/throttle.py``.

Each change ("mutant") is made by mutmut in a copy of the tree, and the tests that reach the line are run. What survives
is printed with its change: it needs a test, or is equivalent to the original. Left alone are the words of messages and
of the log, what stands outside of functions, and what has a decorator.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).parent.parent
_COPIED = ["src", "tests", "scripts", "benchmarks", "docs", "pyproject.toml", "README.md", "CHANGELOG.md", "Makefile"]
_OUTCOME = re.compile(r"(backstay\S+): (\w[\w ]*)")
_ENCODING = re.compile(r'"(?:UTF-8|ASCII|LATIN-1)"', re.IGNORECASE)
# One process for all: each takes seconds to start.
_SHOW = "import sys; from mutmut.__main__ import cli; [cli(['show', n], standalone_mode=False) for n in sys.argv[1:]]"
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
# The words of messages are for people: no test holds on to them.
_NOT_MUTATED = [r"_log\.", r"raise \w+\(f?\"", r"^\s+f?\"[^\"]*\"$"]
# The test that mutmut makes fail on purpose leaves things open, which must not end the run.
_PYTEST = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q"]
_PYTEST += ["-W", "default::pytest.PytestUnraisableExceptionWarning"]


def main() -> int:
    """Run the mutants of one file; the exit code is 1 where fewer are noticed than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the file to break, such as src/backstay/jobs/throttle.py")
    parser.add_argument("tests", nargs="*", help="test files or folders; without them those of the file's package")
    parser.add_argument("--least", type=float, default=90.0, help="percent of mutants that have to be noticed")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="functions and methods; without it all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants tried at the same time")
    arguments = parser.parse_args()
    file = arguments.file.resolve().relative_to(TOP)
    tests = arguments.tests or [str(_tests_of_package(file))]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        _copy(copy, file, tests)
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(arguments.jobs)]
        command += [f"*{separator}{name}__mutmut_*" for name in arguments.only for separator in ("x_", "ǁ")]
        # The copy's code, in which every change is switched on by a variable, comes before the installed one.
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, env=_environment(copy))
        if done.returncode:
            said = [line for line in done.stdout.splitlines() if line and line[0] not in _SPINNER]
            print("\n".join(said[-40:]), done.stderr[-3000:], "The mutants could not be tried: see above.", sep="\n")
            return 1
        return _report(copy, arguments.least)


def _tests_of_package(file: Path) -> Path:
    folder = Path("tests", *file.parts[2:-1])
    while not (TOP / folder).is_dir():
        folder = folder.parent
    return folder


def _environment(copy: Path) -> dict[str, str]:
    paths = [copy / "mutants" / "src", copy / "tests", copy / "scripts"]
    # They have to be there when Python starts, or it never looks again.
    paths[0].mkdir(parents=True, exist_ok=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "BACKSTAY_TEST_FEW_EXAMPLES": "yes"}


def _copy(copy: Path, file: Path, tests: list[str]) -> None:
    for name in _COPIED:
        source = TOP / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    with (copy / "pyproject.toml").open("a") as project:
        project.write(
            "\n[tool.mutmut]\n"
            'source_paths = ["src"]\n'
            f"only_mutate = [{str(file)!r}]\n"
            f"pytest_add_cli_args_test_selection = {tests!r}\n"
            f"pytest_add_cli_args = {_PYTEST!r}\n"
            'also_copy = ["scripts", "benchmarks", "docs", "README.md", "CHANGELOG.md", "Makefile"]\n'
            f"do_not_mutate_patterns = {json.dumps(_NOT_MUTATED)}\n"
            "use_git_change_detection = false\n"
        )


def _report(copy: Path, least: float) -> int:
    listed = _mutmut(copy, "-m", "mutmut", "results", "--all", "true")
    outcomes = {name: outcome for name, outcome in _OUTCOME.findall(listed) if outcome != "not checked"}
    if not outcomes:
        print("No mutants were tried: the tests fail without them, or the file has no functions.")
        return 1
    unnoticed = [name for name, outcome in outcomes.items() if outcome in ("survived", "no tests")]
    shown = _mutmut(copy, "-c", _SHOW, *unnoticed).split("# backstay")[1:]
    survivors = [text for text in shown if not _is_the_same(text)]
    for text in survivors:
        print(f"== backstay{text}")
    total = len(outcomes) - len(unnoticed) + len(survivors)
    noticed = 100 * (total - len(survivors)) / total
    print(f"{total - len(survivors)} of {total} mutants are noticed: {noticed:.1f} %")
    return 0 if noticed >= least else 1


def _mutmut(copy: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=copy, capture_output=True, text=True, check=False, env=_environment(copy)
    ).stdout  # fmt: skip


def _is_the_same(shown: str) -> bool:
    """Tell whether a mutant only writes the name of an encoding in capitals."""
    lines = [_ENCODING.sub(lambda name: name[0].lower(), line) for line in shown.splitlines()]
    taken = [line[1:] for line in lines if re.match(r"-(?!--)", line)]
    return taken == [line[1:] for line in lines if re.match(r"\+(?!\+\+)", line)]


if __name__ == "__main__":
    sys.exit(main())
