"""The documentation keeps up with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.errors import BackstayError
from backstay.storage.address import SCHEMES
from backstay.version import __version__

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
GENERATORS = sorted((ROOT / "scripts").glob("make_*_reference.py"))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)


def links_within(page: Path) -> list[str]:
    """Give the links of a page that lead to other files or to its own headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, made the way GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.stem)
def test_a_page_made_from_the_code_is_up_to_date(generator: Path) -> None:
    result = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in links_within(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    pending = [DOCS / "index.md"]
    while pending:
        page = pending.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        pending += [
            (page.parent / link.partition("#")[0]).resolve() for link in links if not re.match(r"[a-z]+:", link)
        ]
    assert sorted(set(DOCS.rglob("*.md")) - reached) == []


def test_every_error_has_an_exit_code_of_its_own_and_a_sentence() -> None:
    pending: list[type[BackstayError]] = [BackstayError]
    codes: dict[int, str] = {}
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        assert error.exit_code not in codes, f"{error.__name__} and {codes[error.exit_code]} have the same exit code"
        assert 1 <= error.exit_code < 125
        assert error.__doc__, f"{error.__name__} does not say what happened"
        codes[error.exit_code] = error.__name__
    assert len(codes) > 20


def test_the_changelog_has_the_current_version() -> None:
    headings = re.findall(r"^## +\[?v?([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:1] == [__version__]


def test_every_address_and_secret_of_a_storage_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "storage.md").read_text()
    for name, scheme in SCHEMES.items():
        assert f"`{name}:" in page
        for option in scheme.options:
            assert f"`{option}`" in page, f"{name}: {option}"
        for secret in scheme.secrets:
            assert f"`{secret.name}`" in page, f"{name}: {secret.name}"
            for variable in (*secret.variables, *secret.file_variables):
                assert f"`{variable}`" in page, f"{name}: {variable}"
