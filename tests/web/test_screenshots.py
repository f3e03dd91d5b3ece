"""The pictures of the documentation: their pages exist, they are small, and each is shown somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backstay.jobs.overview import STATES
from backstay.web.pages import ROUTES

ROOT = Path(__file__).parent.parent.parent
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_screenshots", ROOT / "scripts/make_screenshots.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["make_screenshots"] = module
    specification.loader.exec_module(module)
    return module


def test_every_picture_is_of_a_page_that_exists(program: ModuleType) -> None:
    patterns = [re.sub(r"\{\w+:int\}", r"\\d+", route.path) for route in ROUTES if route.verb == "GET"]
    for picture in program.PICTURES:
        assert any(re.fullmatch(pattern, picture.path) for pattern in patterns), picture.path


def test_every_picture_is_there_and_small_and_shown(program: ModuleType) -> None:
    pages = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    files = {path.stem: path for path in IMAGES.glob("*.png")}
    assert files.keys() == {picture.name for picture in program.PICTURES}
    for name, path in files.items():
        assert path.stat().st_size <= program.LARGEST, name
        assert f"images/{name}.png" in pages, name


def test_the_page_of_the_documentation_has_all_states() -> None:
    text = (ROOT / "docs/how-to/use-the-page.md").read_text()
    assert [f"| {state} | {meaning.sentence} |" in text for state, meaning in STATES.items()] == [True] * len(STATES)
