"""A page of ``docs/reference`` that is made from the code: written, or checked for being up to date."""

from __future__ import annotations

import sys
from pathlib import Path

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def write_or_check(name: str, text: str) -> int:
    """Write a page; with ``--check`` on the command line only say whether it is up to date.

    Args:
        name: the page's file name.
        text: what the page has to be.

    Returns:
        The exit code: 1 where the page is old.
    """
    page = REFERENCE / name
    if sys.argv[1:] != ["--check"]:
        page.write_text(text, encoding="utf-8")
        return 0
    is_current = page.exists() and page.read_text(encoding="utf-8") == text
    print(f"docs/reference/{name} is " + ("up to date" if is_current else "old: run make docs"))
    return 0 if is_current else 1
