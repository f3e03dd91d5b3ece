"""What stands behind ``make``: the targets, the runner of all checks, and the making of the environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import check
from check import checks, print_summary, pytest_command, skipped_groups
from support.longest import LONGEST

ROOT = Path(__file__).resolve().parent.parent
MAKEFILE = ROOT / "Makefile"
MAKE_VENV = ROOT / "scripts" / "make_venv.sh"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the checkout with variables added to the environment."""
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on PATH")
def test_make_without_a_target_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    reported = re.findall(r"^  make ([\w-]+) +\w", run("make").stdout, re.MULTILINE)
    assert sorted(reported) == sorted(phony[1].split())


def test_the_summary_names_each_group_of_skipped_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = tmp_path / "test_module.py"
    module.write_text(
        "import pytest\n"
        "@pytest.mark.skip(reason='no server')\ndef test_one(): pass\n"
        "@pytest.mark.skip(reason='no server')\ndef test_two(): pass\n"
        "def test_three(): pytest.skip('no unzip on PATH')\n"
        "def test_four(): pass\n"
    )
    report = tmp_path / "report.xml"
    result = run(
        sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", f"--junitxml={report}", module
    )
    assert "1 passed, 3 skipped" in result.stdout
    skipped = skipped_groups(report)
    assert skipped == Counter({"no server": 2, "no unzip on PATH": 1})
    print_summary([], skipped)
    shown = capsys.readouterr().out
    assert "skipped: 2 tests: no server" in shown
    assert "skipped: 1 test: no unzip on PATH" in shown


def test_slow_tests_and_options_reach_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTAY_TEST_WORKERS", "3")
    command = pytest_command(slow=True, report=tmp_path / "report.xml", options=["-k", "name"])
    assert command[-3:] == ["--slow", "-k", "name"]
    assert command[command.index("-n") + 1] == "3"


def test_all_five_checks_are_run(tmp_path: Path) -> None:
    names = [one.name for one in checks(slow=False, report=tmp_path / "report.xml", pytest_options=[])]
    assert names == ["linter", "formatter", "layers", "types", "tests"]


def test_files_go_to_memory_only_where_there_is_enough_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ENOUGH_MEMORY", 1 << 60)
    assert check.memory_folder() is None
    monkeypatch.setattr(check, "ENOUGH_MEMORY", 0)
    monkeypatch.setattr(check, "SHARED_MEMORY", tmp_path / "missing")
    assert check.memory_folder() is None


def test_the_longest_files_are_there() -> None:
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []


def test_an_unknown_check_is_refused() -> None:
    result = run(sys.executable, "scripts/check.py", "--only", "spelling")
    assert result.returncode == 2
    assert "there is no check named spelling" in result.stderr


def test_a_python_that_is_too_old_or_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    result = run(MAKE_VENV, tmp_path / "venv", PYTHON="/bin/sh")
    assert result.returncode == 1
    assert result.stderr == "make_venv: PYTHON=/bin/sh is not a Python 3.11 or newer; name one that is.\n"
    assert not (tmp_path / "venv").exists()


def test_no_python_at_all_is_said_in_one_sentence(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    result = run(shell, MAKE_VENV, tmp_path / "venv", PATH=str(tmp_path), PYTHON="")
    assert result.returncode == 1
    assert result.stderr.startswith("make_venv: Backstay needs Python 3.11 or newer, and none is on PATH; install one")
    assert result.stderr.count("\n") == 1


def test_an_environment_that_is_broken_is_made_anew_and_one_that_works_left_alone(tmp_path: Path) -> None:
    venv = tmp_path / "a venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "mark").touch()
    assert run(MAKE_VENV, venv, PYTHON=sys.executable).returncode == 0
    assert not (venv / "mark").exists()
    assert run(venv / "bin" / "python", "-m", "pip", "--version").returncode == 0
    (venv / "mark").touch()
    assert run(MAKE_VENV, venv, PYTHON=sys.executable).returncode == 0
    assert (venv / "mark").exists()
