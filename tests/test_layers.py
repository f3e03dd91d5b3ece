"""The rooms import only downwards, and the check that says so would notice if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "backstay"
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the package found in a folder to the contracts of pyproject.toml."""
    return subprocess.run(
        [LINT_IMPORTS, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy_of_the_package(tmp_path: Path) -> Path:
    """Give a copy of the package that a test may spoil."""
    copy = tmp_path / "backstay"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_every_room_imports_only_from_the_rooms_below_it() -> None:
    result = lint(ROOT / "src")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "import_line", "contract"),
    [
        ("archives/breach.py", "import backstay.engine", "each package imports only from those below it"),
        ("jobs/breach.py", "import backstay.server", "each package imports only from those below it"),
        ("surplus.py", "", "each package imports only from those below it"),
        ("databases/breach.py", "import backstay.archives", "archives, databases and storage stand on their own"),
        (
            "repository/breach.py",
            "import backstay.catalogue",
            "the repository knows destinations and the data of archives",
        ),
        ("client/breach.py", "import backstay.catalogue", "the client does not know the server's side"),
        ("engine/breach.py", "import starlette", "the engine and restore do not know HTTP"),
    ],
)
def test_a_breach_of_the_layers_is_noticed(
    copy_of_the_package: Path, module: str, import_line: str, contract: str
) -> None:
    (copy_of_the_package / module).write_text(f"{import_line}\n")
    result = lint(copy_of_the_package.parent)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout
