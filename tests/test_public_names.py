"""The library's public names: small, stable, and what the documentation says."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import backstay

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "library.md"


def documented_names() -> set[str]:
    """Give the names that the page of the library has a section for."""
    return set(re.findall(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_every_public_name_has_a_section_in_the_documentation() -> None:
    assert set(backstay.__all__) == documented_names()


def test_every_public_name_is_there() -> None:
    assert [name for name in backstay.__all__ if not hasattr(backstay, name)] == []


@pytest.mark.parametrize("room", ["archives", "databases", "storage", "client"])
def test_a_room_that_stands_on_its_own_says_what_is_public(room: str) -> None:
    module = importlib.import_module(f"backstay.{room}")
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_importing_the_library_loads_neither_the_server_nor_the_database_drivers() -> None:
    program = "import sys, backstay; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"starlette", "uvicorn", "sqlalchemy", "psycopg", "pymysql"} & set(loaded) == set()
