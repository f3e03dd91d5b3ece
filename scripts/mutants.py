"""Break a file line by line and see whether the tests notice: ``make mutants FILE=src/backstay/server/throttle.py``.

Each change ("mutant") is made by mutmut in a copy of the tree, and the tests that reach the line are run. What survives
is printed with its change: it needs a test, or is equivalent to the original.
"""

from __future__ import annotations

import argparse
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


def main() -> int:
    """Run the mutants of one file; the exit code is 1 where fewer are noticed than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the file to break, such as src/backstay/server/throttle.py")
    parser.add_argument("tests", nargs="*", help="test files or folders; without them those of the file's room")
    parser.add_argument("--least", type=float, default=90.0, help="percent of mutants that have to be noticed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants tried at the same time")
    arguments = parser.parse_args()
    file = arguments.file.resolve().relative_to(TOP)
    tests = arguments.tests or [str(_room_tests(file))]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        _copy(copy, file, tests)
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(arguments.jobs)]
        # The copy's code, in which every change is switched on by a variable, comes before the installed one.
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, env=_environment(copy))
        if done.returncode:
            print(f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\nThe mutants could not be tried: see above.")
            return 1
        return _report(copy, arguments.least)


def _room_tests(file: Path) -> Path:
    room = Path("tests", *file.parts[2:-1])
    while not (TOP / room).is_dir():
        room = room.parent
    return room


def _environment(copy: Path) -> dict[str, str]:
    paths = [copy / "mutants" / "src", copy / "tests", copy / "scripts"]
    # They have to be there when Python starts, or it never looks again.
    paths[0].mkdir(parents=True, exist_ok=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}


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
            'pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider", "-q"]\n'
            'also_copy = ["scripts", "benchmarks", "docs", "README.md", "CHANGELOG.md", "Makefile"]\n'
            "do_not_mutate_patterns = ['_log\\.']\n"
            "use_git_change_detection = false\n"
        )


def _report(copy: Path, least: float) -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        cwd=copy, capture_output=True, text=True, check=False, env=_environment(copy),
    ).stdout  # fmt: skip
    outcomes = dict(_OUTCOME.findall(listed))
    survivors = [name for name, outcome in outcomes.items() if outcome in ("survived", "no tests")]
    for name in survivors:
        shown = subprocess.run(
            [sys.executable, "-m", "mutmut", "show", name],
            cwd=copy, capture_output=True, text=True, check=False, env=_environment(copy),
        ).stdout  # fmt: skip
        print(f"== {outcomes[name]}: {name}\n{shown}")
    if not outcomes:
        print("No mutants were tried: the tests fail without them, or the file has no functions.")
        return 1
    noticed = 100 * (len(outcomes) - len(survivors)) / len(outcomes)
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} mutants are noticed: {noticed:.1f} %")
    return 0 if noticed >= least else 1


if __name__ == "__main__":
    sys.exit(main())
